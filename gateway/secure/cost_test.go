package secure

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"sluice/gateway/driver"
)

// BenchmarkHandshake reports the CPU time of a handshake with its client, in the pool and
// in a blocking server, in turns.
func BenchmarkHandshake(b *testing.B) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b.Run(tls.VersionName(version), func(b *testing.B) {
			p, theirs := newPool(b, 8, 1, serverConfig()), clientConfig()
			theirs.MaxVersion = version
			var pool, blocking int64
			for range b.N {
				began := cpuTime()
				if m := meet(b, p, "192.0.2.1", theirs); m.Err != nil || m.err != nil {
					b.Fatal(m.Err, m.err)
				}
				middle := cpuTime()
				left, right := connected(b)
				met := make(chan error, 2) // a server has a goroutine for each client
				go func() { met <- tls.Client(left, theirs).Handshake() }()
				go func() { met <- tls.Server(right, serverConfig()).Handshake() }()
				if err := errors.Join(<-met, <-met); err != nil {
					b.Fatal(err)
				}
				pool, blocking = pool+middle-began, blocking+cpuTime()-middle
			}
			b.ReportMetric(float64(pool)/float64(b.N)/1e3, "pool-CPU-µs")
			b.ReportMetric(float64(blocking)/float64(b.N)/1e3, "blocking-CPU-µs")
		})
	}
}

// cpuTime returns the user and system time of the process in nanoseconds.
func cpuTime() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// BenchmarkWaiting reports the memory of a handshake that waits for its peer.
func BenchmarkWaiting(b *testing.B) {
	const count = 1000
	first := hello(b, clientConfig())
	for range b.N {
		p := newPool(b, count, 1, serverConfig())
		var before, after runtime.MemStats
		var begun []*driver.Handshake
		var loops []home
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range count {
			h, loop := newHandshake(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), bytes.Clone(first))
			if !p.Begin(h) {
				b.Fatal("the handshake does not begin")
			}
			begun, loops = append(begun, h), append(loops, loop)
		}
		for _, loop := range loops {
			loop.comes(b)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/count, "heap-B")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/count, "stack-B")
		for i, h := range begun {
			giveUp(b, p, h, loops[i])
		}
	}
}
