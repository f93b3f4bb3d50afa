package peers

import (
	"context"
	"errors"
	"net"
	"testing"

	"sluice/loadtest/client"
)

func TestGoSMTPTakesMailAndStops(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- ServeGoSMTP(ctx, listener) }()
	c, err := client.Dial(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// It takes the mail, but promises nothing under an id.
	var reply *client.Reply
	_, err = c.Send(&client.Mail{From: "a@b.c", To: []string{"d@e.f"}, Content: []byte("Subject: x\r\n\r\n.\r\n")})
	if !errors.As(err, &reply) || reply.Code != 250 {
		t.Errorf("after the dot: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
