package pipeline

// AppendOrigin writes onto dst, as JSON, what of a message's event its stored
// octets do not tell: which gateway took it, from whom, and the envelope, in the
// event's own fields. A store that keeps it beside the object allows the event to
// be made again; all else of it follows from the octets and the key.
func AppendOrigin(dst []byte, m *Message) []byte {
	dst = append(dst, `{"gateway":`...)
	dst = appendString(dst, m.Gateway)
	dst = appendClient(dst, &m.Client)
	dst = appendEnvelope(dst, &m.Envelope)
	return append(dst, '}')
}
