package tlscodec

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"

	"sluice/internal/testkit"
)

// plain is a connection that a blocking server reads from memory, a record at a time as it
// comes from a socket, and writes to nowhere.
type plain struct {
	net.Conn
	records [][]byte
	rest    []byte // of a record
	apart   bool   // it is read from memory
}

func (p *plain) Read(b []byte) (int, error) {
	if !p.apart {
		return p.Conn.Read(b)
	}
	if len(p.rest) == 0 {
		if len(p.records) == 0 {
			return 0, io.EOF
		}
		p.rest, p.records = p.records[0], p.records[1:]
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *plain) Write(b []byte) (int, error) {
	if !p.apart {
		return p.Conn.Write(b)
	}
	return len(b), nil
}

// blocking returns a server of crypto/tls alone whose client has sent a text count times.
func blocking(t testing.TB, ours, theirs *tls.Config, text []byte, count int) *tls.Conn {
	t.Helper()
	ours = ours.Clone()
	ours.SessionTicketsDisabled = true
	left, right := link(t)
	wire, end := &tap{Conn: left}, &plain{Conn: right}
	client, server := tls.Client(wire, theirs), tls.Server(end, ours)
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	err := client.Handshake()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	wire.to = &bytes.Buffer{}
	for range count {
		if _, err := client.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	end.records, end.apart = split(t, wire.to.Bytes()), true
	return server
}

// TestNoAllocations compares the allocations for a record with those of crypto/tls alone.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("a sync.Pool drops what it is given at random")
	}
	withAndWithoutLending(t, func(t *testing.T) {
		for version, number := range versions {
			for _, size := range []int{1, 100, maxText} {
				theirOpen, theirSeal := plainAllocations(t, number, size)
				open, seal := allocations(t, number, size)
				if open > theirOpen || seal > theirSeal {
					t.Errorf("%s, %d octets: %v allocations to open and %v to seal, crypto/tls alone %v and %v",
						version, size, open, seal, theirOpen, theirSeal)
				}
			}
		}
	})
}

const runs = 50

// allocations returns the allocations to open and to seal a record.
func allocations(t *testing.T, version uint16, size int) (open, seal float64) {
	theirs, text, buffer := clientConfig(version), make([]byte, size), make([]byte, maxText)
	theirs.DynamicRecordSizingDisabled = true
	p := shaken(t, serverConfig(testkit.ECDSAPair()), theirs)
	var records [][]byte
	for range runs + 1 {
		records = append(records, p.send(t, text)...)
	}
	out := make([]byte, 0, 2*maxText)
	open = testing.AllocsPerRun(runs, func() {
		got, err := p.server.Open(buffer[:0], records[0])
		if records = records[1:]; len(got) != size || err != nil {
			t.Fatal(len(got), err)
		}
	})
	return open, testing.AllocsPerRun(runs, func() { out = p.server.Seal(out[:0], text) })
}

// plainAllocations returns the allocations of crypto/tls alone.
func plainAllocations(t *testing.T, version uint16, size int) (read, write float64) {
	theirs, text, buffer := clientConfig(version), make([]byte, size), make([]byte, maxText)
	theirs.DynamicRecordSizingDisabled = true
	server := blocking(t, serverConfig(testkit.ECDSAPair()), theirs, text, runs+1)
	read = testing.AllocsPerRun(runs, func() {
		if n, err := io.ReadFull(server, buffer[:size]); err != nil {
			t.Fatal(n, err)
		}
	})
	return read, testing.AllocsPerRun(runs, func() { _, _ = server.Write(text) })
}

// TestIdleMemory bounds the memory of a connection between two records, whatever came
// before.
func TestIdleMemory(t *testing.T) {
	for version, number := range versions {
		if n := idle(t, number, maxText, 100); n > 9<<10 {
			t.Errorf("%s: %d bytes for an idle connection", version, n)
		}
	}
}

// BenchmarkIdle reports the memory of an idle connection after its handshake and after a
// record of the largest size.
func BenchmarkIdle(b *testing.B) {
	for _, c := range []struct {
		name string
		lent bool
		text int
	}{{"lent/handshake", true, 0}, {"lent/record", true, maxText}, {"kept/handshake", false, 0}, {"kept/record", false, maxText}} {
		for version, number := range versions {
			b.Run(c.name+"/"+version, func(b *testing.B) {
				lending = c.lent
				defer func() { lending = true }()
				for range b.N {
					b.ReportMetric(float64(idle(b, number, c.text, 500)), "B/conn")
				}
			})
		}
	}
}

// idle returns the bytes of heap of each of count connections behind their handshakes and
// a record with text.
func idle(t testing.TB, version uint16, text, count int) int {
	t.Helper()
	ours, theirs := serverConfig(testkit.ECDSAPair()), clientConfig(version)
	ours.SessionTicketsDisabled = true // nobody reads them
	theirs.DynamicRecordSizingDisabled = true
	servers := make([]*Conn, count)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range servers {
		servers[i] = lonely(t, ours, theirs, make([]byte, text))
	}
	runtime.GC()
	runtime.GC() // twice: a sync.Pool is emptied by the second
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(servers)
	return int(after.HeapAlloc-before.HeapAlloc) / count
}

// lonely returns a server that has opened a text and whose client is gone.
func lonely(t testing.TB, ours, theirs *tls.Config, text []byte) *Conn {
	t.Helper()
	left, end := net.Pipe()
	right := newEager(end) // not by link: what ends with the test is memory until then
	defer left.Close()
	defer right.Close()
	done := make(chan error, 1)
	go func() {
		client := tls.Client(left, theirs)
		_, err := client.Write(text)
		done <- err
	}()
	s := newServer(right, ours)
	err := s.handshake()
	for got := []byte(nil); len(got) < len(text) && err == nil; {
		var record []byte
		if record, err = s.records(1); err == nil {
			got, err = s.codec.Open(got, record)
		}
	}
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return s.codec
}

// cpuTimer measures the CPU time of the process, which tells contestants apart on a machine
// that is busy with something else.
type cpuTimer struct{ began, sum int64 }

func (c *cpuTimer) start() { c.began = cpuTime() }
func (c *cpuTimer) stop()  { c.sum += cpuTime() - c.began }

func (c *cpuTimer) report(b *testing.B) {
	b.ReportMetric(float64(b.N)*maxText/1e6/(float64(c.sum)/1e9), "MB/CPU-s")
}

// cpuTime returns the user and system time of the process in nanoseconds.
func cpuTime() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// BenchmarkOpen opens records of the largest size beside a blocking server that reads the
// same from memory.
func BenchmarkOpen(b *testing.B) {
	const batch = 256
	text, buffer := make([]byte, maxText), make([]byte, maxText)
	ours, theirs := serverConfig(testkit.ECDSAPair()), clientConfig(tls.VersionTLS13)
	theirs.DynamicRecordSizingDisabled = true
	codecs := func(lent bool) func(b *testing.B) {
		return func(b *testing.B) {
			lending = lent
			defer func() { lending = true }()
			b.SetBytes(maxText)
			b.ReportAllocs()
			var cpu cpuTimer
			defer cpu.report(b)
			for done := 0; done < b.N; done += batch {
				b.StopTimer()
				p := shaken(b, ours, theirs)
				var records [][]byte
				for range batch {
					records = append(records, p.send(b, text)...)
				}
				b.StartTimer()
				cpu.start()
				for _, record := range records[:min(batch, b.N-done)] {
					if got, err := p.server.Open(buffer[:0], record); err != nil || len(got) != maxText {
						b.Fatal(len(got), err)
					}
				}
				cpu.stop()
			}
		}
	}
	b.Run("lent", codecs(true))
	b.Run("kept", codecs(false))
	b.Run("blocking", func(b *testing.B) {
		b.SetBytes(maxText)
		b.ReportAllocs()
		var cpu cpuTimer
		defer cpu.report(b)
		for done := 0; done < b.N; done += batch {
			b.StopTimer()
			server := blocking(b, ours, theirs, text, batch)
			b.StartTimer()
			cpu.start()
			for range min(batch, b.N-done) {
				if n, err := io.ReadFull(server, buffer); err != nil {
					b.Fatal(n, err)
				}
			}
			cpu.stop()
		}
	})
}
