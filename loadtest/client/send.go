package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"time"

	"sluice/pipeline"
)

// Mail is one message to send. Content is the header section and the body as
// they are to be stored: every line ends in CRLF, dots are not stuffed. It may be
// empty.
type Mail struct {
	From    string
	To      []string
	Size    int64 // SIZE= of MAIL, none when 0
	Content []byte
}

// Receipt is what the server promised with a 250: the message of this size and
// digest is in its hands under this id.
type Receipt struct {
	ID     string
	Size   int64
	SHA256 [sha256.Size]byte
	Begun  time.Time // when DATA was sent
	At     time.Time // when the 250 was read
	// Event has the fields of the message's event that follow from what was sent.
	Event *pipeline.Event
}

// accepted is the only reply to the final dot that promises something.
var accepted = regexp.MustCompile(`^2\.0\.0 Ok ([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$`)

// ErrNotCanonical says that a mail's content does not end in CRLF: what arrives
// could not be what was written down.
var ErrNotCanonical = errors.New("content does not end in CRLF")

// Begin sends MAIL, RCPT and DATA and waits for 354.
func (c *Conn) Begin(m *Mail) error {
	c.mail = m
	size := ""
	if m.Size > 0 {
		size = fmt.Sprintf(" SIZE=%d", m.Size)
	}
	if err := c.Command(250, "MAIL FROM:<"+m.From+"> BODY=8BITMIME"+size); err != nil {
		return fmt.Errorf("MAIL: %w", err)
	}
	for _, to := range m.To {
		if err := c.Command(250, "RCPT TO:<"+to+">"); err != nil {
			return fmt.Errorf("RCPT: %w", err)
		}
	}
	c.begun = time.Now()
	if err := c.Command(354, "DATA"); err != nil {
		return fmt.Errorf("DATA: %w", err)
	}
	return nil
}

// Send sends one mail in the session. An error that is ErrUnanswered leaves open
// whether the server has it; any other says that it need not.
func (c *Conn) Send(m *Mail) (Receipt, error) {
	if err := c.Begin(m); err != nil {
		return Receipt{}, err
	}
	return c.Finish(m.Content)
}

// Content sends content after a 354, and the final dot. Its reply is still to be
// read.
func (c *Conn) Content(content []byte) error {
	if len(content) > 0 && !bytes.HasSuffix(content, []byte("\r\n")) {
		return ErrNotCanonical
	}
	if _, err := c.out.Write(stuff(content)); err != nil {
		return err
	}
	// Whatever goes wrong from here, the dot may have arrived.
	if err := c.Write(".\r\n"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	return nil
}

// Finish sends content as Content does and waits for the 250.
func (c *Conn) Finish(content []byte) (Receipt, error) {
	if err := c.Content(content); err != nil {
		return Receipt{}, err
	}
	reply, err := c.ReadReply()
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	if reply.Code != 250 {
		return Receipt{}, reply
	}
	found := accepted.FindStringSubmatch(reply.Text)
	if found == nil {
		return Receipt{}, fmt.Errorf("a 250 without an id: %w", reply)
	}
	return Receipt{
		ID: found[1], Size: int64(len(content)), SHA256: sha256.Sum256(content),
		Begun: c.begun, At: time.Now(), Event: c.event(content),
	}, nil
}

// stuff doubles the dot at the start of a line (RFC 5321 §4.5.2).
func stuff(content []byte) []byte {
	stuffed := bytes.ReplaceAll(content, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(stuffed, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	return stuffed
}
