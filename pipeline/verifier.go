package pipeline

// Verifier finds out whether a message is from who it claims to be: SPF, DKIM, DMARC. It
// is told of a message while that arrives, and its verdict comes before the message is
// stored. Adapter: gateway/verify.
//
// Its methods are called on event loops: they never block. Its clock, its resolver and
// its deadline are its own.
type Verifier interface {
	// Begin is told of MAIL, so that what concerns the client and the sender may be looked
	// up. It returns the state of the verification, which is not nil. It may read m.Client
	// and m.Envelope.ReversePath() during the call, and nothing of m afterwards: the client
	// may begin another transaction at any time.
	Begin(m *Message) (state any)
	// Read takes the next piece of the message whose state is p.State: its header, then its
	// text in order, which may be no piece at all, and then its end. Each piece has exactly
	// one result, by p.Done, from any goroutine, possibly before Read returns; that of the
	// header comes before that of the end. No piece comes behind the end, or after Drop.
	//
	// The result of a header comes as soon as it was read, without waiting for anybody: no
	// part of a large message leaves before, and a message whose header was not read is not
	// accepted. That of a text likewise, as its memory is held until then. That of the end
	// is the verdict, soon after the verifier's deadline at the latest.
	Read(p *Piece)
	// Drop ends a verification whose verdict nobody wants any more: the message is given up,
	// or its verdict is overdue. Pieces in flight still have their results, soon, and what
	// they say does not matter. Drop is not called once the verdict has come home, but it
	// may be while that is on its way.
	Drop(state any)
	// Overdue is called once for each message whose verdict did not come in time, after
	// Drop. It returns the verdict instead: temperror. Its Verdicts belong to the caller.
	Overdue() Verdict
}

// PieceKind says what a Piece is.
type PieceKind uint8

const (
	// PieceHeader is the header of a message with the empty line that ends it, or all of a
	// message that has no such line. Its octets are as they came.
	PieceHeader PieceKind = iota
	// PieceText is some of the text below the header.
	PieceText
	// PieceEnd is the end of a message, the final dot. It has no octets.
	PieceEnd
)

// Piece is some of a message on its way to the Verifier and back. It belongs to the
// verifier from Read until it calls Done.
type Piece struct {
	Task  // takes the piece back to its loop
	Kind  PieceKind
	State any // of the verification
	// Chunks are the octets in order, to be read only, until Done. Those of a header may
	// change afterwards: forged fields are renamed in place.
	Chunks [][]byte
	// TooLong says that the header goes on beyond Chunks: it is too long to be read, and
	// what follows is among the text. Fields in it may be forged all the same.
	TooLong bool

	// The results, which the verifier sets before Done.

	// Forged are the places in a header where the name of a field stands that claims to be
	// ours: Authentication-Results, in any case. They are renamed to X-Spoofed-Auth-Results.
	Forged []int
	// Verdict is that of the end.
	Verdict Verdict
	// Err says that the piece could not be read or judged: the message is refused for now.
	Err error

	Part *Part // whose text it is, nil for the first part
	loop Poster
}

// Done takes the result of Read and sends the piece to its loop. It is called once, and the
// verifier must not touch the piece afterwards.
func (p *Piece) Done() { p.loop.Post(&p.Task) }

// Verdict is what a Verifier makes of a message.
type Verdict struct {
	// Field is Authentication-Results (RFC 8601) with the CRLF that ends it. It stands on
	// top of the stored message, above Received.
	Field []byte
	// Name is the host name of the client, a domain that its address has confirmed, for
	// Received. It may be empty.
	Name string
	// Verdicts are for the event. The loop sets in them how many fields were renamed.
	Verdicts *Verdicts
	// Refusal is a *Failure of KindDMARC, KindSPF, KindSPFError, KindUnverified or
	// KindPolicy when the message is to be refused. Nothing is stored or published then.
	Refusal error
}
