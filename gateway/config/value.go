package config

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is the typed field of one key in a Config. There is one type for each type of
// key. A key's row in the table says which, with its bounds.
type value interface {
	// read sets the field from w. It returns an error if w is not of the type.
	read(w rawValue) *valueError
	// check reports an error if the value, from whatever source, is out of its bounds.
	check() *valueError
	// String returns the value as YAML on one line. Reading that again yields the same
	// value.
	String() string
}

// outOfRange returns the error of a value that is out of its bounds.
func outOfRange(got string) *valueError { return &valueError{got: got} }

// integer is an int within bounds.
type integer struct {
	at       *int
	min, max int
}

func (v integer) read(w rawValue) *valueError {
	if !w.isScalar(kindInt) {
		return w.typeError()
	}
	n, err := strconv.ParseInt(w.text, 0, 32)
	if err != nil {
		return w.typeError()
	}
	*v.at = int(n)
	return nil
}

func (v integer) check() *valueError {
	if *v.at < v.min || *v.at > v.max {
		return outOfRange(v.String())
	}
	return nil
}

func (v integer) String() string { return strconv.Itoa(*v.at) }

// byteSize is a Size within bounds.
type byteSize struct {
	at       *Size
	min, max Size
}

func (v byteSize) read(w rawValue) *valueError {
	size, ok := parseSize(w.text)
	if !ok || !w.isScalar(kindString, kindInt) {
		return w.typeError()
	}
	*v.at = size
	return nil
}

func (v byteSize) check() *valueError {
	if *v.at < v.min || *v.at > v.max {
		return outOfRange(v.String())
	}
	return nil
}

func (v byteSize) String() string { return v.at.String() }

// memoryShare is a percentage of the memory, or a Size.
type memoryShare struct{ at *Share }

func (v memoryShare) read(w rawValue) *valueError {
	s, ok := parseShare(w.text)
	if !ok || !w.isScalar(kindString, kindInt) {
		return w.typeError()
	}
	*v.at = s
	return nil
}

// check leaves a quarter of the memory to everything else. validate.go compares an
// absolute size with the machine's memory.
func (v memoryShare) check() *valueError {
	if v.at.Percent < 0 || v.at.Percent > 75 || v.at.Percent == 0 && v.at.Octets <= 0 {
		return outOfRange(v.String())
	}
	return nil
}

func (v memoryShare) String() string { return v.at.String() }

// duration is a time within bounds.
type duration struct {
	at       *time.Duration
	min, max time.Duration
}

func (v duration) read(w rawValue) *valueError {
	d, err := time.ParseDuration(w.text)
	if err != nil || !w.isScalar(kindString, kindInt) {
		return w.typeError()
	}
	*v.at = d
	return nil
}

func (v duration) check() *valueError {
	if *v.at < v.min || *v.at > v.max {
		return outOfRange(v.String())
	}
	return nil
}

func (v duration) String() string { return ShortDuration(*v.at) }

// ShortDuration returns d as time.Duration formats it, without units that are zero: 5m
// instead of 5m0s.
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

func (v boolean) read(w rawValue) *valueError {
	if !w.isScalar(kindBool) || w.text != "true" && w.text != "false" {
		return w.typeError()
	}
	*v.at = w.text == "true"
	return nil
}

func (v boolean) check() *valueError { return nil }
func (v boolean) String() string     { return strconv.FormatBool(*v.at) }

// text is a string of a certain form.
type text struct {
	at *string
	ok func(string) bool
}

func (v text) read(w rawValue) *valueError {
	if !w.isScalar(kindString) {
		return w.typeError()
	}
	*v.at = w.text
	return nil
}

func (v text) check() *valueError {
	if !v.ok(*v.at) {
		return outOfRange(v.String())
	}
	return nil
}

func (v text) String() string { return strconv.Quote(*v.at) }

// fileValue is a value that may be in a file, named by the key with the suffix _file.
type fileValue interface {
	value
	readFile(w rawValue) *valueError
}

// keyName is the name of a key, which is not secret but is replaced along with one.
type keyName struct {
	text
	file *string // it was read from, "" for none
}

func (v keyName) read(w rawValue) *valueError {
	*v.file = ""
	return v.text.read(w)
}

func (v keyName) readFile(w rawValue) *valueError {
	if !w.isScalar(kindString) {
		return w.typeError()
	}
	held, err := readSecretFile(w.text)
	if err != nil {
		return &valueError{got: w.describe(), line: w.line, why: reason(err)}
	}
	*v.at, *v.file = held.plain, w.text
	return nil
}

// choice is one of a fixed set of words.
type choice struct {
	at    *string
	of    []string
	later []string // words that are known, but not supported in this version
}

func (v choice) read(w rawValue) *valueError { return text{at: v.at}.read(w) }

func (v choice) check() *valueError {
	if slices.Contains(v.of, *v.at) {
		return nil
	}
	f := outOfRange(strconv.Quote(*v.at))
	if slices.Contains(v.later, *v.at) {
		f.why = "not built into this version"
	}
	return f
}

func (v choice) String() string { return *v.at }

// level is the lowest level that is logged.
type level struct{ at *slog.Level }

var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func (v level) read(w rawValue) *valueError {
	for _, l := range levels {
		if w.isScalar(kindString) && w.text == strings.ToLower(l.String()) {
			*v.at = l
			return nil
		}
	}
	return w.typeError()
}

func (v level) check() *valueError {
	if !slices.Contains(levels, *v.at) {
		return outOfRange(v.String())
	}
	return nil
}

func (v level) String() string { return strings.ToLower(v.at.String()) }

// messageShare is the share of messages that have a line of the log.
type messageShare struct{ at *float64 }

// Shares with names.
const (
	allMessages = "all"
	noMessages  = "off"
)

func (v messageShare) read(w rawValue) *valueError {
	if !w.isScalar(kindString, kindInt, kindFraction) {
		return w.typeError()
	}
	switch w.text {
	case allMessages:
		*v.at = 1
	case noMessages:
		*v.at = 0
	default:
		share, err := strconv.ParseFloat(w.text, 64)
		if err != nil || !(share > 0 && share <= 1) {
			return w.typeError()
		}
		*v.at = share
	}
	return nil
}

func (v messageShare) check() *valueError {
	if !(*v.at >= 0 && *v.at <= 1) {
		return outOfRange(v.String())
	}
	return nil
}

func (v messageShare) String() string {
	switch *v.at {
	case 1:
		return allMessages
	case 0:
		return noMessages
	}
	return strconv.FormatFloat(*v.at, 'f', -1, 64)
}

// secretValue is a secret. The key with the suffix _file names its file.
type secretValue struct{ at *Secret }

func (v secretValue) read(w rawValue) *valueError {
	// In the file, "" is how a configuration without the secret is printed. An empty
	// variable is a mistake.
	if !w.isScalar(kindString) || w.kind == kindUntyped && w.text == "" {
		return &valueError{got: "a value that is not shown", line: w.line, why: w.note}
	}
	*v.at = Secret{plain: w.text}
	return nil
}

func (v secretValue) check() *valueError {
	if v.at.plain == redacted {
		return &valueError{got: strconv.Quote(redacted), why: "what config print shows in the place of a secret"}
	}
	if !isPrintable(v.at.plain) {
		return outOfRange("a value that is not shown")
	}
	return nil
}

func (v secretValue) String() string { return strconv.Quote(v.at.String()) }

// readFile reads the secret from the file named by w.
func (v secretValue) readFile(w rawValue) *valueError {
	if !w.isScalar(kindString) {
		return w.typeError()
	}
	secret, err := readSecretFile(w.text)
	if err != nil {
		return &valueError{got: w.describe(), line: w.line, why: reason(err)}
	}
	*v.at = secret
	return nil
}
