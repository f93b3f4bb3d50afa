// Package txt is the port through which the checks of a message ask the DNS for text.
package txt

import "context"

// Outcome is what became of a question.
type Outcome uint8

const (
	// Found means that there is at least one record of text.
	Found Outcome = iota
	// Absent means that the name exists, without text.
	Absent
	// NXDomain means that the name does not exist, nor any below it (RFC 8020).
	NXDomain
	// Failed means that nobody knows: no answer, a broken one, or a bound that was hit.
	Failed
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	if names := [...]string{"found", "absent", "nxdomain", "failed"}; int(o) < len(names) {
		return names[o]
	}
	return "unknown"
}

// Resolver asks the DNS.
type Resolver interface {
	// LookupTXT returns the text records at a name, the strings of each joined (RFC 1035
	// §3.3.14). The name is in ASCII, without a final dot. What ends the context is
	// Failed. It is safe for concurrent use, and it bounds what one message may ask.
	LookupTXT(ctx context.Context, name string) ([]string, Outcome)
}
