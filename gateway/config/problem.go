package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
)

// origin is the place where a key was set.
type origin struct {
	layer layer
	name  string                // of the file, the variable or the flag
	line  int                   // in the file
	items []int                 // lines of a list's items
	got   string                // the value as written
	quote func(line int) string // returns a line of the file, for an error message; nil elsewhere
}

// layer is one of the sources that set keys; a later one overrides an earlier.
type layer uint8

const (
	byDefault layer = iota
	byFile
	byEnv
	byFlag
)

// String returns the place, as errors begin with it and Print adds it to keys.
func (o origin) String() string {
	switch {
	case o.layer == byDefault:
		return "default"
	case o.line > 0:
		return o.name + ":" + strconv.Itoa(o.line)
	default:
		return o.name
	}
}

// Problem is one problem of a configuration.
type Problem struct {
	Where    string // file:line, variable, flag or default
	Key      string // with the index in a list, if any
	Got      string
	Expected string
	Hint     string
	Quote    string // the line of the file, for readers without an editor at hand

	order int // by source, then by line
}

// Error implements error.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Where)
	for _, part := range []string{p.Key, p.Got} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	if p.Expected != "" {
		b.WriteString(": expected " + p.Expected)
	}
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	if p.Quote != "" {
		b.WriteString("\n" + p.Quote)
	}
	return b.String()
}

// Problems are all problems of a configuration, in the order of the file, then of the
// environment and of the flags.
type Problems []Problem

// Error returns the problems one after the other, each on a line of its own.
func (ps Problems) Error() string {
	var all []string
	for _, p := range ps {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n")
}

// err returns ps as an error, sorted, and nil if there is no problem.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.order, b.order) })
	return ps
}

// problem returns a Problem at the place o, to be completed by the caller.
func (o origin) problem() Problem {
	p := Problem{Where: o.String(), order: int(o.layer)<<32 | o.line}
	if o.layer == byDefault { // problems of defaults come last
		p.order = math.MaxInt
	}
	if o.quote != nil {
		p.Quote = o.quote(o.line)
	}
	return p
}

// problem returns the Problem that reports f, an error in the value of k.
func (k *key) problem(f *valueError, o origin) Problem {
	var item int
	switch _, err := fmt.Sscanf(f.at, "[%d]", &item); {
	case f.line > 0:
		o.line = f.line
	case err == nil && item < len(o.items):
		o.line = o.items[item]
	}
	p := o.problem()
	p.Key, p.Got, p.Expected = k.path+f.at, "got "+f.got, k.expected
	if f.why != "" {
		p.Got += " (" + f.why + ")"
	}
	p.Hint = "set e.g. " + k.setting(o, cmp.Or(f.example, k.example))
	return p
}

// setting returns a setting of k to an example, in the form of the place o.
func (k *key) setting(o origin, example string) string {
	switch o.layer {
	case byEnv:
		return o.name + "=" + plain(example)
	case byFlag:
		return o.name + " " + plain(example)
	default:
		return k.path + ": " + example
	}
}

// plain returns an example of the table as the environment writes it.
func plain(example string) string {
	if strings.HasPrefix(example, "[{") && strings.Contains(example, "_networks: ") ||
		strings.HasPrefix(example, "[{name: ") || strings.HasPrefix(example, "[{cert_file: ") {
		return example // YAML everywhere
	}
	if list, found := strings.CutPrefix(example, "["); found {
		example = strings.TrimSuffix(list, "]")
	}
	return strings.NewReplacer("{address: ", "", "}", "", `"`, "", ", ", ",").Replace(example)
}

// reason is an error of the file system without the path, which stands before.
func reason(err error) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
