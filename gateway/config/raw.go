package config

import (
	"slices"
	"strconv"
)

// written is a value as somebody wrote it, before it has a type.
type written struct {
	kind   writtenKind
	text   string    // of a scalar
	items  []written // of a list
	fields []field   // of a section
	line   int       // in the file; 0 elsewhere
	note   string    // why it cannot be read at all, if so
}

// field is one entry of a section.
type field struct {
	name  string
	line  int
	value written
}

type writtenKind uint8

const (
	asNothing writtenKind = iota
	asText                // a YAML string
	asNumber              // a YAML integer
	asTruth               // a YAML boolean
	asList                // a YAML sequence
	asSection             // a YAML mapping
	asOther               // what no key takes: fractions, aliases, tags
	asPlain               // from the environment or a flag: text of whatever type the key has
)

// show is the value for an error message.
func (w written) show() string {
	switch w.kind {
	case asNothing:
		return "nothing"
	case asList:
		return "a list"
	case asSection:
		return "a section"
	case asText, asPlain:
		return strconv.Quote(w.text)
	default:
		return w.text
	}
}

// fault says that a value is not what its key takes.
type fault struct {
	got  string // the part of the value that is wrong
	at   string // where in the key's value, such as [0].address
	line int    // 0 for the line of the key itself
	why  string // what the key's expectation does not say by itself
}

// wrong is the fault of a value that is not of the key's type.
func (w written) wrong() *fault { return &fault{got: w.show(), line: w.line, why: w.note} }

// scalar says whether the value is one of the kinds, or text of any type.
func (w written) scalar(kinds ...writtenKind) bool {
	return w.kind == asPlain || slices.Contains(kinds, w.kind)
}
