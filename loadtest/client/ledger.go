package client

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Ledger is where receipts are written down: in memory and, as a JSON line each,
// to a writer. It is safe for concurrent use. The program that keeps it must
// outlive the server that it is about.
type Ledger struct {
	mu       sync.Mutex
	receipts []Receipt
	grown    chan struct{} // closed and renewed at each receipt
	out      io.Writer
	err      error
}

// NewLedger writes lines to out as well, which may be nil.
func NewLedger(out io.Writer) *Ledger {
	return &Ledger{out: out, grown: make(chan struct{})}
}

// Add writes a receipt down.
func (l *Ledger) Add(r Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts = append(l.receipts, r)
	close(l.grown)
	l.grown = make(chan struct{})
	if l.out == nil || l.err != nil {
		return
	}
	kept := map[string]any{
		"id": r.ID, "size": r.Size, "sha256": hex.EncodeToString(r.SHA256[:]), "begun": r.Begun, "at": r.At,
	}
	if e := r.Event; e != nil {
		kept["client"], kept["from"], kept["to"] = e.Client.Address, e.Envelope.MailFrom, e.Envelope.RcptTo
	}
	line, err := json.Marshal(kept)
	if err == nil {
		_, err = fmt.Fprintf(l.out, "%s\n", line)
	}
	l.err = err
}

// Len is the number of receipts so far, and a channel that is closed at the next.
func (l *Ledger) Len() (int, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.receipts), l.grown
}

// Receipts are all of them so far, and the first error in writing them out.
func (l *Ledger) Receipts() ([]Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Receipt(nil), l.receipts...), l.err
}
