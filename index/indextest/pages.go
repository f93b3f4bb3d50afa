package indextest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// pages reads thousands of messages page by page while others come and go.
func pages(t *testing.T, s index.Store) {
	r := newRandom(20)
	all := r.many(2200)
	for batch := range slices.Chunk(all, 500) {
		mustInsert(t, s, len(batch), batch...)
	}
	for _, limit := range []int{1000, 199} {
		mustFind(t, s, index.Query{Limit: limit}, all...)
	}
	mustFind(t, s, index.Query{Terms: []string{"s:7"}, Limit: 1}, all[7])

	for _, q := range []index.Query{{Limit: 150}, {Limit: 150, Terms: []string{"s:all"}}} {
		seen := map[pipeline.ID]bool{}
		for i := 0; ; i++ {
			page, err := s.Find(t.Context(), &q)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page.Messages {
				if seen[m.ID] {
					t.Fatalf("%s twice", m.ID)
				}
				seen[m.ID] = true
			}
			if q.Cursor = page.Cursor; q.Cursor == "" {
				break
			}
			// Some are newer than the page, some older, some in the midst of it.
			at := time.Duration((i*577)%2500) * time.Millisecond
			mustInsert(t, s, 2, r.message(noon.Add(at), "s:all"), r.message(noon.Add(at).Add(time.Microsecond), "s:all"))
		}
		for _, m := range all {
			if !seen[m.ID] {
				t.Fatalf("%s is missing", m.ID)
			}
		}
	}
}

// oneMillisecond has more messages of one millisecond than a page, between others.
func oneMillisecond(t *testing.T, s index.Store) {
	r := newRandom(21)
	var all []*index.Message
	for i := range 2000 {
		all = append(all, r.message(noon.Add(time.Duration(max(i-1900, 0))*time.Millisecond/50), "s:all"))
	}
	// Ids that differ in their last bits alone.
	for i := range 100 {
		m := r.message(noon)
		m.ID, m.Terms = all[0].ID, []string{"s:all"}
		m.ID[15], m.ID[14] = byte(i), m.ID[14]^1
		all = append(all, m)
	}
	first, second := all[:1000], all[1000:]
	mustInsert(t, s, len(first), first...)
	mustInsert(t, s, len(second), second...)
	mustInsert(t, s, 0, all[500:1500]...)
	for _, limit := range []int{1000, 300} {
		mustFind(t, s, index.Query{Limit: limit, Terms: []string{"s:all"}}, all...)
		mustFind(t, s, index.Query{Limit: limit}, all...)
	}
	for _, m := range all[1950:] {
		mustGet(t, s, m)
	}
}

// wrongCursors wants whatever is no cursor to be refused.
func wrongCursors(t *testing.T, s index.Store) {
	all := newRandom(22).many(5)
	mustInsert(t, s, 5, all...)
	page, err := s.Find(t.Context(), &index.Query{Limit: 2})
	if err != nil || page.Cursor == "" {
		t.Fatalf("cursor %q, %v", page.Cursor, err)
	}
	c := page.Cursor
	for _, wrong := range []string{
		"0", "-1", "x", " ", "\x00", "\xff", "'", "' OR 1=1 --", "9999999999999999999", strings.Repeat("f", 1<<20), "null", "{}", "%", "=",
		c + "0", c + " ", " " + c, c[:len(c)-1], c[1:], c + c, c + "\x00",
	} {
		if _, err := s.Find(t.Context(), &index.Query{Limit: 2, Cursor: wrong}); !errors.Is(err, index.ErrCursor) {
			t.Errorf("the cursor %.50q: %v", wrong, err)
		}
	}
	// A cursor holds for another search, and when its message is gone.
	rest, err := s.Find(t.Context(), &index.Query{Limit: 10, Cursor: c, Terms: []string{"s:all"}})
	if err != nil || !slices.Equal(ids(rest.Messages), []pipeline.ID{all[2].ID, all[1].ID, all[0].ID}) || rest.Cursor != "" {
		t.Errorf("%v, cursor %q, %v", ids(rest.Messages), rest.Cursor, err)
	}
	if _, err := s.DeleteBefore(context.Background(), noon.Add(48*time.Hour).Truncate(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if rest, err = s.Find(t.Context(), &index.Query{Limit: 10, Cursor: c}); err != nil || len(rest.Messages) > 0 || rest.Cursor != "" {
		t.Errorf("%v, cursor %q, %v", ids(rest.Messages), rest.Cursor, err)
	}
}
