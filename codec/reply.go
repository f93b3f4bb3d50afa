// Package codec turns SMTP octets into values and values into octets (RFC 5321). It does
// no I/O, has no clock and keeps no octets: its callers own the buffers.
package codec

// Reply is one SMTP reply as a value (RFC 5321 §4.2). All replies that Sluice sends are
// defined in replies.go. No other file builds one, except the few whose text depends on
// the configuration (greeting, EHLO).
type Reply struct {
	// Code is the three-digit reply code (RFC 5321 §4.2.1).
	Code uint16
	// Enhanced is the enhanced status code (RFC 3463). It is zero for replies that carry
	// none: 3xx, the greeting, and the replies to HELO and EHLO (RFC 2034 §4).
	Enhanced EnhancedCode
	// Close means that the connection is closed after the reply.
	Close bool
	// Cause is the reason for the reply, a bounded label for metrics and logs:
	// snake_case, one constant for each Reply of the catalogue.
	Cause string
	// Lines are the text lines, at least one, without code, enhanced code and CRLF.
	Lines []string
}

// EnhancedCode is an enhanced mail system status code: class.subject.detail (RFC 3463 §2).
type EnhancedCode [3]uint8

// Append appends the encoded reply to dst and returns the extended slice. host is the
// first word of 221 and 421 (RFC 5321 §4.2.3); no other reply has it. A non-empty arg
// follows the text of the last line after one space. It carries a value that is known
// only at that moment, such as a message id. Append allocates only when dst has no room.
func (r *Reply) Append(dst []byte, host string, arg []byte) []byte {
	return r.encode(dst, r.Enhanced, host, arg)
}

// AppendPlain appends the reply without its enhanced code, as required in place of the
// greeting and in reply to HELO and EHLO (RFC 2034 §4).
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
			if line != "" {
				dst = append(dst, ' ')
			}
			dst = append(dst, arg...)
		}
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// Append appends the code as class.subject.detail.
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

// String returns the code as class.subject.detail.
func (e EnhancedCode) String() string { return string(e.Append(nil)) }
