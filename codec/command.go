package codec

import "bytes"

// Command is one decoded command line.
type Command struct {
	// Verb is the command's verb, VerbUnknown for every other word. With a
	// Fault it is what the line began with.
	Verb Verb
	// Arg is what follows the verb, without the white space around it. It
	// aliases the input and is valid until the caller discards that. It is
	// empty when the Fault is FaultLineTooLong.
	Arg []byte
	// Fault is FaultNone for a line that may be executed. Any other value makes
	// the event a syntax error that is answered and not executed.
	Fault Fault
}

// Decoder takes command lines out of a stream of octets. It keeps no octets: an
// incomplete line stays with the caller and is presented again with more behind
// it. The zero value is ready for the start of a session.
type Decoder struct {
	// scanned is how much of the line at the start of in is known to hold no
	// LF, so that a line that comes octet by octet is not searched again from
	// its start each time. It is at most MaxLine.
	scanned uint16
	// verb is the verb of the line that is being swallowed.
	verb  Verb
	flags decoderFlags
}

type decoderFlags uint8

const (
	// swallowing: the current line is over its limit.
	swallowing decoderFlags = 1 << iota
	// swallowedCR: the last octet that was swallowed is a CR.
	swallowedCR
	// tainted: the previous line ended in a bare LF.
	tainted
)

// A handshake of TLS begins with the type of its record and the major version of
// the protocol (RFC 8446 §5.1), and no command does. A client that sends one waits
// for the answer and may never send a CRLF.
const (
	tlsHandshake = 0x16
	tlsMajor     = 0x03
)

// Next decodes the first command in in, which holds all octets not yet
// discarded: it begins where it began in the previous call, or n octets later.
//
//   - ok: cmd is complete. The caller discards n octets once it is done with cmd.
//   - !ok && n > 0: n octets of an overlong line are to be discarded; call again
//     with what follows, if there is more.
//   - !ok && n == 0: more octets are needed.
//
// A line ends in CRLF and in nothing else (RFC 5321 §2.3.8). A bare LF ends it
// too as far as answering goes, so that who types LF sees an error and not
// silence, but that line is a fault, and so is the one behind it: whatever a
// front end that takes LF for a line end and one that does not may disagree on,
// nothing of it is executed.
//
// A line over its limit is swallowed to its end and gives one event, at that
// end. It can be endless: the caller's command timeout must run on while
// nothing but !ok is returned.
func (d *Decoder) Next(in []byte) (cmd Command, n int, ok bool) {
	if d.flags&swallowing != 0 {
		return d.swallow(in)
	}
	if len(in) > 1 && in[0] == tlsHandshake && in[1] == tlsMajor {
		d.endLine(true)
		d.scanned = 0
		return Command{Verb: VerbTLS}, 2, true
	}
	from := min(int(d.scanned), len(in))
	i := bytes.IndexByte(in[from:], '\n')
	if i < 0 {
		if len(in) >= lineLimit {
			if v, _ := parseVerb(in[:lineLimit]); len(in) >= int(lineLimits[v]) {
				d.scanned, d.verb = 0, v
				d.flags |= swallowing
				return d.swallow(in)
			}
		}
		d.scanned = uint16(len(in)) // below MaxLine: the limit was tested above
		return Command{}, 0, false
	}
	d.scanned = 0
	n = from + i + 1
	crlf := n >= 2 && in[n-2] == '\r'
	line := in[:n-1]
	if crlf {
		line = in[:n-2]
	}
	if n > lineLimit {
		if v, _ := parseVerb(in[:lineLimit]); n > int(lineLimits[v]) {
			d.endLine(crlf)
			return Command{Verb: v, Fault: FaultLineTooLong}, n, true
		}
	}
	verb, word := parseVerb(line)
	if verb == VerbUnknown && isRequestLine(line) {
		verb = VerbHTTP
	}
	cmd = Command{Verb: verb, Arg: trim(line[word:])}
	cmd.Fault = d.lineFault(line, crlf)
	if cmd.Fault == FaultNone && word == 0 && len(cmd.Arg) == 0 {
		cmd.Fault = FaultEmpty
	}
	d.endLine(crlf)
	return cmd, n, true
}

// swallow discards the rest of an overlong line and gives its one event at its
// end.
func (d *Decoder) swallow(in []byte) (cmd Command, n int, ok bool) {
	if len(in) == 0 {
		return Command{}, 0, false
	}
	i := bytes.IndexByte(in, '\n')
	if i < 0 {
		d.flags &^= swallowedCR
		if in[len(in)-1] == '\r' {
			d.flags |= swallowedCR
		}
		return Command{}, len(in), false
	}
	crlf := i > 0 && in[i-1] == '\r' || i == 0 && d.flags&swallowedCR != 0
	cmd = Command{Verb: d.verb, Fault: FaultLineTooLong}
	d.endLine(crlf)
	return cmd, i + 1, true
}

// endLine makes the decoder ready for the next line, which is tainted unless
// this one ended in CRLF.
func (d *Decoder) endLine(crlf bool) {
	d.verb, d.flags = VerbUnknown, 0
	if !crlf {
		d.flags = tainted
	}
}

// lineFault tells what is wrong with the octets of a line, given without its
// end. When there is more than one thing, the gravest for whoever reads along
// comes first.
func (d *Decoder) lineFault(line []byte, crlf bool) Fault {
	switch {
	case !crlf, d.flags&tainted != 0:
		return FaultBareLF
	case bytes.IndexByte(line, '\r') >= 0:
		return FaultBareCR
	case !hasNULOr8Bit(line):
		return FaultNone
	case bytes.IndexByte(line, 0) >= 0:
		return FaultNUL
	}
	return FaultEightBit
}
