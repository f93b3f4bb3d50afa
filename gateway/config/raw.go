package config

import (
	"slices"
	"strconv"
)

// rawValue is a value as written in a source, before it has a type.
type rawValue struct {
	kind   rawKind
	text   string     // of a scalar
	items  []rawValue // of a list
	fields []field    // of a section
	line   int        // in the file; 0 elsewhere
	note   string     // the reason why it cannot be read, if any
}

// field is one entry of a mapping.
type field struct {
	name  string
	line  int
	value rawValue
}

type rawKind uint8

const (
	kindNone     rawKind = iota
	kindString           // a YAML string
	kindInt              // a YAML integer
	kindFraction         // a YAML number with a fraction
	kindBool             // a YAML boolean
	kindList             // a YAML sequence
	kindMapping          // a YAML mapping
	kindOther            // accepted by no key: aliases, tags
	kindUntyped          // from the environment or a flag: text, for a key of any type
)

// describe returns the value for an error message.
func (w rawValue) describe() string {
	switch w.kind {
	case kindNone:
		return "nothing"
	case kindList:
		return "a list"
	case kindMapping:
		return "a section"
	case kindString, kindUntyped:
		return strconv.Quote(w.text)
	default:
		return w.text
	}
}

// valueError says why a value is not valid for its key.
type valueError struct {
	got  string // the invalid part of the value
	at   string // its place in the key's value, such as [0].address
	line int    // 0 for the line of the key itself
	why  string // the reason, if the key's expectation does not state it
	// example is a valid value that has what is wrong here, "" for that of the key.
	example string
}

// typeError returns the error of a value that is not of the key's type.
func (w rawValue) typeError() *valueError {
	return &valueError{got: w.describe(), line: w.line, why: w.note}
}

// isScalar reports whether the value is of one of the kinds, or untyped.
func (w rawValue) isScalar(kinds ...rawKind) bool {
	return w.kind == kindUntyped || slices.Contains(kinds, w.kind)
}
