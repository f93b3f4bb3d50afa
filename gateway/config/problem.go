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

// origin is where a key got its value from.
type origin struct {
	layer layer
	name  string                // the file, the variable or the flag
	line  int                   // in the file
	items []int                 // lines of a list's items
	got   string                // what was written
	quote func(line int) string // a line of the file, for an error message; nil elsewhere
}

// layer is one of the places that set keys; a later one overrides an earlier.
type layer uint8

const (
	byDefault layer = iota
	byFile
	byEnv
	byFlag
)

// String says where, as an error begins and as print remarks.
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

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Where    string // file:line, variable, flag or default
	Key      string // with the place in its list, if so
	Got      string
	Expected string
	Mend     string
	Quote    string // the line, for those who have no editor at hand

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
	if p.Mend != "" {
		b.WriteString("; " + p.Mend)
	}
	if p.Quote != "" {
		b.WriteString("\n" + p.Quote)
	}
	return b.String()
}

// Problems is all that is wrong with a configuration, in the order of the
// file, then of the environment and of the flags.
type Problems []Problem

// Error gives one problem after the other, each on a line of its own.
func (ps Problems) Error() string {
	var all []string
	for _, p := range ps {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n")
}

// err is nil when there is no problem.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.order, b.order) })
	return ps
}

// problem begins the report of something wrong at a place.
func (o origin) problem() Problem {
	p := Problem{Where: o.String(), order: int(o.layer)<<32 | o.line}
	if o.layer == byDefault { // what comes of nothing set is said last
		p.order = math.MaxInt
	}
	if o.quote != nil {
		p.Quote = o.quote(o.line)
	}
	return p
}

// problem is what a fault in a key's value says to the user.
func (k *key) problem(f *fault, o origin) Problem {
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
	p.Mend = "set e.g. " + k.setting(o)
	return p
}

// setting is a right setting, written as the wrong one was.
func (k *key) setting(o origin) string {
	switch o.layer {
	case byEnv:
		return o.name + "=" + plain(k.example)
	case byFlag:
		return o.name + " " + plain(k.example)
	default:
		return k.path + ": " + k.example
	}
}

// plain is one of the table's examples as the environment writes it.
func plain(example string) string {
	if strings.HasPrefix(example, "[{name: ") { // classes, which are YAML everywhere
		return example
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
