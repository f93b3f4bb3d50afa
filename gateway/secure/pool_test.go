package secure

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"sluice/codec"
	"sluice/gateway/driver"
	"sluice/internal/panics"
	"sluice/internal/testkit"
	"sluice/pipeline"
)

func serverConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{testkit.ECDSAPair()}, MinVersion: tls.VersionTLS12,
		SessionTicketsDisabled: true, // no client reads what comes behind its handshake
	}
}

func clientConfig() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "mx.example.net"}
}

// newPool returns a pool that has no handshake left at the end of the test, and no
// goroutine.
func newPool(t testing.TB, handshakes, computing int, config *tls.Config) *Pool {
	before := runtime.NumGoroutine()
	p := NewPool(Options{Config: func() *tls.Config { return config }, Handshakes: handshakes, Computing: computing})
	t.Cleanup(func() {
		testkit.Eventually(t, "no handshake is left", func() bool { return p.Begun() == 0 && p.life.Depth() == 0 })
		if n := p.begun.Counted(); n != 0 {
			t.Errorf("addresses still have %d handshakes", n)
		}
		if len(p.computing) > 0 {
			t.Errorf("%d still compute", len(p.computing))
		}
		testkit.Eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	})
	return p
}

// home is the loop of one handshake.
type home chan *pipeline.Task

func (h home) Post(t *pipeline.Task) { h <- t }

// comes waits for a handshake to come home.
func (h home) comes(t testing.TB) {
	t.Helper()
	select {
	case <-h:
	case <-time.After(time.Minute):
		t.Fatal("the handshake does not come home")
	}
}

// newHandshake returns the handshake of a client, and its loop.
func newHandshake(client string, in []byte) (*driver.Handshake, home) {
	loop := make(home, 2) // 2: so that one too many is seen and does not block
	return &driver.Handshake{Home: loop, Client: netip.MustParseAddr(client), In: in}, loop
}

// giveUp ends a handshake that is at home and not done.
func giveUp(t testing.TB, p *Pool, h *driver.Handshake, loop home) {
	t.Helper()
	h.Gone = true
	p.Continue(h)
	loop.comes(t)
	if !h.Done || h.Cause != driver.TLSGone || len(loop) > 0 {
		t.Errorf("done %t, %q, %d more", h.Done, h.Cause, len(loop))
	}
}

// hello returns the first flight of a client.
func hello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	left, right := net.Pipe()
	defer left.Close()
	defer right.Close()
	go func() { _ = tls.Client(left, config).Handshake() }()
	in, err := readRecord(right)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func readRecord(conn net.Conn) ([]byte, error) {
	record := make([]byte, 5, 1<<12)
	if _, err := io.ReadFull(conn, record); err != nil {
		return nil, err
	}
	rest := make([]byte, int(record[3])<<8|int(record[4]))
	_, err := io.ReadFull(conn, rest)
	return append(record, rest...), err
}

// flight reads what has come, up to the end of a record.
func flight(conn net.Conn) (in []byte, err error) {
	in = make([]byte, 0, 1<<13)
	for {
		n, err := conn.Read(in[len(in):cap(in)])
		if err != nil {
			return nil, err
		}
		in = in[:len(in)+n]
		rest := in
		for n, ok := codec.TLSRecord(rest); ok && n > 0; n, ok = codec.TLSRecord(rest) {
			rest = rest[n:]
		}
		if len(rest) == 0 {
			return in, nil
		}
	}
}

// meeting is a handshake of the pool with a client.
type meeting struct {
	*driver.Handshake
	client *tls.Conn
	server net.Conn
	err    error // of the client
}

// connected returns both ends of a connection. It is no net.Pipe: both ends of a handshake
// write at the same time.
func connected(t testing.TB) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	for _, end := range []net.Conn{client, server} {
		_ = end.SetDeadline(time.Now().Add(time.Minute))
	}
	return client, server
}

// meet runs a handshake of the pool with a client, as a loop does.
func meet(t testing.TB, p *Pool, address string, config *tls.Config) meeting {
	t.Helper()
	left, right := connected(t)
	client, met := tls.Client(left, config), make(chan error, 1)
	go func() {
		err := client.Handshake()
		if err != nil {
			left.Close()
		}
		met <- err
	}()
	first, err := flight(right)
	h, loop := newHandshake(address, first)
	if err != nil || !p.Begin(h) {
		t.Fatalf("the handshake does not begin: %v", err)
	}
	for loop.comes(t); ; loop.comes(t) {
		if len(h.Out) > 0 {
			_, err = right.Write(h.Out)
			h.Out = nil
		}
		if h.Done {
			break
		}
		if err == nil {
			h.In, err = flight(right)
		}
		h.Gone = err != nil
		p.Continue(h)
	}
	return meeting{h, client, right, <-met}
}

func TestHandshakes(t *testing.T) {
	for name, pair := range map[string]tls.Certificate{"ECDSA": testkit.ECDSAPair(), "RSA": testkit.RSAPair()} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+tls.VersionName(version), func(t *testing.T) {
				ours, theirs := serverConfig(), clientConfig()
				ours.Certificates, theirs.MaxVersion = []tls.Certificate{pair}, version
				m := meet(t, newPool(t, 8, 1, ours), "192.0.2.1", theirs)
				if err := errors.Join(m.err, m.Err); err != nil {
					t.Fatal(err)
				}
				if m.About.Version != versions[version] || m.About.SNI != "mx.example.net" {
					t.Errorf("agreed on %+v", m.About)
				}
				go func() { _, _ = io.WriteString(m.client, "NOOP\r\n") }()
				record, err := readRecord(m.server)
				if err != nil {
					t.Fatal(err)
				}
				if text, err := m.Records.Open(nil, record); string(text) != "NOOP\r\n" || err != nil {
					t.Errorf("got %q, %v", text, err)
				}
			})
		}
	}
}

// TestBounds begins as many handshakes as there may be: of one address, and in all.
func TestBounds(t *testing.T) {
	p := newPool(t, 16, 1, serverConfig())
	first := hello(t, clientConfig())
	var begun []*driver.Handshake
	var loops []home
	begin := func(client string) bool {
		h, loop := newHandshake(client, bytes.Clone(first))
		room := p.Room(h.Client)
		ok := p.Begin(h)
		if ok {
			begun, loops = append(begun, h), append(loops, loop)
		}
		if ok != room {
			t.Errorf("room for %s was %t, begun %t", client, room, ok)
		}
		return ok
	}
	for _, c := range []struct {
		client string
		ok     bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false},
		{"::ffff:192.0.2.1", false}, {"192.0.2.2", true},
		{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
	} {
		if ok := begin(c.client); ok != c.ok {
			t.Errorf("%s: begun %t", c.client, ok)
		}
	}
	for i := 0; p.Begun() < 16; i++ {
		begin(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String())
	}
	if begin("203.0.113.1") {
		t.Error("one more than there may be has begun")
	}
	if surplus, of := p.Surplus(); surplus != 2 || of != 16 {
		t.Errorf("a surplus of %d of %d handshakes", surplus, of)
	}
	for i, h := range begun {
		loops[i].comes(t)
		giveUp(t, p, h, loops[i])
	}
	begun, loops = nil, nil
	if !begin("203.0.113.1") {
		t.Error("there is no room again")
	}
	loops[0].comes(t)
	giveUp(t, p, begun[0], loops[0])
}

// signer is a key whose signatures take until they are let go.
type signer struct {
	crypto.Signer
	signing, most  atomic.Int64
	begun, release chan struct{}
}

func newSigner() *signer {
	return &signer{
		Signer: testkit.ECDSAPair().PrivateKey.(crypto.Signer),
		begun:  make(chan struct{}, 1000), release: make(chan struct{}),
	}
}

func (s *signer) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	n := s.signing.Add(1)
	defer s.signing.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	s.begun <- struct{}{}
	<-s.release
	return s.Signer.Sign(random, digest, options)
}

func (s *signer) config() *tls.Config {
	c := serverConfig()
	c.Certificates = []tls.Certificate{{Certificate: testkit.ECDSAPair().Certificate, PrivateKey: s}}
	return c
}

// TestFlood has one address begin handshakes whose computation is slow, and others that
// never go on. No more compute than may, and an address that comes later has its turn.
func TestFlood(t *testing.T) {
	s := newSigner()
	p := newPool(t, 64, 2, s.config())
	first := hello(t, clientConfig())
	var begun []*driver.Handshake
	var loops []home
	for range 100 {
		if h, loop := newHandshake("192.0.2.1", bytes.Clone(first)); p.Begin(h) {
			begun, loops = append(begun, h), append(loops, loop)
		}
	}
	if len(begun) != 8 {
		t.Errorf("%d handshakes of one address have begun", len(begun))
	}
	<-s.begun
	<-s.begun
	later, loop := newHandshake("192.0.2.2", first)
	if !p.Begin(later) {
		t.Fatal("there is no room for another address")
	}
	close(s.release)
	loop.comes(t) // it waits for its peer, as do the others, and none has a place
	for i := range loops {
		loops[i].comes(t)
	}
	if len(p.computing) > 0 || s.most.Load() > 2 {
		t.Errorf("%d compute, at most %d did", len(p.computing), s.most.Load())
	}
	m := meet(t, p, "192.0.2.3", clientConfig())
	if err := errors.Join(m.err, m.Err); err != nil {
		t.Errorf("beside those that wait for their peers: %v", err)
	}
	for i, h := range append(begun, later) {
		giveUp(t, p, h, append(loops, loop)[i])
	}
}

// TestHalfHandshakes has thousands of clients that send a hello and nothing else.
func TestHalfHandshakes(t *testing.T) {
	const most = 200
	p := newPool(t, most, 2, serverConfig())
	first := hello(t, clientConfig())
	before := runtime.NumGoroutine()
	var begun []*driver.Handshake
	var loops []home
	for i := range 5000 {
		h, loop := newHandshake(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), first)
		if p.Begin(h) {
			begun, loops = append(begun, h), append(loops, loop)
		}
	}
	if n := runtime.NumGoroutine() - before; len(begun) != most || n > most {
		t.Errorf("%d handshakes have begun, with %d goroutines", len(begun), n)
	}
	for i, h := range begun {
		loops[i].comes(t)
		if h.Done || len(h.Out) == 0 {
			t.Fatalf("done %t, %d octets of output, %v", h.Done, len(h.Out), h.Err)
		}
		giveUp(t, p, h, loops[i])
	}
}

// TestDrop drops handshakes in each of their states. Each comes home once more.
func TestDrop(t *testing.T) {
	first, s := hello(t, clientConfig()), newSigner()
	p := newPool(t, 64, 1, s.config())
	begin := func(in []byte) (*driver.Handshake, home) {
		h, loop := newHandshake("192.0.2.1", in)
		if !p.Begin(h) {
			t.Fatal("the handshake does not begin")
		}
		return h, loop
	}
	ended := func(state string, h *driver.Handshake, loop home) {
		t.Helper()
		loop.comes(t)
		if !h.Done || h.Cause != driver.TLSGone || h.Records != nil || len(loop) > 0 {
			t.Errorf("%s: done %t, %q, %d more", state, h.Done, h.Cause, len(loop))
		}
	}
	computing, computingHome := begin(first)
	<-s.begun
	queued, queuedHome := begin(bytes.Clone(first))
	p.Drop(queued)
	p.Drop(queued)
	ended("queued", queued, queuedHome)
	p.Drop(computing)
	s.release <- struct{}{}
	ended("computing", computing, computingHome)

	waiting, waitingHome := begin(bytes.Clone(first))
	s.release <- struct{}{}
	waitingHome.comes(t)
	<-s.begun
	busy, busyHome := begin(bytes.Clone(first))
	<-s.begun
	waiting.In = []byte{20, 3, 3, 0, 1, 1}
	p.Continue(waiting)
	p.Drop(waiting)
	ended("queued once more", waiting, waitingHome)
	s.release <- struct{}{}
	busyHome.comes(t)
	giveUp(t, p, busy, busyHome)
}

// TestDropAtAnyMoment drops handshakes while they may be anywhere.
func TestDropAtAnyMoment(t *testing.T) {
	p := newPool(t, 8, 1, serverConfig())
	first, asked := hello(t, clientConfig()), 0
	for i := range 200 {
		h, loop := newHandshake("192.0.2.1", bytes.Clone(first))
		if !p.Begin(h) {
			t.Fatal("the handshake does not begin")
		}
		time.Sleep(time.Duration(i) * 2 * time.Microsecond)
		p.Drop(h)
		loop.comes(t)
		if !h.Done {
			asked++
			giveUp(t, p, h, loop)
		}
		if len(loop) > 0 || h.Cause != driver.TLSGone {
			t.Fatalf("%q, %d more", h.Cause, len(loop))
		}
	}
	t.Logf("%d of 200 asked for records at that moment", asked)
}

// TestClose closes a pool while one handshake computes and one waits for its peer.
func TestClose(t *testing.T) {
	first, s := hello(t, clientConfig()), newSigner()
	p := newPool(t, 64, 1, s.config())
	waiting, waitingHome := newHandshake("192.0.2.1", bytes.Clone(first))
	p.Begin(waiting)
	s.release <- struct{}{}
	<-s.begun
	waitingHome.comes(t)
	computing, computingHome := newHandshake("192.0.2.1", bytes.Clone(first))
	p.Begin(computing)
	<-s.begun
	closed := make(chan int64, 1)
	go func() { closed <- p.Close(time.Minute) }()
	testkit.Eventually(t, "the pool is closed", p.life.Closed)
	if late, _ := newHandshake("192.0.2.2", first); p.Room(late.Client) || p.Begin(late) {
		t.Error("a closed pool takes a handshake")
	}
	close(s.release)
	computingHome.comes(t)
	giveUp(t, p, computing, computingHome)
	giveUp(t, p, waiting, waitingHome)
	if left := <-closed; left != 0 {
		t.Errorf("%d were left", left)
	}
}

func TestCloseLeavesWhatDoesNotEnd(t *testing.T) {
	p := newPool(t, 64, 1, serverConfig())
	h, loop := newHandshake("192.0.2.1", hello(t, clientConfig()))
	p.Begin(h)
	loop.comes(t)
	if left := p.Close(time.Millisecond); left != 1 {
		t.Errorf("%d were left", left)
	}
	if p.Close(0) != 0 || len(loop) > 0 {
		t.Error("it came home, or Close waits twice")
	}
	p.Continue(h) // its loop does not know yet
}

// TestPanic has a handshake panic: it comes home as one that failed, and leaves its place.
func TestPanic(t *testing.T) {
	config, places := serverConfig(), make(chan panics.Place, 1)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("no") }
	panics.Notify(func(at panics.Place, _ any, _ []byte) { places <- at })
	p := newPool(t, 8, 1, config)
	h, loop := newHandshake("192.0.2.1", hello(t, clientConfig()))
	p.Begin(h)
	loop.comes(t)
	if at := <-places; !h.Done || h.Err == nil || h.Cause != driver.TLSInternal || at != panics.Handshake {
		t.Errorf("done %t, %v, %q, in %q", h.Done, h.Err, h.Cause, at)
	}
}
