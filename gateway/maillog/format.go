package maillog

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/gateway/driver"
	"sluice/pipeline"
)

const (
	// maxValue is the number of bytes that a line has of a value from a client.
	maxValue = 256
	// maxListed and maxList bound the recipients that the line of a message names, and
	// their bytes.
	maxListed = 10
	maxList   = 1 << 10
)

// field is the name of an attribute, with what stands around it in each format: one piece
// is faster to append than three.
type field struct{ json, text string }

func newField(name string) field { return field{`,"` + name + `":`, " " + name + "="} }

// The fields of the line of a message (docs/log.md).
var (
	fieldID           = newField("id")
	fieldSession      = newField("session")
	fieldClient       = newField("client")
	fieldProxy        = newField("proxy")
	fieldProxyID      = newField("proxy_id")
	fieldProxyTLS     = newField("proxy_tls")
	fieldHelo         = newField("helo")
	fieldProtocol     = newField("protocol")
	fieldTLS          = newField("tls")
	fieldCipher       = newField("cipher")
	fieldUser         = newField("user")
	fieldBackend      = newField("backend")
	fieldFrom         = newField("from")
	fieldRecipients   = newField("recipients")
	fieldMessageID    = newField("message_id")
	fieldOctets       = newField("octets")
	fieldSPF          = newField("spf")
	fieldDKIM         = newField("dkim")
	fieldDMARC        = newField("dmarc")
	fieldAuthor       = newField("author")
	fieldDisposition  = newField("disposition")
	fieldSeconds      = newField("seconds")
	fieldStoreSeconds = newField("store_seconds")
	fieldLogSeconds   = newField("log_seconds")
	fieldKey          = newField("key")
	fieldOffset       = newField("offset")
	fieldLength       = newField("length")
	fieldTopic        = newField("topic")
	fieldPartition    = newField("partition")
	fieldEventOffset  = newField("event_offset")
	fieldTo           = newField("to")
)

// lineFormat writes lines in the form that slog gives them. slog's own handlers need
// several allocations for a line.
type lineFormat struct{ json bool }

// appendAcceptance appends the line of an accepted message.
func (f lineFormat) appendAcceptance(dst []byte, a *driver.Acceptance) []byte {
	m := a.Message
	dst = f.begin(dst, a.At, "accepted")
	dst = f.close(m.ID.Append(f.open(dst, fieldID)))
	dst = f.close(a.Session.Append(f.open(dst, fieldSession)))
	dst = f.close(m.Client.Address.AppendTo(f.open(dst, fieldClient)))
	if p := m.Client.Proxy; p != nil {
		dst = f.close(p.Address.Unmap().AppendTo(f.open(dst, fieldProxy)))
		if p.UniqueID != "" {
			dst = appendValue(f, dst, fieldProxyID, p.UniqueID)
		}
		if p.TLS != nil {
			dst = appendValue(f, dst, fieldProxyTLS, p.TLS.Version)
		}
	}
	dst = appendValue(f, dst, fieldHelo, m.Client.Helo)
	dst = appendValue(f, dst, fieldProtocol, m.Client.Protocol)
	if t := m.Client.TLS; t != nil {
		dst = appendValue(f, dst, fieldTLS, t.Version)
		dst = appendValue(f, dst, fieldCipher, t.Cipher)
	}
	if u := m.Client.Auth; u != nil {
		dst = appendValue(f, dst, fieldUser, u.Identity)
		dst = appendValue(f, dst, fieldBackend, u.Backend)
	}
	dst = appendValue(f, dst, fieldFrom, m.Envelope.ReversePath())
	dst = f.recipients(dst, &m.Envelope)
	dst = f.number(dst, fieldRecipients, int64(m.Envelope.Recipients()))
	dst = appendValue(f, dst, fieldMessageID, m.Summary.MessageID)
	dst = f.number(dst, fieldOctets, m.Decoded)
	if v := m.Verdicts; v != nil && v.Skipped == "" {
		dst = appendValue(f, dst, fieldSPF, v.SPF.Result)
		dst = appendValue(f, dst, fieldDKIM, bestSignature(v))
		dst = appendValue(f, dst, fieldDMARC, v.DMARC.Result)
		dst = appendValue(f, dst, fieldAuthor, v.DMARC.From)
		dst = appendValue(f, dst, fieldDisposition, v.Disposition)
	}
	dst = f.seconds(dst, fieldSeconds, a.Took)
	dst = f.seconds(dst, fieldStoreSeconds, m.Took[pipeline.StageStoring])
	dst = f.seconds(dst, fieldLogSeconds, m.Took[pipeline.StagePublishing])
	dst = appendValue(f, dst, fieldKey, m.Result.Blob.Key)
	dst = f.number(dst, fieldOffset, m.Result.Blob.Offset)
	dst = f.number(dst, fieldLength, m.Result.Blob.Length)
	if at := m.Result.Event; at.Topic != "" {
		dst = appendValue(f, dst, fieldTopic, at.Topic)
		dst = f.number(dst, fieldPartition, int64(at.Partition))
		dst = f.number(dst, fieldEventOffset, at.Offset)
	}
	return f.end(dst)
}

// bestSignature returns pass if a signature has passed, else the result of the first one.
func bestSignature(v *pipeline.Verdicts) string {
	best := "none"
	for i := range v.DKIM {
		if result := v.DKIM[i].Result; i == 0 || result == "pass" {
			best = result
		}
	}
	return best
}

// begin appends the time, the level and the text of a line.
func (f lineFormat) begin(dst []byte, at time.Time, text string) []byte {
	if f.json {
		dst = append(dst, `{"time":"`...)
		dst = at.AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, `","level":"INFO","msg":"`...)
		return append(append(dst, text...), '"')
	}
	dst = append(dst, "time="...)
	dst = appendMillis(dst, at)
	dst = append(dst, " level=INFO msg="...)
	return append(dst, text...)
}

// appendMillis appends a time with milliseconds. It takes the way of slog: the layout of
// RFC3339Nano is formatted much faster than others, and a tenth of a millisecond makes it
// write exactly four digits.
func appendMillis(dst []byte, at time.Time) []byte {
	const digits = len("2006-01-02T15:04:05.000")
	start := len(dst)
	dst = at.Truncate(time.Millisecond).Add(time.Millisecond/10).AppendFormat(dst, time.RFC3339Nano)
	return append(dst[:start+digits], dst[start+digits+1:]...)
}

func (f lineFormat) end(dst []byte) []byte {
	if f.json {
		dst = append(dst, '}')
	}
	return append(dst, '\n')
}

// name appends the name of an attribute.
func (f lineFormat) name(dst []byte, name field) []byte {
	if f.json {
		return append(dst, name.json...)
	}
	return append(dst, name.text...)
}

// open appends the name of an attribute whose value is plain text, and what opens it.
func (f lineFormat) open(dst []byte, name field) []byte {
	if dst = f.name(dst, name); f.json {
		dst = append(dst, '"')
	}
	return dst
}

// close appends what closes the value of an attribute that open has begun.
func (f lineFormat) close(dst []byte) []byte {
	if f.json {
		dst = append(dst, '"')
	}
	return dst
}

func (f lineFormat) number(dst []byte, name field, n int64) []byte {
	return strconv.AppendInt(f.name(dst, name), n, 10)
}

// seconds appends a duration in seconds, to the microsecond.
func (f lineFormat) seconds(dst []byte, name field, d time.Duration) []byte {
	whole, rest := max(d, 0)/time.Second, max(d, 0)%time.Second/time.Microsecond
	dst = f.number(dst, name, int64(whole))
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for digit := 100 * time.Millisecond / time.Microsecond; rest > 0; digit /= 10 {
		dst = append(dst, '0'+byte(rest/digit))
		rest %= digit
	}
	return dst
}

// recipients appends the first recipients of a message: a list in JSON, in text with
// commas between them.
func (f lineFormat) recipients(dst []byte, e *pipeline.Envelope) []byte {
	listed, size, plain := 0, 0, true
	for ; listed < min(e.Recipients(), maxListed); listed++ {
		to := clip(e.Recipient(listed))
		if size += len(to); size > maxList {
			break
		}
		plain = plain && isPlain(to)
	}
	dst = f.name(dst, fieldTo)
	opens, closes := `"`, `"`
	switch {
	case f.json:
		opens, closes = "[", "]"
	case plain && (size > 0 || listed > 1):
		opens, closes = "", ""
	}
	dst = append(dst, opens...)
	for i := range listed {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch to := clip(e.Recipient(i)); {
		case f.json:
			dst = appendJSON(dst, to)
		case plain:
			dst = append(dst, to...)
		default:
			dst = appendEscaped(dst, to)
		}
	}
	return append(dst, closes...)
}

// appendValue appends an attribute whose value is any text.
func appendValue[T string | []byte](f lineFormat, dst []byte, name field, value T) []byte {
	dst, value = f.name(dst, name), clip(value)
	switch {
	case f.json:
		return appendJSON(dst, value)
	case len(value) > 0 && isPlain(value):
		return append(dst, value...)
	}
	dst = append(dst, '"')
	return append(appendEscaped(dst, value), '"')
}

// clip returns the beginning of a value, at most maxValue bytes.
func clip[T string | []byte](value T) T { return value[:min(len(value), maxValue)] }

// runeAt returns the rune at value[i:] and its size. A conversion of all of value would
// allocate.
func runeAt[T string | []byte](value T, i int) (rune, int) {
	return utf8.DecodeRuneInString(string(value[i:min(len(value), i+utf8.UTFMax)]))
}

// isPlain reports whether slog.TextHandler writes a value, if it is not empty, without
// quotes.
func isPlain[T string | []byte](value T) bool {
	for i := 0; i < len(value); {
		c := value[i]
		if c <= ' ' || c == '"' || c == '=' {
			return false
		}
		if c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := runeAt(value, i)
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return false
		}
		i += size
	}
	return true
}

// appendEscaped appends a value as strconv.Quote has it, without the quotes.
func appendEscaped[T string | []byte](dst []byte, value T) []byte {
	start := 0
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"' || c == '\\':
			dst = append(append(dst, value[start:i]...), '\\')
			start = i
		case c < ' ' || c > '~': // rare: this allocates
			quoted := strconv.Quote(string(value[i:]))
			return append(append(dst, value[start:i]...), quoted[1:len(quoted)-1]...)
		}
	}
	return append(dst, value[start:]...)
}

// appendJSON appends a value as slog.JSONHandler has it, a JSON string (RFC 8259 §7).
// Bytes that are not UTF-8 become U+FFFD.
func appendJSON[T string | []byte](dst []byte, value T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf {
			i++
			if c >= ' ' && c != '"' && c != '\\' {
				continue
			}
			dst = append(append(dst, value[start:i-1]...), '\\')
			start = i
			switch c {
			case '"', '\\':
				dst = append(dst, c)
			case '\n':
				dst = append(dst, 'n')
			case '\r':
				dst = append(dst, 'r')
			case '\t':
				dst = append(dst, 't')
			default:
				dst = append(dst, 'u', '0', '0', digits[c>>4], digits[c&15])
			}
			continue
		}
		r, size := runeAt(value, i)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, value[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // ends a line for some readers
			dst = append(append(dst, value[start:i]...), `\u202`...)
			dst = append(dst, digits[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(dst, value[start:]...), '"')
}
