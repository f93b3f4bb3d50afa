package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// script answers one connection: it writes the replies and keeps what it read.
func script(t *testing.T, replies string) (address string, received func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	all := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, replies)
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		octets, _ := io.ReadAll(conn)
		all <- string(octets)
	}()
	return listener.Addr().String(), func() string { return <-all }
}

const hello = "220 mx ESMTP\r\n250-mx\r\n250 PIPELINING\r\n"

func TestSendWritesDownThePromise(t *testing.T) {
	const id = "0192b3c4-d5e6-7f80-9a0b-0c0d0e0f1011"
	address, received := script(t, hello+"250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 Ok "+id+"\r\n221 bye\r\n")
	c, err := Dial(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	content := ".first\r\n..\r\nx\r\n.\r\n"
	receipt, err := c.Send(&Mail{From: "a@b.c", To: []string{"d@e.f"}, Content: []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	if receipt.ID != id || receipt.Size != int64(len(content)) || receipt.SHA256 != sha256.Sum256([]byte(content)) {
		t.Errorf("receipt %+v", receipt)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if got := received(); !strings.Contains(got, "DATA\r\n..first\r\n...\r\nx\r\n..\r\n.\r\nQUIT\r\n") {
		t.Errorf("on the wire: %q", got)
	}
}

func TestSendTellsSilenceFromRefusal(t *testing.T) {
	var refusal *Reply
	for _, test := range []struct {
		replies string
		right   func(error) bool
	}{
		{"250 ok\r\n250 ok\r\n354 go\r\n", func(err error) bool { return errors.Is(err, ErrUnanswered) }},
		{"250 ok\r\n250 ok\r\n354 go\r\n451 4.3.0 later\r\n", func(err error) bool { return errors.As(err, &refusal) && refusal.Code == 451 }},
		{"250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 Ok\r\n", func(err error) bool { return errors.As(err, &refusal) && refusal.Code == 250 }},
		{"250 ok\r\n550 5.7.1 no\r\n", func(err error) bool { return errors.As(err, &refusal) && refusal.Code == 550 }},
		{"250 ok\r\n", func(err error) bool { return errors.Is(err, io.EOF) && !errors.Is(err, ErrUnanswered) }},
	} {
		address, _ := script(t, hello+test.replies)
		c, err := Dial(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Send(&Mail{From: "a@b.c", To: []string{"d@e.f"}, Content: []byte("x\r\n")})
		if !test.right(err) {
			t.Errorf("%q: %v", test.replies, err)
		}
		c.Close()
	}
}

func TestSendRefusesContentThatWouldArriveOtherwise(t *testing.T) {
	address, _ := script(t, hello+"250 ok\r\n250 ok\r\n354 go\r\n")
	c, err := Dial(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Send(&Mail{From: "a@b.c", To: []string{"d@e.f"}, Content: []byte("x")}); !errors.Is(err, ErrNotCanonical) {
		t.Error(err)
	}
}
