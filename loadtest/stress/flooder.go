package stress

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"sluice/internal/rawtls"
)

// floodKind is a kind of records without text; nil for records of a byte each.
type floodKind struct {
	name   string
	record func(*rawtls.Client) []byte
}

// ordinary are records with text in the place of those without.
var ordinary = []floodKind{{"ordinary", func(c *rawtls.Client) []byte { return c.Seal(rawtls.TypeApplication, []byte("x"), 0) }}}

var floods = []floodKind{
	{"a byte in each", nil},
	{"empty", func(c *rawtls.Client) []byte { return c.Seal(rawtls.TypeApplication, nil, 0) }},
	{"padding", func(c *rawtls.Client) []byte { return c.Seal(rawtls.TypeApplication, nil, 1000) }},
	{"user_canceled", func(c *rawtls.Client) []byte { return c.Seal(rawtls.TypeAlert, []byte{1, 90}, 0) }},
	{"KeyUpdate", func(c *rawtls.Client) []byte { return c.KeyUpdate(false) }},
	{"KeyUpdate that asks for one", func(c *rawtls.Client) []byte { return c.KeyUpdate(true) }},
}

// flooder is a connection on which text is read by crypto/tls and sealed by rawtls.
type flooder struct {
	*tls.Conn
	raw    net.Conn
	keys   *rawtls.Client
	record func(*rawtls.Client) []byte
}

// floodText is the text that pays for a record without.
var floodText = bytes.Repeat([]byte("x"), 1<<10)

// Write seals text, each piece in one record.
func (f *flooder) Write(text []byte) (int, error) {
	if _, err := f.raw.Write(f.keys.Seal(rawtls.TypeApplication, text, 0)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Close closes without close_notify, for which crypto/tls has no keys.
func (f *flooder) Close() error { return f.raw.Close() }

// unit returns a record without text and one with text that pays for it; or records of a
// byte each.
func (f *flooder) unit() (wire []byte, records int) {
	if f.record != nil {
		return append(f.record(f.keys), f.keys.Seal(rawtls.TypeApplication, floodText, 0)...), 2
	}
	const each = 16
	for i := range each {
		wire = append(wire, f.keys.Seal(rawtls.TypeApplication, floodText[i:i+1], 0)...)
	}
	return wire, each
}

// joinFlood returns a peer that is in the middle of a message, and its connection. receive
// is as for dial.
func (s *instance) joinFlood(ctx context.Context, record func(*rawtls.Client) []byte, receive int) (*peer, *flooder, error) {
	p, err := dial(ctx, s.SMTP, receive)
	if err != nil {
		return nil, nil, err
	}
	var log bytes.Buffer
	f := &flooder{raw: p.Conn, record: record}
	err = p.secure(ctx, &tls.Config{MinVersion: tls.VersionTLS13, KeyLogWriter: &log})
	f.Conn = p.Conn.(*tls.Conn)
	if err == nil {
		f.keys, err = rawtls.New(log.String())
	}
	if err == nil {
		p.Conn = f
		err = approach(p, approachText)
	}
	if err != nil {
		_ = f.raw.Close()
	}
	return p, f, err
}

// pace sends at least so many records each time until ctx ends, and counts them.
func (f *flooder) pace(ctx context.Context, quota int, sent *atomic.Int64) error {
	again := time.NewTicker(floodEvery)
	defer again.Stop()
	for ctx.Err() == nil {
		var wire []byte
		records := 0
		for records < quota {
			more, n := f.unit()
			wire, records = append(wire, more...), records+n
		}
		if _, err := f.raw.Write(wire); err != nil {
			return err
		}
		sent.Add(int64(records))
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
	return nil
}
