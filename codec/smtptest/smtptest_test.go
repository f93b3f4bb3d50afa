package smtptest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"sluice/codec"
)

// server answers commands just well enough to play dialogs with.
type server struct {
	decoder  codec.Decoder
	in       []byte
	out      []string
	closed   bool
	directed []string
}

func newServer(s *Script) *server {
	greeting, _ := s.Setting("greeting")
	return &server{out: []string{"220 " + greeting}}
}

func (s *server) feed(p []byte) {
	s.in = append(s.in, p...)
	for !s.closed {
		cmd, n, ok := s.decoder.Next(s.in)
		switch {
		case !ok:
		case cmd.Fault != codec.FaultNone:
			s.out = append(s.out, "500 "+cmd.Fault.String())
		case cmd.Verb == codec.VerbQUIT:
			s.out = append(s.out, "221 bye")
			s.closed = true
		case cmd.Verb == codec.VerbHELP: // replies twice
			s.out = append(s.out, "214 help", "214 more")
		case cmd.Verb == codec.VerbEXPN: // never replies
		default:
			s.out = append(s.out, "250 "+cmd.Verb.String())
		}
		s.in = s.in[n:]
		if n == 0 {
			return
		}
	}
}

func (s *server) direct(directive, args string) error {
	s.directed = append(s.directed, directive)
	switch directive {
	case "say":
		s.out = append(s.out, args)
	case "close":
		s.closed = true
	default:
		return fmt.Errorf("unknown directive %q", directive)
	}
	return nil
}

// memoryPeer is the harness in memory.
type memoryPeer struct{ *server }

func (p memoryPeer) Send(octets []byte) error {
	p.feed(octets)
	return nil
}

func (p memoryPeer) ReadLine() (string, error) {
	if line, ok := p.Pending(); ok {
		return line, nil
	}
	if p.closed {
		return "", io.EOF
	}
	return "", ErrNoReply
}

func (p memoryPeer) Pending() (string, bool) {
	if len(p.out) == 0 {
		return "", false
	}
	line := p.out[0]
	p.out = p.out[1:]
	return line, true
}

func (p memoryPeer) Closed() error {
	if line, ok := p.Pending(); ok {
		return surplusError(line)
	}
	if !p.closed {
		return errors.New("the server did not close")
	}
	return nil
}

func (p memoryPeer) Do(directive, args string) error { return p.direct(directive, args) }

func samples(t *testing.T) []*Script {
	t.Helper()
	scripts, err := Load(os.DirFS("testdata/dialogs"))
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) != 3 {
		t.Fatalf("%d sample dialogs, want 3", len(scripts))
	}
	return scripts
}

func splits() []Split {
	return []Split{Whole, ByteByByte, Random(1), Random(2), Random(3)}
}

func TestPlayInMemory(t *testing.T) {
	for _, script := range samples(t) {
		var whole []string
		for _, split := range splits() {
			recorder := &Recorder{Peer: memoryPeer{newServer(script)}}
			if err := Play(script, recorder, split); err != nil {
				t.Errorf("%s: %v", split, err)
			}
			if split == Whole {
				whole = recorder.Lines
			}
			if got, want := strings.Join(recorder.Lines, "|"), strings.Join(whole, "|"); got != want || got == "" {
				t.Errorf("%s, %s: replies %q, whole %q", script.Name, split, got, want)
			}
		}
	}
}

// TestPlayFindsDifferences plays dialogs that the server does not follow.
func TestPlayFindsDifferences(t *testing.T) {
	for _, tc := range []struct{ name, dialog, want string }{
		{"wrong", "S: 220 x\nC: NOOP\nS: 250 RSET", `x.smtp:3: got "250 NOOP", want "250 RSET"`},
		{"wrong by wildcard", "S: 220 x\nC: NOOP\nS: 251 *", `x.smtp:3: got "250 NOOP", want "251 *"`},
		{"wrong by expression", "S: ~ 22", `x.smtp:1: got "220 x", want "~ 22"`},
		{"missing", "S: 220 x\nC: EXPN\nS: 250 *", `x.smtp:3: reply 1 of 1 is missing`},
		{"missing repeat", "S: 220 x\nC*2: NOOP\nS*3: 250 *", `x.smtp:3: reply 3 of 3 is missing`},
		{"surplus before C", "S: 220 x\nC: HELP\nS: 214 *\nC: NOOP\nS: 250 *", `x.smtp:4: surplus reply "214 more"`},
		{"surplus before a directive", "S: 220 x\nC: HELP\nS: 214 *\n@ close\nCLOSE", `x.smtp:4: surplus reply "214 more"`},
		{"surplus before CLOSE", "S: 220 x\nC: HELP\nC: QUIT\nS: 214 *\nS: 214 *\nCLOSE", `x.smtp:6: surplus reply "221 bye"`},
		{"surplus at the end", "S: 220 x\nC: HELP\nS: 214 *", `x.smtp:3: at the end: surplus reply "214 more"`},
		{"surplus at the end, C last", "S: 220 x\nC: NOOP", `x.smtp:2: at the end: surplus reply "250 NOOP"`},
		{"unread greeting", "C: NOOP\nS: 250 *", `x.smtp:1: surplus reply "220 x"`},
		{"closed early", "S: 220 x\nC: QUIT\nS: 221 *\nS: 250 *", `x.smtp:4: the server closed, want "250 *"`},
		{"not closed", "S: 220 x\nCLOSE", `x.smtp:2: the server did not close`},
		{"unknown directive", "S: 220 x\n@ fly high", `x.smtp:2: @ fly high: unknown directive "fly"`},
	} {
		script, err := Parse("x.smtp", strings.NewReader(tc.dialog))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		script.Settings = []Setting{{Key: "greeting", Value: "x"}}
		for _, split := range splits() {
			err := Play(script, memoryPeer{newServer(script)}, split)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, %s: error %v, want %q", tc.name, split, err, tc.want)
			}
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", "x.smtp: no dialog"},
		{"# nothing\n\nkey: value\n", "x.smtp: no dialog"},
		{"S: 220\nwhat", `x.smtp:2: unrecognized line: "what"`},
		{"S: 220\nkey: value", `x.smtp:2: setting "key" after the dialog has begun`},
		{"key: 1\nset key 2\nS: 220", `x.smtp:2: setting "key" is repeated`},
		{"S: ~ (", "x.smtp:1: regular expression"},
		{"S. 220", "x.smtp:1: S.: only the client"},
		{"C*0: x", "x.smtp:1: 0 times"},
		{`C. \q`, `x.smtp:1: unknown escape \q`},
		{`C. \x4`, `x.smtp:1: \x needs two`},
		{`C. \xgg`, `x.smtp:1: \x needs two`},
		{`C. \`, `x.smtp:1: a backslash at the end`},
		{"@", "x.smtp:1: a directive needs a name"},
		{"C 250", "x.smtp:1: unrecognized line"},
		{"Cx: 250\nC*y: 2", "x.smtp: no dialog"},
	} {
		_, err := Parse("x.smtp", strings.NewReader(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error %v, want %q", tc.text, err, tc.want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, script := range samples(t) {
		if script.Name != "pipelined.smtp" {
			continue
		}
		if v, ok := script.Setting("limits.recipients"); !ok || v != "2" || len(script.Settings) != 2 {
			t.Errorf("settings %+v", script.Settings)
		}
		if _, ok := script.Setting("limits"); ok {
			t.Error("found a setting that does not exist")
		}
		return
	}
	t.Error("no pipelined.smtp")
}

func TestUnescape(t *testing.T) {
	got, err := unescape(`a\r\n\t\0\\\x7f\xFF`)
	if want := "a\r\n\t\x00\\\x7f\xff"; err != nil || string(got) != want {
		t.Errorf("unescape: %q, %v; want %q", got, err, want)
	}
}

func TestPattern(t *testing.T) {
	for _, tc := range []struct {
		pattern, line string
		want          bool
	}{
		{"250 Ok", "250 Ok", true},
		{"250 Ok", "250 Ok ", false},
		{"250 *", "250 ", true},
		{"250 *", "250", false},
		{"250*Ok", "250 2.0.0 Ok", true},
		{"25*50", "250", false},
		{"*a*b*", "xaxbx", true},
		{"*a*b*", "xbxax", false},
		{"a*b*c", "abbc", true},
		{"~ 25.", "250", true},
		{"~ 25.", "2500", false},
		{"~ a|b", "ax", false},
	} {
		p, err := parsePattern(tc.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.match(tc.line); got != tc.want {
			t.Errorf("pattern %q, line %q: %t", tc.pattern, tc.line, got)
		}
	}
}

// TestDialogs checks that the transcripts in the directory dialogs can be parsed, and
// that in each the server speaks first, unless a load balancer does.
func TestDialogs(t *testing.T) {
	scripts, err := Load(Dialogs())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range scripts {
		names[s.Name] = true
		if _, proxied := s.Setting("proxy_networks"); s.steps[0].kind == stepSend && !proxied {
			t.Errorf("%s: the client sends first", s.Name)
		}
	}
	if !names["simple.smtp"] {
		t.Errorf("no simple.smtp among %v", names)
	}
}
