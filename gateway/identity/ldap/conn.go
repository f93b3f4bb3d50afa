package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// stepTimeout bounds each request, within the time of the attempt.
const stepTimeout = 10 * time.Second

// maxReferences is how many references a search may bring, which are not followed. Active
// Directory sends one for each of its other partitions.
const maxReferences = 64

// conn is a connection to a server, for one request at a time. After an error it is of no
// use but to be closed.
type conn struct {
	server *server
	raw    net.Conn // is closed without ceremony: TLS would wait for a peer that does not read
	net    net.Conn // raw, or TLS on it
	id     int
	last   time.Time // when it was put aside
}

// secure begins TLS, if the server is to have it.
func (c *conn) secure(ctx context.Context) error {
	if c.server.startTLS {
		got, err := c.exchange(ctx, startTLSRequest(c.nextID()), opExtendedResponse)
		if err != nil {
			return err
		}
		if got.code != codeSuccess {
			return fmt.Errorf("StartTLS: %w", &fault{reason: judgeService(got), result: got.withoutSecret(nil)})
		}
	}
	if !c.server.startTLS && !c.server.implicit {
		return nil
	}
	secured := tls.Client(c.raw, c.server.tls)
	release := c.bound(ctx)
	err := secured.HandshakeContext(ctx)
	if !release() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	c.net = secured
	return nil
}

// bound makes the connection's reads and writes end with ctx, and after stepTimeout. The
// function that it returns ends that, and reports false if ctx has ended: the connection
// is then of no use.
func (c *conn) bound(ctx context.Context) (release func() bool) {
	deadline := time.Now().Add(stepTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.raw.SetDeadline(deadline)
	return context.AfterFunc(ctx, func() { c.raw.SetDeadline(time.Unix(1, 0)) })
}

// nextID returns the id of the next message.
func (c *conn) nextID() int {
	c.id++
	return c.id
}

// send sends a request and wipes it.
func (c *conn) send(request []byte) error {
	defer clear(request)
	_, err := c.net.Write(request)
	return err
}

// receive reads the next message of the server, which has to answer the last request.
func (c *conn) receive() (message, error) {
	m, err := readMessage(c.net)
	if err != nil {
		return message{}, err
	}
	if m.id == 0 && m.op == opExtendedResponse { // notice of disconnection (RFC 4511 §4.4.1)
		notice, err := m.result(opExtendedResponse)
		if err != nil {
			return message{}, err
		}
		return message{}, fmt.Errorf("the server closes the connection: %s", result{code: notice.code})
	}
	if m.id != c.id {
		return message{}, fmt.Errorf("%w: to request %d in place of %d", errMalformed, m.id, c.id)
	}
	return m, nil
}

// exchange sends a request and reads its one answer, which carries a result.
func (c *conn) exchange(ctx context.Context, request []byte, op byte) (result, error) {
	release := c.bound(ctx)
	got, err := func() (result, error) {
		if err := c.send(request); err != nil {
			return result{}, err
		}
		m, err := c.receive()
		if err != nil {
			return result{}, err
		}
		return m.result(op)
	}()
	if !release() && err == nil {
		err = ctx.Err()
	}
	return got, err
}

// bind binds the connection to an entry. The password is not empty: with an empty one a
// bind succeeds and proves nothing (RFC 4513 §5.1.2).
func (c *conn) bind(ctx context.Context, dn string, password []byte) (result, error) {
	if dn == "" || len(password) == 0 {
		return result{}, errors.New("bind without a name or a password")
	}
	return c.exchange(ctx, bindRequest(c.nextID(), dn, password), opBindResponse)
}

// search returns the entries that a search finds, at most sizeLimit, and how it ended.
func (c *conn) search(ctx context.Context, s searchRequest) (found []entry, got result, err error) {
	release := c.bound(ctx)
	defer func() {
		if !release() && err == nil {
			err = ctx.Err()
		}
	}()
	if err := c.send(s.encode(c.nextID())); err != nil {
		return nil, result{}, err
	}
	references := 0
	for {
		m, err := c.receive()
		if err != nil {
			return nil, result{}, err
		}
		switch m.op {
		case opSearchEntry:
			e, err := m.entry()
			if err != nil {
				return nil, result{}, err
			}
			found = append(found, e)
		case opSearchReference:
			references++
		default:
			got, err = m.result(opSearchDone)
			return found, got, err
		}
		if len(found) > sizeLimit || references > maxReferences {
			return nil, result{}, fmt.Errorf("%w: %d entries and %d references", errMalformed, len(found), references)
		}
	}
}

// close closes the connection at once.
func (c *conn) close() { c.raw.Close() }

// leave takes leave of the server and closes the connection.
func (c *conn) leave() {
	c.raw.SetDeadline(time.Now().Add(leaveTimeout))
	_ = c.send(unbindRequest(c.nextID())) // it may be gone
	c.close()
}

// leaveTimeout bounds a farewell, which a socket's buffer takes at once unless the server
// has stopped reading.
const leaveTimeout = 100 * time.Millisecond
