package indextest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// pair is a database and what it is compared with.
type pair struct {
	random
	store index.Store
	model *Memory
}

// model makes random operations and compares the database with Memory.
func model(t *testing.T, s index.Store) {
	p := pair{newRandom(50), s, &Memory{}}
	for i := range 400 {
		step := p.find
		switch op := p.IntN(100); {
		case op < 50:
			step = p.insert
		case op < 53:
			step = p.get
		case op < 55:
			step = p.delete
		}
		if err := step(); err != nil {
			t.Fatalf("operation %d: %v", i, err)
		}
	}
}

// vocabulary returns a term of few.
func (p *pair) vocabulary() string { return fmt.Sprintf("%c:%d", "fts"[p.IntN(3)], p.IntN(5)) }

// moment returns a time of three days, often the same.
func (p *pair) moment() time.Time {
	return noon.AddDate(0, 0, p.IntN(3)).Add(time.Duration(p.IntN(20)) * time.Hour / 4)
}

func (p *pair) address() netip.Addr {
	switch p.IntN(5) {
	case 0:
		return netip.Addr{}
	case 1:
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(p.IntN(8))})
	}
	return netip.AddrFrom4([4]byte{10, byte(p.IntN(2)), 0, byte(p.IntN(8))})
}

// known returns a row that is there, or nil.
func (p *pair) known() *index.Message {
	if len(p.model.rows) == 0 {
		return nil
	}
	return p.model.rows[p.IntN(len(p.model.rows))]
}

func (p *pair) insert() error {
	var batch []*index.Message
	for range p.IntN(10) {
		var terms []string
		for range p.IntN(6) {
			terms = append(terms, p.vocabulary())
		}
		m := p.message(p.moment(), terms...)
		m.Client.Address = p.address()
		m.ReceivedAt = m.ReceivedAt.Add(time.Duration(p.IntN(5)) * index.Slowest / 4)
		batch = append(batch, m)
	}
	if m := p.known(); m != nil && p.IntN(2) == 0 {
		again := *m
		again.MailFrom = "changed@example.org"
		batch = append(batch, &again)
	}
	want, _ := p.model.Insert(context.Background(), batch)
	if n, err := p.store.Insert(context.Background(), batch); err != nil || n != want {
		return fmt.Errorf("%d inserted, want %d: %w", n, want, err)
	}
	return nil
}

func (p *pair) find() error {
	q := index.Query{Limit: 1 + p.IntN(30)}
	for range p.IntN(3) {
		q.Terms = append(q.Terms, p.vocabulary())
	}
	q.Terms = sorted(q.Terms)
	if p.IntN(3) == 0 {
		q.Since = p.moment()
	}
	if p.IntN(3) == 0 {
		q.Until = p.moment()
	}
	if a := p.address(); a.IsValid() && p.IntN(3) == 0 {
		q.Client = netip.PrefixFrom(a, p.IntN(a.BitLen()+1)).Masked()
	}
	want, _ := find(p.model, index.Query{Terms: q.Terms, Client: q.Client, Since: q.Since, Until: q.Until, Limit: 100})
	got, err := find(p.store, q)
	if err != nil {
		return err
	}
	return same(&q, got, want)
}

func (p *pair) get() error {
	id := pipeline.NewID(noon, p)
	if m := p.known(); m != nil && p.IntN(5) > 0 {
		id = m.ID
	}
	want, wantErr := p.model.Get(context.Background(), id)
	got, err := p.store.Get(context.Background(), id)
	if err != nil || wantErr != nil {
		if !errors.Is(err, wantErr) {
			return fmt.Errorf("%s: %w, want %w", id, err, wantErr)
		}
		return nil
	}
	return equal(got, want)
}

// delete deletes before midnight, which all databases can do exactly.
func (p *pair) delete() error {
	before := noon.Truncate(24*time.Hour).AddDate(0, 0, p.IntN(3))
	if _, err := p.model.DeleteBefore(context.Background(), before); err != nil {
		return err
	}
	_, err := p.store.DeleteBefore(context.Background(), before)
	return err
}
