package smtptest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds waits that end early on success.
const patience = 10 * time.Second

// netServer is a server with a listener, for one connection.
type netServer struct {
	mu sync.Mutex
	*server
	conn net.Conn
}

// flush writes the server's pending replies; the caller holds mu.
func (s *netServer) flush() {
	for _, line := range s.out {
		fmt.Fprintf(s.conn, "%s\r\n", line)
	}
	s.out = nil
	if s.closed {
		s.conn.Close()
	}
}

func (s *netServer) serve() {
	s.mu.Lock()
	s.flush()
	s.mu.Unlock()
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			s.conn.Close()
			return
		}
		s.mu.Lock()
		s.feed(buf[:n])
		s.flush()
		s.mu.Unlock()
	}
}

func (s *netServer) direct(directive, args string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.server.direct(directive, args)
	s.flush()
	return err
}

// connect returns a peer that talks to a new server over TCP.
func connect(t *testing.T, script *Script, timeout time.Duration) *ConnPeer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	peer, err := Dial(listener.Addr().String(), timeout)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := &netServer{server: newServer(script), conn: conn}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.serve()
	}()
	t.Cleanup(func() {
		peer.Close()
		<-served
	})
	peer.OnDirective = s.direct
	return peer
}

func TestPlayOverTCP(t *testing.T) {
	for _, script := range samples(t) {
		for _, split := range splits() {
			if err := Play(script, connect(t, script, patience), split); err != nil {
				t.Errorf("%s: %v", split, err)
			}
		}
	}
}

func TestPlayOverTCPFindsDifferences(t *testing.T) {
	for _, tc := range []struct{ name, dialog, want string }{
		{"wrong", "S: 220 x\nC: NOOP\nS: 250 RSET", `x.smtp:3: got "250 NOOP", want "250 RSET"`},
		{"missing", "S: 220 x\nC: EXPN\nS: 250 *", "x.smtp:3: reply 1 of 1 is missing"},
		{"surplus at the end", "S: 220 x\nC: HELP\nS: 214 *", `surplus reply "214 more"`},
		{"surplus before CLOSE", "S: 220 x\nC: HELP\nC: QUIT\nS: 214 *\nS: 214 *\nCLOSE", `surplus reply "221 bye"`},
		{"surplus before C", "S: 220 x\nC: HELP\nS: 214 *\nC: QUIT\nS: 221 *\nCLOSE", `"214 more"`},
		{"closed early", "S: 220 x\nC: QUIT\nS: 221 *\nS: 250 *", "x.smtp:4: the server closed"},
		{"not closed", "S: 220 x\nCLOSE", "x.smtp:2: the server did not close"},
	} {
		script, err := Parse("x.smtp", strings.NewReader(tc.dialog))
		if err != nil {
			t.Fatal(err)
		}
		script.Settings = []Setting{{Key: "greeting", Value: "x"}}
		timeout := patience
		if tc.name == "missing" || tc.name == "not closed" {
			timeout = 100 * time.Millisecond // the error comes only after the timeout
		}
		err = Play(script, connect(t, script, timeout), Whole)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestDirectiveWithoutHandler(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	peer := NewConnPeer(client, patience)
	defer peer.Close()
	if err := peer.Do("say", "x"); err == nil {
		t.Error("Do without OnDirective returned no error")
	}
}
