package client

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Composer makes mails that differ: sizes from a line to above a megabyte, 8-bit
// text, lines that begin with dots. Each has a sender and recipients of its own. The mail of a number is always the same for a
// seed, and carries a Message-ID of its own, by which a mail that was stored
// twice is known.
type Composer struct{ Seed uint64 }

// Compose makes the mail of a number.
func (c Composer) Compose(number int64) *Mail {
	random := rand.New(rand.NewPCG(c.Seed, uint64(number)))
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <sender@example.org>\r\nTo: <recipient@example.net>\r\nSubject: %d\r\nMessage-ID: <%d.%x@client.example.org>\r\n\r\n",
		number, number, c.Seed)
	for end := b.Len() + c.size(random); b.Len() < end; {
		switch random.IntN(40) {
		case 0:
			b.WriteString(".\r\n")
		case 1:
			b.WriteString("..dots\r\n")
		case 2:
			b.WriteString("Grüße, žluťoučký\r\n")
		default:
			line := 40 + random.IntN(39)
			for range line {
				b.WriteByte(byte('a' + random.IntN(26)))
			}
			b.WriteString("\r\n")
		}
	}
	m := &Mail{From: fmt.Sprintf("sender-%d@example.org", number), Content: b.Bytes()}
	for n := range 1 + random.IntN(4) {
		m.To = append(m.To, fmt.Sprintf("recipient-%d-%d@example.net", number, n))
	}
	if random.IntN(2) == 0 {
		m.Size = int64(b.Len())
	}
	return m
}

// size is mostly that of letters, sometimes that of pictures.
func (c Composer) size(random *rand.Rand) int {
	switch random.IntN(200) {
	case 0:
		return 1<<20 + random.IntN(1<<19)
	case 1, 2, 3, 4:
		return 64<<10 + random.IntN(128<<10)
	default:
		return random.IntN(16 << 10)
	}
}
