package driver

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/codec/smtptest"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// front is what stands between a client and the gateway, and names the client.
type front struct{ name, says string }

var fronts = []front{
	{"PROXY version 1", v1Header},
	{"PROXY version 2", v2Header},
	{"XCLIENT", "EHLO proxy.example\r\nXCLIENT ADDR=192.0.2.1 PORT=4711\r\n"},
}

// TestDialogs plays every transcript whole, byte by byte and at random splits, against the
// codec, the session and the driver, and behind each front. The replies must not differ.
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
				lines := playDialog(t, script, split, front{})
				if i == 0 {
					whole = lines
				} else if !slices.Equal(whole, lines) {
					t.Fatalf("%v: replies differ:\n%q\nwhole:\n%q", split, lines, whole)
				}
			}
			_, proxied := script.Setting("proxy_networks")
			_, named := script.Setting("xclient_networks")
			if proxied || named { // it has a front of its own
				return
			}
			for _, f := range fronts {
				for _, split := range splits[:min(3, len(splits))] {
					if lines := playDialog(t, script, split, f); !slices.Equal(whole, lines) {
						t.Fatalf("behind %s, %v: replies differ:\n%q\nalone:\n%q", f.name, split, lines, whole)
					}
				}
			}
		})
	}
}

// playDialog plays a transcript behind a front and returns the lines of the replies.
func playDialog(t *testing.T, script *smtptest.Script, split smtptest.Split, f front) []string {
	t.Helper()
	peer := newDialogPeer(t, script, f)
	peer.introduce(f, split)
	recorder := &smtptest.Recorder{Peer: peer}
	if err := smtptest.Play(script, recorder, split); err != nil {
		t.Fatalf("behind %s, %v: %v", f.name, split, err)
	}
	return recorder.Lines
}

// introduce has the front name the client.
func (p *dialogPeer) introduce(f front, split smtptest.Split) {
	for _, piece := range split.Pieces([]byte(f.says)) {
		p.socket.send(string(piece))
	}
	if begin := bytes.LastIndex(p.socket.out, []byte("220 ")); begin >= 0 { // of the client
		p.socket.out = p.socket.out[begin:]
	}
}

// dialogPeer is a smtptest.Peer on a world.
type dialogPeer struct {
	w       *world
	socket  *memorySocket
	offered bool // XCLIENT is, which no transcript expects
}

func newDialogPeer(t *testing.T, script *smtptest.Script, f front) *dialogPeer {
	o := testOptions()
	o.Timeouts.Proxy = 5 * time.Second
	limits := testLimits()
	accept, strict, from := []string{"example.net"}, false, client
	var auth *session.AuthPolicy
	if f.says != "" {
		from = balancer
		o.Proxy = f.name != "XCLIENT"
		o.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		if !o.Proxy {
			o.XclientNetworks = o.ProxyNetworks
		}
	}
	for _, s := range script.Settings {
		switch s.Key {
		case "proxy_networks":
			o.Proxy, o.ProxyNetworks = true, []netip.Prefix{netip.MustParsePrefix(s.Value)}
			continue
		case "xclient_networks":
			o.XclientNetworks = []netip.Prefix{netip.MustParsePrefix(s.Value)}
			continue
		}
		if s.Key == "accept.domains" {
			accept = strings.Split(s.Value, ",")
			continue
		}
		if s.Key == "strict_paths" {
			strict = s.Value == "true"
			continue
		}
		if s.Key == "auth" { // what is offered, in plain text
			offered := strings.Fields(s.Value)
			auth = &session.AuthPolicy{
				PlainText: true, Scope: "mail", Senders: ownSender{},
				Passwords: slices.Contains(offered, "passwords"), Tokens: slices.Contains(offered, "tokens"),
				Explain: slices.Contains(offered, "explain"),
			}
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
		case "verdict": // is waited for, in seconds
			o.Verifier, o.Generation.Verdict = &scriptedVerifier{}, time.Duration(n)*time.Second
		default:
			t.Fatalf("%s:%d: unknown setting %s", script.Name, s.Line, s.Key)
		}
	}
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptDomains(accept))
	mode, _ := script.Setting("smuggling")
	o.Settings.Tolerate = mode == "tolerate"
	o.Settings.StrictPaths = strict
	if auth != nil {
		o.Settings.SetAuth(*auth)
		o.Settings.Role, o.Submission, o.Authenticator = pipeline.RoleSubmission, true, &scriptedUsers{}
	}
	w := newWorld(t, o)
	return &dialogPeer{w: w, socket: w.connectFrom(from), offered: f.name == "XCLIENT"}
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
	if rest, last := bytes.CutPrefix(p.socket.out, []byte("250 "+codec.XclientExtension+"\r\n")); last && p.offered {
		p.socket.out = rest
		line = "250 " + line[len("250-"):]
	}
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
	if v, ok := p.w.shared.Verifier.(*scriptedVerifier); ok {
		v.release()
		p.w.settle()
		defer v.clean(p.w.t)
	}
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
		if v, ok := p.w.shared.Verifier.(*scriptedVerifier); ok && directive == "verdict" {
			return v.will(args)
		}
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
		if directive == "from" {
			if n := len(p.w.store.puts); n == 0 || !bytes.Contains(p.w.store.puts[n-1], []byte("["+args+"]")) {
				return fmt.Errorf("the last of %q is not from %s", p.w.store.puts, args)
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
