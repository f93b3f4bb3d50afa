// Package peers holds servers that Sluice is measured against.
package peers

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// maxMessage is the size that the peer offers, bytes: Sluice's default.
const maxMessage = 50 << 20

// ServeGoSMTP runs a server made with emersion/go-smtp, a goroutine for each
// connection, on the listener until ctx ends. It takes any mail, reads it to its
// end and keeps nothing, as smtp-sink does.
func ServeGoSMTP(ctx context.Context, listener net.Listener) error {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return discard{}, nil
	}))
	server.Domain = "go-smtp.example.net"
	server.MaxMessageBytes = maxMessage
	server.MaxRecipients = 1000
	server.ReadTimeout, server.WriteTimeout = 5*time.Minute, 5*time.Minute
	server.ErrorLog = log.New(io.Discard, "", 0)
	stop := context.AfterFunc(ctx, func() { server.Close() }) //nolint:errcheck // it ends either way
	defer stop()
	err := server.Serve(listener)
	if ctx.Err() != nil || errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

// discard is a session that takes everything and keeps nothing.
type discard struct{}

func (discard) Reset()                               {}
func (discard) Logout() error                        { return nil }
func (discard) Mail(string, *smtp.MailOptions) error { return nil }
func (discard) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (discard) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
