// Package smtptest reads .smtp transcripts and plays them against a server. A dialog is
// written once and runs against the session in memory, against the whole program over a
// socket, and as a load scenario.
//
// A transcript is a text file with one item per line:
//
//	# comment; empty lines are skipped too
//	key: value          a setting for the harness (also: set key value);
//	                    settings come before everything else
//	S: 250 2.1.0 Ok     the server sends exactly this line
//	S: 250 *            "*" stands for any text
//	S: ~ 25[01] .*      a regular expression (RE2) for the whole line
//	C: MAIL FROM:<>     the client sends this text and CRLF
//	C. NOOP\r\n         the client sends these octets: \r \n \t \0 \\ \xHH
//	C*100: NOOP         C: repeated a hundred times (likewise S*100: and C*100.)
//	FLUSH               everything sent so far is a write of its own
//	CLOSE               the server closes the connection
//	@ name arguments    a directive to the harness: @ advance 5m
//
// Successive C lines are one pipelined batch: a single write, unless the split says
// otherwise. The transcript is complete: a reply line that it does not name is an error.
package smtptest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Script is a parsed transcript.
type Script struct {
	// Name is the name given to Parse. Messages use it as a file name.
	Name string
	// Settings are the settings at the head, in order. Their meaning is up to the
	// harness, which should refuse those that it does not know.
	Settings []Setting
	steps    []step
}

// Setting is one line of a transcript's head.
type Setting struct {
	Key, Value string
	Line       int
}

// Setting returns the value of key; ok reports whether the head has it.
func (s *Script) Setting(key string) (value string, ok bool) {
	for _, setting := range s.Settings {
		if setting.Key == key {
			return setting.Value, true
		}
	}
	return "", false
}

type stepKind uint8

const (
	stepSend stepKind = iota
	stepFlush
	stepReply
	stepClose
	stepDirective
)

// step is one line of the dialog.
type step struct {
	kind    stepKind
	line    int
	octets  []byte  // stepSend
	want    pattern // stepReply
	name    string  // stepDirective
	args    string  // stepDirective
	repeats int     // at least 1
}

// Parse reads a transcript. An error names the file and line: "name:3: …".
func Parse(name string, r io.Reader) (*Script, error) {
	p := parser{script: &Script{Name: name}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.line++
		if err := p.parseLine(lines.Text()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, p.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, p.line+1, err)
	}
	if len(p.script.steps) == 0 {
		return nil, fmt.Errorf("%s: no dialog", name)
	}
	return p.script, nil
}

type parser struct {
	script *Script
	line   int
}

func (p *parser) parseLine(text string) error {
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "", trimmed[0] == '#':
		return nil
	case trimmed == "FLUSH":
		return p.add(step{kind: stepFlush})
	case trimmed == "CLOSE":
		return p.add(step{kind: stepClose})
	case trimmed[0] == '@':
		name, args, _ := strings.Cut(strings.TrimSpace(trimmed[1:]), " ")
		if name == "" {
			return fmt.Errorf("a directive needs a name: %q", text)
		}
		return p.add(step{kind: stepDirective, name: name, args: strings.TrimSpace(args)})
	}
	if speaker, repeats, form, rest, ok := cutSpeaker(text); ok {
		return p.parseSpeech(speaker, form, rest, repeats)
	}
	return p.parseSetting(strings.TrimSpace(text))
}

// cutSpeaker removes "C:", "S:", "C." or one of them with "*N" from a line, and one space
// after it.
func cutSpeaker(text string) (speaker byte, repeats int, form byte, rest string, ok bool) {
	if text == "" || text[0] != 'C' && text[0] != 'S' {
		return 0, 0, 0, "", false
	}
	i := strings.IndexAny(text, ":.")
	if i < 0 {
		return 0, 0, 0, "", false
	}
	repeats = 1
	if i > 1 {
		n, err := strconv.Atoi(strings.TrimPrefix(text[1:i], "*"))
		if err != nil || text[1] != '*' {
			return 0, 0, 0, "", false
		}
		repeats = n
	}
	return text[0], repeats, text[i], strings.TrimPrefix(text[i+1:], " "), true
}

func (p *parser) parseSpeech(speaker, form byte, text string, repeats int) error {
	if repeats < 1 || repeats > 1_000_000 {
		return fmt.Errorf("%d times: want 1 to 1000000", repeats)
	}
	if speaker == 'S' {
		if form != ':' {
			return fmt.Errorf("S%c: only the client sends raw octets", form)
		}
		want, err := parsePattern(text)
		if err != nil {
			return err
		}
		return p.add(step{kind: stepReply, want: want, repeats: repeats})
	}
	octets := []byte(text + "\r\n")
	if form == '.' {
		var err error
		if octets, err = unescape(text); err != nil {
			return err
		}
	}
	return p.add(step{kind: stepSend, octets: octets, repeats: repeats})
}

func (p *parser) parseSetting(text string) error {
	key, value, ok := strings.Cut(text, ":")
	if rest, isSet := strings.CutPrefix(text, "set "); isSet {
		key, value, ok = strings.Cut(strings.TrimSpace(rest), " ")
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || strings.ContainsAny(key, " \t") {
		return fmt.Errorf("unrecognized line: %q", text)
	}
	if len(p.script.steps) > 0 {
		return fmt.Errorf("setting %q after the dialog has begun; settings come first", key)
	}
	if _, ok := p.script.Setting(key); ok {
		return fmt.Errorf("setting %q is repeated", key)
	}
	p.script.Settings = append(p.script.Settings, Setting{Key: key, Value: value, Line: p.line})
	return nil
}

func (p *parser) add(s step) error {
	s.line = p.line
	s.repeats = max(s.repeats, 1)
	p.script.steps = append(p.script.steps, s)
	return nil
}

// unescape returns the octets of the text of a "C." line.
func unescape(text string) ([]byte, error) {
	var octets []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			octets = append(octets, text[i])
			continue
		}
		i++
		if i == len(text) {
			return nil, fmt.Errorf("a backslash at the end of %q", text)
		}
		switch text[i] {
		case 'r':
			octets = append(octets, '\r')
		case 'n':
			octets = append(octets, '\n')
		case 't':
			octets = append(octets, '\t')
		case '0':
			octets = append(octets, 0)
		case '\\':
			octets = append(octets, '\\')
		case 'x':
			if i+2 >= len(text) {
				return nil, fmt.Errorf(`\x needs two hexadecimal digits in %q`, text)
			}
			c, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				return nil, fmt.Errorf(`\x needs two hexadecimal digits in %q`, text)
			}
			octets = append(octets, byte(c))
			i += 2
		default:
			return nil, fmt.Errorf(`unknown escape \%c in %q`, text[i], text)
		}
	}
	return octets, nil
}
