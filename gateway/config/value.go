package config

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is one key's place in a Config. There is one type for each kind of
// key; a key's row in the table says which, with its bounds.
type value interface {
	// read takes what was written. It fails when that is not of the type.
	read(w written) *fault
	// check says whether the value, however it came, is within its bounds.
	check() *fault
	// String writes the value as YAML on one line, so that reading it again
	// gives the same.
	String() string
}

// bad is the fault of a value that is out of its bounds.
func bad(got string) *fault { return &fault{got: got} }

// wholeNumber is an integer within bounds.
type wholeNumber struct {
	at       *int
	min, max int
}

func (v wholeNumber) read(w written) *fault {
	if !w.scalar(asNumber) {
		return w.wrong()
	}
	n, err := strconv.ParseInt(w.text, 0, 32)
	if err != nil {
		return w.wrong()
	}
	*v.at = int(n)
	return nil
}

func (v wholeNumber) check() *fault {
	if *v.at < v.min || *v.at > v.max {
		return bad(v.String())
	}
	return nil
}

func (v wholeNumber) String() string { return strconv.Itoa(*v.at) }

// octets is a Size within bounds.
type octets struct {
	at       *Size
	min, max Size
}

func (v octets) read(w written) *fault {
	size, ok := parseSize(w.text)
	if !ok || !w.scalar(asText, asNumber) {
		return w.wrong()
	}
	*v.at = size
	return nil
}

func (v octets) check() *fault {
	if *v.at < v.min || *v.at > v.max {
		return bad(v.String())
	}
	return nil
}

func (v octets) String() string { return v.at.String() }

// share is a percentage of the memory, or a Size.
type share struct{ at *Share }

func (v share) read(w written) *fault {
	s, ok := parseShare(w.text)
	if !ok || !w.scalar(asText, asNumber) {
		return w.wrong()
	}
	*v.at = s
	return nil
}

// check leaves a quarter of the memory to everything else; what an absolute
// size is compared with is checked in validate.go.
func (v share) check() *fault {
	if v.at.Percent < 0 || v.at.Percent > 75 || v.at.Percent == 0 && v.at.Octets <= 0 {
		return bad(v.String())
	}
	return nil
}

func (v share) String() string { return v.at.String() }

// duration is a time within bounds.
type duration struct {
	at       *time.Duration
	min, max time.Duration
}

func (v duration) read(w written) *fault {
	d, err := time.ParseDuration(w.text)
	if err != nil || !w.scalar(asText, asNumber) {
		return w.wrong()
	}
	*v.at = d
	return nil
}

func (v duration) check() *fault {
	if *v.at < v.min || *v.at > v.max {
		return bad(v.String())
	}
	return nil
}

func (v duration) String() string { return ShortDuration(*v.at) }

// ShortDuration formats d as time.Duration does, without units that are zero: 5m where
// that returns 5m0s.
func ShortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// boolean is true or false.
type boolean struct{ at *bool }

func (v boolean) read(w written) *fault {
	if !w.scalar(asTruth) || w.text != "true" && w.text != "false" {
		return w.wrong()
	}
	*v.at = w.text == "true"
	return nil
}

func (v boolean) check() *fault  { return nil }
func (v boolean) String() string { return strconv.FormatBool(*v.at) }

// word is a text with a form.
type word struct {
	at *string
	ok func(string) bool
}

func (v word) read(w written) *fault {
	if !w.scalar(asText) {
		return w.wrong()
	}
	*v.at = w.text
	return nil
}

func (v word) check() *fault {
	if !v.ok(*v.at) {
		return bad(v.String())
	}
	return nil
}

func (v word) String() string { return strconv.Quote(*v.at) }

// filed is a value that may stand in a file, which the key with _file behind it names.
type filed interface {
	value
	readFile(w written) *fault
}

// keyName is the name of a key, which is no secret and changes with one.
type keyName struct {
	word
	file *string // it was read from, "" for none
}

func (v keyName) read(w written) *fault {
	*v.file = ""
	return v.word.read(w)
}

func (v keyName) readFile(w written) *fault {
	if !w.scalar(asText) {
		return w.wrong()
	}
	held, err := readSecretFile(w.text)
	if err != nil {
		return &fault{got: w.show(), line: w.line, why: reason(err)}
	}
	*v.at, *v.file = held.plain, w.text
	return nil
}

// choice is one of a few words.
type choice struct {
	at    *string
	of    []string
	later []string // words that are known, but not in this version
}

func (v choice) read(w written) *fault { return word{at: v.at}.read(w) }

func (v choice) check() *fault {
	if slices.Contains(v.of, *v.at) {
		return nil
	}
	f := bad(strconv.Quote(*v.at))
	if slices.Contains(v.later, *v.at) {
		f.why = "not built into this version"
	}
	return f
}

func (v choice) String() string { return *v.at }

// level is the least level that is logged.
type level struct{ at *slog.Level }

var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func (v level) read(w written) *fault {
	for _, l := range levels {
		if w.scalar(asText) && w.text == strings.ToLower(l.String()) {
			*v.at = l
			return nil
		}
	}
	return w.wrong()
}

func (v level) check() *fault {
	if !slices.Contains(levels, *v.at) {
		return bad(v.String())
	}
	return nil
}

func (v level) String() string { return strings.ToLower(v.at.String()) }

// hidden is a secret. Its file is read by the key that has _file behind it.
type hidden struct{ at *Secret }

func (v hidden) read(w written) *fault {
	// In the file "" is what a configuration without the secret is printed as; an
	// empty variable is a mistake.
	if !w.scalar(asText) || w.kind == asPlain && w.text == "" {
		return &fault{got: "a value that is not shown", line: w.line, why: w.note}
	}
	*v.at = Secret{plain: w.text}
	return nil
}

func (v hidden) check() *fault {
	if v.at.plain == redacted {
		return &fault{got: strconv.Quote(redacted), why: "what config print shows in the place of a secret"}
	}
	if !isPrintable(v.at.plain) {
		return bad("a value that is not shown")
	}
	return nil
}

func (v hidden) String() string { return strconv.Quote(v.at.String()) }

// readFile reads the secret from the file that was named.
func (v hidden) readFile(w written) *fault {
	if !w.scalar(asText) {
		return w.wrong()
	}
	secret, err := readSecretFile(w.text)
	if err != nil {
		return &fault{got: w.show(), line: w.line, why: reason(err)}
	}
	*v.at = secret
	return nil
}
