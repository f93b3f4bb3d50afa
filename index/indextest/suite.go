// Package indextest is the conformance suite of index.Store.
package indextest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"sluice/index"
	"sluice/pipeline"
)

// Subject is a kind of database.
type Subject struct {
	// Open opens a new, empty database and registers its cleanup with t.
	Open func(t *testing.T) index.Store
	// Refuse makes a row one that the database refuses for what it holds. It is nil if
	// there is no such row.
	Refuse func(m *index.Message)
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, index.Store)
	}{
		{"insert", insert},
		{"round trip", roundTrip},
		{"extremes", extremes},
		{"large", large},
		{"terms", findTerms},
		{"hostile terms", hostileTerms},
		{"client", findClient},
		{"time", findTime},
		{"pages", pages},
		{"one millisecond", oneMillisecond},
		{"cursor", wrongCursors},
		{"delete", deleteBefore},
		{"concurrent", concurrent},
		{"context", ended},
		{"model", model},
		{"close", closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.Open(t)) })
	}
	if s.Refuse != nil {
		t.Run("refused", func(t *testing.T) { refused(t, s) })
	}
}

// mustInsert inserts messages and wants this number of them to be new.
func mustInsert(t *testing.T, s index.Store, want int, messages ...*index.Message) {
	t.Helper()
	if n, err := s.Insert(context.Background(), messages); err != nil || n != want {
		t.Fatalf("%d of %d inserted, want %d: %v", n, len(messages), want, err)
	}
}

// mustGet wants to get the message as it is given.
func mustGet(t *testing.T, s index.Store, want *index.Message) {
	t.Helper()
	got, err := s.Get(context.Background(), want.ID)
	if err == nil {
		err = equal(got, want)
	}
	if err != nil {
		t.Fatalf("%s: %v", want.ID, err)
	}
}

// mustFind wants q to find exactly these messages.
func mustFind(t *testing.T, s index.Store, q index.Query, want ...*index.Message) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = index.MaxLimit
	}
	got, err := find(s, q)
	if err == nil {
		err = same(&q, got, slices.SortedFunc(slices.Values(want), newestFirst))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// find returns all that q finds, page by page, and checks what holds for every page.
func find(s index.Store, q index.Query) (found []*index.Message, err error) {
	for {
		page, err := s.Find(context.Background(), &q)
		if err != nil {
			return nil, fmt.Errorf("%.500v: %w", q, err)
		}
		if len(page.Messages) > q.Limit || len(page.Messages) < q.Limit && page.Cursor != "" {
			return nil, fmt.Errorf("a page of %d messages, limit %d, cursor %q", len(page.Messages), q.Limit, page.Cursor)
		}
		if len(page.Messages) == 0 && q.Cursor != "" {
			return nil, errors.New("a cursor, and nothing behind it")
		}
		found = append(found, page.Messages...)
		if q.Cursor = page.Cursor; q.Cursor == "" {
			return found, nil
		}
	}
}

// same compares what q has found with what it should find.
func same(q *index.Query, got, want []*index.Message) error {
	if !slices.Equal(ids(got), ids(want)) {
		return fmt.Errorf("%.500v finds %d, want %d:\n%s\nwant\n%s", *q, len(got), len(want), ids(got), ids(want))
	}
	for i := range got {
		if err := equal(got[i], want[i]); err != nil {
			return err
		}
	}
	return nil
}

// equal compares two rows, but for their terms. A list that is empty may be nil.
func equal(got, want *index.Message) error {
	if g, w := normal(got), normal(want); !reflect.DeepEqual(g, w) {
		return fmt.Errorf("%s differs:\n%.2000s\nwant\n%.2000s", want.ID, fmt.Sprintf("%+v", g), fmt.Sprintf("%+v", w))
	}
	return nil
}

// normal returns a copy of a row in one form.
func normal(m *index.Message) *index.Message {
	c := *m
	c.Terms = nil
	c.RcptTo, c.Parts, c.Defects = orNil(c.RcptTo), orNil(c.Parts), orNil(c.Defects)
	h := &c.Header
	h.References, h.From, h.To, h.Cc, h.ReplyTo = orNil(h.References), orNil(h.From), orNil(h.To), orNil(h.Cc), orNil(h.ReplyTo)
	if c.Verdicts != nil {
		v := *c.Verdicts
		v.DKIM = orNil(v.DKIM)
		c.Verdicts = &v
	}
	return &c
}

func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func ids(messages []*index.Message) (list []pipeline.ID) {
	for _, m := range messages {
		list = append(list, m.ID)
	}
	return list
}

// newestFirst compares messages in the order in which they are found.
func newestFirst(a, b *index.Message) int { return slices.Compare(b.ID[:], a.ID[:]) }
