package pipeline

// PartStore is an ObjectStore that takes a large message in parts while it is
// still arriving. The first part is held back and goes last, with Put, so that
// the trace fields can be written on top when the whole message was seen.
// Adapter: pipeline/s3.
type PartStore interface {
	ObjectStore
	// PartSize gives the octets of each part but the last.
	PartSize() int64
	// PutPart begins to upload a part and returns at once; it never blocks and
	// is called on event loops. The result comes exactly once, by p.Uploaded,
	// from any goroutine. The adapter begins the upload with the message's first
	// PutPart and keeps what it needs in p.Message.Upload, which it sets before
	// PutPart returns. From then on p.Message.Body is the first part, complete
	// and unchanged, and may be read until the result of p or of another part
	// under way; p.Body until p.Uploaded. The digest runs over the first part,
	// then parts 2, 3 … in the order of their PutPart.
	//
	// Put of a message with an Upload uploads Header and Body as the first part and
	// completes. It is called when all parts have had their result without an
	// error; a Put that fails leaves nothing pending.
	PutPart(p *Part)
	// Abort ends an upload that will not be completed, in the background: no
	// object and no pending upload stays. It is called when no part is under way
	// any more, instead of Put.
	Abort(upload any)
}

// Part is a piece of a large message, from the second on.
type Part struct {
	Parcel  // takes the part home to its loop
	Message *Message
	Number  int // from 2, as they stand in the message
	Body    Body
	Credit  int64 // octets of budget that the body holds
	Err     error // the result
}

// Uploaded takes the one result of PutPart.
func (p *Part) Uploaded(err error) {
	p.Err = err
	p.Message.Door.Post(&p.Parcel)
}

// NextPart begins the message's next part.
func (m *Message) NextPart(home func(*Part)) {
	m.Parts++
	p := &Part{Message: m, Number: m.Parts + 1}
	p.Open = func() { home(p) }
	m.Part = p
}

// Tail gives the body that is being filled: the first part's, or the newest's.
func (m *Message) Tail() (body *Body, credit *int64) {
	if m.Part != nil {
		return &m.Part.Body, &m.Part.Credit
	}
	return &m.Body, &m.Credit
}
