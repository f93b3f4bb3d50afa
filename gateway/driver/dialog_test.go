package driver

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/codec/smtptest"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// TestDialogs plays every transcript whole, byte by byte and at random splits,
// against the codec, the session and the driver. The replies must not differ.
func TestDialogs(t *testing.T) {
	scripts, err := smtptest.Load(smtptest.Dialogs())
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) < 10 {
		t.Fatalf("only %d dialogs", len(scripts))
	}
	splits := []smtptest.Split{smtptest.Whole, smtptest.ByteByByte}
	for seed := range uint64(20) {
		splits = append(splits, smtptest.Random(seed))
	}
	for _, script := range scripts {
		t.Run(script.Name, func(t *testing.T) {
			var whole []string
			splits := splits
			if _, ok := script.Setting("split"); ok {
				splits = splits[:1]
			}
			for i, split := range splits {
				recorder := &smtptest.Recorder{Peer: newDialogPeer(t, script)}
				if err := smtptest.Play(script, recorder, split); err != nil {
					t.Fatalf("%v: %v", split, err)
				}
				if i == 0 {
					whole = recorder.Lines
				} else if !slices.Equal(whole, recorder.Lines) {
					t.Fatalf("%v: replies differ:\n%q\nwhole:\n%q", split, recorder.Lines, whole)
				}
			}
		})
	}
}

// dialogPeer is a smtptest.Peer on a world.
type dialogPeer struct {
	w      *world
	socket *memorySocket
}

func newDialogPeer(t *testing.T, script *smtptest.Script) *dialogPeer {
	o := testOptions()
	limits := testLimits()
	accept, strict := []string{"example.net"}, false
	for _, s := range script.Settings {
		if s.Key == "accept.domains" {
			accept = strings.Split(s.Value, ",")
			continue
		}
		if s.Key == "strict_paths" {
			strict = s.Value == "true"
			continue
		}
		if s.Key == "split" || s.Key == "smuggling" {
			continue
		}
		n, err := strconv.ParseInt(s.Value, 10, 64)
		if err != nil {
			t.Fatalf("%s:%d: %v", script.Name, s.Line, err)
		}
		switch s.Key {
		case "limits.message_size":
			limits.MessageSize = n
		case "limits.recipients":
			limits.Recipients = int(n)
		case "limits.command_errors":
			limits.CommandErrors = int(n)
		case "limits.recipient_errors":
			limits.RecipientErrors = int(n)
		case "limits.junk_commands":
			limits.JunkCommands = int(n)
		case "limits.messages":
			limits.Messages = int(n)
		case "limits.received_headers":
			limits.ReceivedHeaders = int(n)
		case "memory.bodies":
			o.Budget = pipeline.NewBudget(n)
		default:
			t.Fatalf("%s:%d: unknown setting %s", script.Name, s.Line, s.Key)
		}
	}
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptDomains(accept))
	mode, _ := script.Setting("smuggling")
	o.Settings.Tolerate = mode == "tolerate"
	o.Settings.StrictPaths = strict
	w := newWorld(t, o)
	return &dialogPeer{w: w, socket: w.connect()}
}

func (p *dialogPeer) Send(octets []byte) error {
	p.socket.send(string(octets))
	return nil
}

func (p *dialogPeer) ReadLine() (string, error) {
	line, ok := p.Pending()
	switch {
	case ok:
		return line, nil
	case p.socket.closed || p.socket.half:
		return "", io.EOF
	}
	return "", smtptest.ErrNoReply
}

func (p *dialogPeer) Pending() (string, bool) {
	i := bytes.Index(p.socket.out, []byte("\r\n"))
	if i < 0 {
		return "", false
	}
	line := string(p.socket.out[:i])
	p.socket.out = p.socket.out[i+2:]
	return line, true
}

func (p *dialogPeer) Closed() error {
	if line, ok := p.Pending(); ok {
		return fmt.Errorf("reply %q is one too many", line)
	}
	if !p.socket.closed && !p.socket.half {
		return fmt.Errorf("the connection is open")
	}
	p.socket.gone()
	return nil
}

// End ends the dialog as a client that goes away, and checks that nothing is left.
func (p *dialogPeer) End() (string, bool, error) {
	line, ok := p.Pending()
	p.socket.gone()
	p.w.store.release()
	p.w.log.release()
	p.w.settle()
	p.w.clean()
	return line, ok, nil
}

func (p *dialogPeer) Do(directive, args string) error {
	switch directive + " " + args {
	case "store fail":
		p.w.store.step = step{err: errScripted}
	case "store full":
		p.w.store.step = step{err: &pipeline.Failure{Kind: pipeline.KindFull, Op: "test"}}
	case "store hold":
		p.w.store.step = step{hold: true}
	case "store release":
		p.w.store.step = step{}
		p.w.store.release()
		p.w.settle()
	case "store ok":
		p.w.store.step = step{}
	case "log fail":
		p.w.log.step = step{err: errScripted}
	case "log hold":
		p.w.log.step = step{hold: true}
	case "log release":
		p.w.log.step = step{}
		p.w.log.release()
		p.w.settle()
	case "log ok":
		p.w.log.step = step{}
	case "drain ":
		p.w.shared.Refuse()
		p.w.advance(tickLength)
	case "memory take":
		p.w.shared.Budget.TryTake(p.w.shared.Budget.Limit() - p.w.shared.Budget.Used())
	case "memory give":
		p.w.shared.Budget.Give(p.w.shared.Budget.Used())
		p.w.settle()
	default:
		if directive == "stored" {
			want, err := strconv.Unquote(`"` + args + `"`)
			if err != nil {
				return err
			}
			if n := len(p.w.store.in); n == 0 || p.w.store.in[n-1] != want {
				return fmt.Errorf("stored %q, want %q last", p.w.store.in, want)
			}
			return nil
		}
		if directive == "events" {
			if n := strconv.Itoa(len(p.w.log.events)); n != args {
				return fmt.Errorf("%s events, want %s", n, args)
			}
			return nil
		}
		d, err := time.ParseDuration(args)
		if directive != "advance" || err != nil {
			return fmt.Errorf("unknown directive %s %s", directive, args)
		}
		p.w.advance(d)
	}
	return nil
}
