package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/process"
)

// clientTLS returns the settings of a client that trusts the certificate of a gateway as
// it is now.
func (g *tlsGateway) clientTLS(t *testing.T) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(g.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: "mx1.example.net"}
}

// from connects from an address of this machine.
func from(t *testing.T, source, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// halfHandshake returns a connection on which a handshake has begun: it has the answer.
// It is nil if the gateway has closed it instead.
func halfHandshake(t *testing.T, source, to string) net.Conn {
	t.Helper()
	conn := from(t, source, to)
	ours, theirs := net.Pipe()
	go func() { _ = tls.Client(ours, &tls.Config{ServerName: "mx1.example.net"}).Handshake() }()
	defer ours.Close()
	if _, err := io.CopyN(conn, theirs, 5+512); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(conn, theirs) }()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return nil
	}
	return conn
}

// TestHalfHandshakes has one address begin handshakes and not go on: it has an eighth of
// them, others get on, and what it held comes back.
func TestHalfHandshakes(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	gateway := newTLSGateway(t, "  handshakes: 64\n")
	p := startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	before := metric(t, gateway.Sluice, "go_goroutines")
	var begun []net.Conn
	for range 30 {
		if conn := halfHandshake(t, "127.0.0.7", gateway.implicit); conn != nil {
			begun = append(begun, conn)
		}
	}
	if len(begun) != 8 {
		t.Errorf("%d handshakes of one address have begun", len(begun))
	}
	if n := metric(t, gateway.Sluice, "go_goroutines"); n > before+20 {
		t.Errorf("%v goroutines, %v before", n, before)
	}
	c := testkit.NewSMTP(t, from(t, "127.0.0.7", gateway.SMTP))
	fmt.Fprint(c.Conn, "HELO x\r\nSTARTTLS\r\n")
	c.Expect("220 ", "250 ", "454 4.7.0 ")
	other := testkit.NewSMTP(t, tls.Client(from(t, "127.0.0.8", gateway.implicit), trust))
	other.Begin()
	for _, conn := range begun {
		conn.Close()
	}
	told := func(cause string, failures, lines int) {
		t.Helper()
		testkit.Eventually(t, fmt.Sprintf("%d failures are counted as %s, in %d lines", failures, cause, lines), func() bool {
			return metric(t, gateway.Sluice, `sluice_tls_failures_total{cause="`+cause+`"}`) == float64(failures) &&
				strings.Count(p.Output(), "cause=tls_"+cause+" ") == lines
		})
	}
	told("busy", 22, 23) // and a reply 454
	told("gone", 8, 8)
	// A part of a hello is the begin of a handshake, too. Nothing at all is a health check.
	parts := from(t, "127.0.0.7", gateway.implicit)
	if _, err := parts.Write([]byte("\x16\x03\x01\x02\x00\x01")); err != nil {
		t.Fatal(err)
	}
	parts.Close()
	from(t, "127.0.0.7", gateway.implicit).Close()
	told("gone", 9, 9)
	if conn := halfHandshake(t, "127.0.0.7", gateway.implicit); conn == nil {
		t.Error("there is no room again")
	}
}

// TestHandshakesOfManyAddresses has so many addresses begin handshakes and not go on that
// no place is left: those that waited longest make room for others.
func TestHandshakesOfManyAddresses(t *testing.T) {
	t.Parallel()
	gateway := newTLSGateway(t, "  handshakes: 64\n")
	startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	for i := range 64 {
		if halfHandshake(t, fmt.Sprintf("127.0.1.%d", 1+i/8), gateway.implicit) == nil {
			t.Fatalf("handshake %d did not begin", i)
		}
	}
	testkit.Eventually(t, "another client has its turn", func() bool {
		return tls.Client(from(t, "127.0.1.20", gateway.implicit), trust).Handshake() == nil
	})
	testkit.Eventually(t, "some were displaced", func() bool { // each loop ends its part by itself
		n := metric(t, gateway.Sluice, `sluice_tls_failures_total{cause="displaced"}`)
		return n >= 1 && n <= 16
	})
}

// oneOctet writes each octet by itself.
type oneOctet struct{ net.Conn }

func (c oneOctet) Write(p []byte) (n int, err error) {
	for ; n < len(p) && err == nil; n++ {
		_, err = c.Conn.Write(p[n : n+1])
	}
	return n, err
}

// TestTLSInPieces sends a mail octet by octet and closes both ways behind the dot:
// close_notify, then the end of the stream.
func TestTLSInPieces(t *testing.T) {
	t.Parallel()
	needs(t)
	gateway := newTLSGateway(t, "")
	startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	raw := from(t, "127.0.0.1", gateway.SMTP)
	plain := testkit.NewSMTP(t, raw)
	fmt.Fprint(raw, "HELO x\r\nSTARTTLS\r\n")
	plain.Expect("220 ", "250 ", "220 2.0.0 ")
	conn := tls.Client(oneOctet{raw}, trust)
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "HELO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	for _, want := range []string{"250 ", "250 ", "250 ", "354 "} {
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	fmt.Fprint(conn, "Subject: pieces\r\n\r\ntext\r\n.\r\n")
	if err := errors.Join(conn.CloseWrite(), raw.(*net.TCPConn).CloseWrite()); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || !strings.HasPrefix(string(rest), "250 2.0.0 ") || strings.Count(string(rest), "\n") != 1 {
		t.Errorf("behind the dot: %q, %v", rest, err)
	}
	if n := len(encrypted(t, gateway.Sluice, 1)); n != 1 {
		t.Errorf("%d messages", n)
	}
	behind := testkit.NewSMTP(t, from(t, "127.0.0.1", gateway.SMTP))
	fmt.Fprint(behind.Conn, "HELO x\r\nSTARTTLS\r\nMAIL FROM:<a@example.com>\r\n")
	behind.Expect("220 ", "250 ", "501 5.5.4 ")
	if rest, err := io.ReadAll(behind.In); len(rest) > 0 || err != nil {
		t.Errorf("behind 501: %q, %v", rest, err)
	}
}

// TestTLSReloadedUnderLoad swaps the certificate as Kubernetes does, and then refuses TLS 1.2, while mail
// comes in both versions. No open session fails, and new ones have what is new.
func TestTLSReloadedUnderLoad(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	gateway := newTLSGateway(t, "")
	gateway.mount(t)
	p := startGateway(t, gateway.Sluice)
	old := gateway.clientTLS(t)
	// hello returns a session behind a handshake, and the certificate that it was shown.
	hello := func(most uint16) (*testkit.SMTP, []byte, error) {
		conn := tls.Client(from(t, "127.0.0.1", gateway.implicit), &tls.Config{InsecureSkipVerify: true, MaxVersion: most})
		if err := conn.Handshake(); err != nil {
			return nil, nil, err
		}
		return testkit.NewSMTP(t, conn), conn.ConnectionState().PeerCertificates[0].Raw, nil
	}
	mail := func(c *testkit.SMTP) {
		fmt.Fprint(c.Conn, "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
		c.Expect("250 ", "250 ", "354 ")
		fmt.Fprint(c.Conn, "Subject: load\r\n\r\ntext\r\n.\r\n")
		c.Expect("250 2.0.0 ")
	}
	first, shown, err := hello(tls.VersionTLS12)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(first.Conn, "HELO x\r\n")
	first.Expect("220 ", "250 ")
	stop, sent := make(chan struct{}), make(chan int, 4)
	var load sync.WaitGroup
	for range cap(sent) {
		load.Go(func() {
			n := 0
			defer func() { sent <- n }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, _, err := hello(tls.VersionTLS13)
				if err != nil {
					t.Errorf("a handshake under load: %v", err)
					return
				}
				fmt.Fprint(c.Conn, "HELO x\r\n")
				c.Expect("220 ", "250 ")
				mail(c)
				c.Conn.Close()
				n++
			}
		})
	}
	gateway.swap(t)
	hangUp(t, p)
	next := gateway.clientTLS(t)
	testkit.Eventually(t, "new sessions have the new certificate", func() bool {
		_, now, err := hello(tls.VersionTLS12)
		return err == nil && string(now) != string(shown) && trusts(next, now) && !trusts(old, now)
	})
	mail(first)
	gateway.Config = strings.Replace(gateway.Config, "tls:\n", "tls:\n  min_version: \"1.3\"\n", 1)
	if _, err := gateway.Args(); err != nil { // writes the file
		t.Fatal(err)
	}
	hangUp(t, p)
	testkit.Eventually(t, "TLS 1.2 is refused", func() bool {
		_, _, err := hello(tls.VersionTLS12)
		return err != nil
	})
	mail(first)
	close(stop)
	load.Wait()
	close(sent)
	messages := 2
	for n := range sent {
		messages += n
	}
	if messages < 6 {
		t.Errorf("%d messages are no load", messages)
	}
	encrypted(t, gateway.Sluice, messages)
}

func hangUp(t *testing.T, p *process.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// trusts reports whether a client would take a certificate.
func trusts(config *tls.Config, der []byte) bool {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: config.RootCAs, DNSName: config.ServerName})
	return err == nil
}

// TestTLSDrains ends a gateway while sessions with TLS are open: one that is idle, one
// that sends a mail, and one in its handshake.
func TestTLSDrains(t *testing.T) {
	t.Parallel()
	needs(t)
	gateway := newTLSGateway(t, "")
	p := startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	idle := testkit.NewSMTP(t, tls.Client(from(t, "127.0.0.1", gateway.implicit), trust))
	idle.Expect("220 ")
	busy := testkit.NewSMTP(t, tls.Client(from(t, "127.0.0.1", gateway.implicit), trust))
	busy.Begin()
	half := halfHandshake(t, "127.0.0.1", gateway.implicit)
	if half == nil {
		t.Fatal("the handshake does not begin")
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	idle.Expect("421 4.3.2 ")
	if rest, err := io.ReadAll(idle.In); len(rest) > 0 || err != nil { // without close_notify it would be an error
		t.Errorf("behind 421: %q, %v", rest, err)
	}
	idle.Conn.Close()
	_, _ = io.Copy(io.Discard, half) // until it is closed
	fmt.Fprint(busy.Conn, "Subject: drain\r\n\r\ntext\r\n.\r\n")
	busy.Expect("250 2.0.0 ")
	if err := p.Wait(testkit.Deadline(t)); err != nil {
		t.Errorf("exit: %v", err)
	}
	if said := p.Output(); strings.Count(said, "cause=tls_") != 1 || !strings.Contains(said, "cause=tls_draining ") {
		t.Errorf("a handshake that a shutdown ends has one line, which says so:\n%s", said)
	}
	startGateway(t, gateway.Sluice)
	encrypted(t, gateway.Sluice, 1)
}

// TestTLSPauses sends messages of 20 MiB at a time, each in one piece with its DATA, when
// there is memory for two: the third waits with records unread, and each is stored as it
// was sent.
func TestTLSPauses(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	gateway := newTLSGateway(t, "")
	gateway.Config += "memory: {bodies: 44MiB}\nlimits: {message_size: 22MiB}\ntimeouts: {credit: 119s}\n"
	startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	var mails []oddMail
	var clients []*testkit.SMTP
	for n := range 3 {
		mails = append(mails, attachment(15<<20+n)) // in base64
		c := testkit.NewSMTP(t, tls.Client(from(t, "127.0.0.1", gateway.implicit), trust))
		fmt.Fprint(c.Conn, "HELO x\r\nEHLO x\r\n")
		c.Expect("220 ", "250 ", "250-", "250-", "250-", "250-", "250 ")
		fmt.Fprintf(c.Conn, "MAIL FROM:<a@example.com> SIZE=%d\r\nRCPT TO:<b@example.net>\r\n", len(mails[n].content))
		c.Expect("250 ", "250 ")
		clients = append(clients, c)
	}
	var senders sync.WaitGroup
	for n, c := range clients {
		senders.Go(func() {
			_, err := c.Conn.Write(slices.Concat([]byte("DATA\r\n"), mails[n].content, []byte(".\r\n")))
			for _, want := range []string{"354 ", "250 2.0.0 "} {
				reply, readErr := c.In.ReadString('\n')
				if !strings.HasPrefix(reply, want) {
					t.Errorf("%v, %q, %v", err, reply, readErr)
				}
			}
		})
	}
	senders.Wait()
	messages, _ := inventory(t, gateway.Sluice)
	stored(t, messages, mails, asIs)
	if n := metric(t, gateway.Sluice, `sluice_session_pauses_total{waits_for="credit"}`); n == 0 {
		t.Error("none has waited")
	}
}
