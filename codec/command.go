package codec

import "bytes"

// Command is one decoded command line.
type Command struct {
	// Verb is the verb of the command, VerbUnknown for any other word. With a Fault it is
	// the verb that the line began with.
	Verb Verb
	// Arg is the text after the verb, without surrounding white space. It aliases the
	// input and is valid until the caller discards that. It is empty when the Fault is
	// FaultLineTooLong.
	Arg []byte
	// Fault is FaultNone for a line that may be executed. Any other value marks a syntax
	// error, which is answered and not executed.
	Fault Fault
}

// Decoder takes command lines from a stream of octets. It buffers no octets: an
// incomplete line stays with the caller, who presents it again with more input after it.
// The zero value is ready for the start of a session.
type Decoder struct {
	// scanned is the length of the prefix of in that is known to hold no LF, at most
	// MaxAuthLine. Without it, a line that arrives octet by octet would be searched from its
	// start each time.
	scanned uint16
	// verb is the verb of the overlong line that is being discarded.
	verb  Verb
	flags decoderFlags
}

type decoderFlags uint8

const (
	// swallowing means that the current line is over its limit and is being discarded.
	swallowing decoderFlags = 1 << iota
	// swallowedCR means that the last discarded octet is a CR.
	swallowedCR
	// tainted means that the previous line ended in a bare LF.
	tainted
	// offersAuth means that lines of AUTH may have authLimit octets.
	offersAuth
)

// OfferAuth sets whether AUTH is offered, so that its lines may have MaxAuthLine octets.
func (d *Decoder) OfferAuth(offered bool) {
	d.flags &^= offersAuth
	if offered {
		d.flags |= offersAuth
	}
}

// limit returns the longest line of a verb.
func (d *Decoder) limit(v Verb) int {
	if v == VerbAUTH && d.flags&offersAuth != 0 {
		return authLimit
	}
	return int(lineLimits[v])
}

// Next decodes the first command in in, which holds all octets not yet discarded. in
// begins where it began in the previous call, or n octets later.
//
//   - ok: cmd is complete. The caller discards n octets once it is done with cmd.
//   - !ok && n > 0: n octets of an overlong line are to be discarded. The caller calls
//     again with the octets after them, if there are any.
//   - !ok && n == 0: more octets are needed.
//
// Only CRLF ends a line (RFC 5321 §2.3.8). A bare LF also ends it for the purpose of
// replying, so that a user who types LF sees an error and not silence. But that line is a
// fault, and so is the next one. A front end that takes LF for the end of a line may
// disagree with one that does not about both lines, so neither is executed.
//
// A line over its limit is discarded up to its end and yields one event, at that end. It
// can be endless: the caller's command timeout must run on while Next returns only !ok.
func (d *Decoder) Next(in []byte) (cmd Command, n int, ok bool) {
	if d.flags&swallowing != 0 {
		return d.swallow(in)
	}
	// A TLS handshake begins with the type and the major version of its record, and no
	// command does. A client that sends one waits for the answer and may never send a CRLF.
	if len(in) > 1 && in[0] == tlsHandshake && in[1] == tlsMajor {
		d.endLine(true)
		d.scanned = 0
		return Command{Verb: VerbTLS}, 2, true
	}
	from := min(int(d.scanned), len(in))
	i := bytes.IndexByte(in[from:], '\n')
	if i < 0 {
		if len(in) >= lineLimit {
			if v, _ := parseVerb(in[:lineLimit]); len(in) >= d.limit(v) {
				d.scanned, d.verb = 0, v
				d.flags |= swallowing
				return d.swallow(in)
			}
		}
		d.scanned = uint16(len(in)) // below its limit, which was tested above
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
		if v, _ := parseVerb(in[:lineLimit]); n > d.limit(v) {
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

// NextResponse decodes the first line in in as a response of the client in an exchange of
// AUTH (RFC 4954 §4): it has no verb, and at most MaxAuthLine octets. line aliases the
// input. Otherwise it is as Next.
func (d *Decoder) NextResponse(in []byte) (line []byte, fault Fault, n int, ok bool) {
	if d.flags&swallowing != 0 {
		cmd, n, ok := d.swallow(in)
		return nil, cmd.Fault, n, ok
	}
	from := min(int(d.scanned), len(in))
	i := bytes.IndexByte(in[from:], '\n')
	if i < 0 {
		if len(in) >= authLimit {
			d.scanned, d.verb = 0, VerbUnknown
			d.flags |= swallowing
			_, n, _ = d.swallow(in)
			return nil, FaultNone, n, false
		}
		d.scanned = uint16(len(in))
		return nil, FaultNone, 0, false
	}
	d.scanned = 0
	n = from + i + 1
	crlf := n >= 2 && in[n-2] == '\r'
	line = in[:n-1]
	if crlf {
		line = in[:n-2]
	}
	if fault = d.lineFault(line, crlf); n > authLimit {
		line, fault = nil, FaultLineTooLong
	}
	d.endLine(crlf)
	return line, fault, n, true
}

// swallow discards the rest of an overlong line and returns its one event at the end of
// the line.
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

// endLine prepares the decoder for the next line, which is tainted unless this one ended
// in CRLF.
func (d *Decoder) endLine(crlf bool) {
	d.verb, d.flags = VerbUnknown, d.flags&offersAuth
	if !crlf {
		d.flags |= tainted
	}
}

// lineFault returns the fault of the octets of line, which is given without its end. Of
// several faults it returns the one most dangerous to other programs that parse the line.
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
