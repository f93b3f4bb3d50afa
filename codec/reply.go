// Package codec turns SMTP octets into values and values into octets (RFC 5321).
// It does no I/O, knows no clock and keeps no octets: whoever calls it owns the
// buffers.
package codec

// Reply is one SMTP reply as a value (RFC 5321 §4.2). The texts of all replies
// that Sluice gives stand in replies.go; nothing else builds one, except the
// few whose text depends on the configuration (greeting, EHLO).
type Reply struct {
	// Code is the three-digit reply code (RFC 5321 §4.2.1).
	Code uint16
	// Enhanced is the enhanced status code (RFC 3463), zero for replies that
	// carry none: 3xx, the greeting, and the answers to HELO and EHLO
	// (RFC 2034 §4).
	Enhanced EnhancedCode
	// Close says that the connection is closed once the reply was sent.
	Close bool
	// Cause is why the reply was given, a bounded label for metrics and logs:
	// snake_case, one constant for each Reply of the catalogue.
	Cause string
	// Lines are the text lines, without code, enhanced code and CRLF; at least one.
	Lines []string
}

// EnhancedCode is an enhanced mail system status code: class.subject.detail (RFC 3463 §2).
type EnhancedCode [3]uint8

// Append encodes the reply onto dst and returns the extended slice. host is the
// first word of 221 and 421 (RFC 5321 §4.2.3); no other reply has it. arg, when
// it is not empty, is set behind the last line's text, after one space: it
// carries what only the moment knows (a message id). Append allocates only
// when dst has no room.
func (r *Reply) Append(dst []byte, host string, arg []byte) []byte {
	return r.encode(dst, r.Enhanced, host, arg)
}

// AppendPlain encodes the reply without its enhanced code, as it stands in place
// of the greeting and in answer to HELO and EHLO (RFC 2034 §4).
func (r *Reply) AppendPlain(dst []byte, host string, arg []byte) []byte {
	return r.encode(dst, EnhancedCode{}, host, arg)
}

func (r *Reply) encode(dst []byte, enhanced EnhancedCode, host string, arg []byte) []byte {
	for i, line := range r.Lines {
		last := i == len(r.Lines)-1
		dst = append(dst, '0'+byte(r.Code/100), '0'+byte(r.Code/10%10), '0'+byte(r.Code%10))
		if last {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, '-')
		}
		if enhanced[0] != 0 {
			dst = enhanced.Append(dst)
			dst = append(dst, ' ')
		}
		if i == 0 && (r.Code == 221 || r.Code == 421) {
			dst = append(dst, host...)
			dst = append(dst, ' ')
		}
		dst = append(dst, line...)
		if last && len(arg) > 0 {
			dst = append(dst, ' ')
			dst = append(dst, arg...)
		}
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// Append writes the code as class.subject.detail.
func (e EnhancedCode) Append(dst []byte) []byte {
	for i, n := range e {
		if i > 0 {
			dst = append(dst, '.')
		}
		if n >= 100 {
			dst = append(dst, '0'+n/100)
		}
		if n >= 10 {
			dst = append(dst, '0'+n/10%10)
		}
		dst = append(dst, '0'+n%10)
	}
	return dst
}

// String gives the code as class.subject.detail.
func (e EnhancedCode) String() string { return string(e.Append(nil)) }
