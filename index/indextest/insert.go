package indextest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// insert inserts messages once, again, and among others.
func insert(t *testing.T, s index.Store) {
	r := newRandom(1)
	mustInsert(t, s, 0)
	mustFind(t, s, index.Query{})
	first, second, third := r.message(noon, "s:first"), r.message(noon.Add(time.Hour), "s:second"), r.message(noon.Add(-time.Hour), "s:third")
	mustInsert(t, s, 1, first)
	mustInsert(t, s, 0, first)
	mustInsert(t, s, 2, second, first, third)

	// What comes again with other content does not change the row.
	again := *first
	again.MailFrom, again.Terms = "other@example.org", []string{"s:other"}
	mustInsert(t, s, 0, &again)
	mustGet(t, s, first)
	mustFind(t, s, index.Query{Terms: []string{"s:other"}})
	mustFind(t, s, index.Query{Terms: []string{"s:first"}}, first)
	mustFind(t, s, index.Query{}, first, second, third)

	if _, err := s.Get(t.Context(), pipeline.NewID(noon, r)); !errors.Is(err, index.ErrNotFound) {
		t.Errorf("a message that is not there: %v", err)
	}
}

// extremes inserts rows whose ids are of the first and the last time that there is. They
// are stored, or refused.
func extremes(t *testing.T, s index.Store) {
	first, last := newRandom(6).message(noon), newRandom(6).message(noon)
	first.ID, last.ID = pipeline.ID{}, pipeline.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 15: 0xff}
	var stored []*index.Message
	for _, m := range []*index.Message{first, last} {
		switch n, err := s.Insert(t.Context(), []*index.Message{m}); {
		case err == nil && n == 1:
			mustGet(t, s, m)
			stored = append(stored, m)
		case !errors.Is(err, index.ErrRefused) || n != 0:
			t.Errorf("%s: %d inserted, %v", m.ID, n, err)
		}
	}
	mustFind(t, s, index.Query{}, stored...)
}

// refused has a row in the midst of a batch refused, which then holds for all of it.
func refused(t *testing.T, s Subject) {
	store, r := s.Open(t), newRandom(2)
	batch := r.many(5)
	bad := *batch[2]
	s.Refuse(&bad)
	n, err := store.Insert(t.Context(), []*index.Message{batch[0], batch[1], &bad, batch[3], batch[4]})
	if n != 0 || !errors.Is(err, index.ErrRefused) {
		t.Errorf("%d inserted, %v", n, err)
	}
	mustFind(t, store, index.Query{})
	mustInsert(t, store, 5, batch...)
	mustFind(t, store, index.Query{}, batch...)
}

// roundTrip wants every field back, by Get and by Find.
func roundTrip(t *testing.T, s index.Store) {
	r := newRandom(3)
	full, empty := r.full(noon), &index.Message{ID: pipeline.NewID(noon, r), ReceivedAt: noon}
	skipped := r.message(noon)
	skipped.Verdicts = &pipeline.Verdicts{Skipped: pipeline.SkippedTrusted}
	mapped := r.message(noon.Add(-index.Slowest))
	mapped.ReceivedAt, mapped.Header.Date = noon, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	wide := r.message(noon)
	wide.Header.Date = time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)
	wide.Header.Subject.Text = "𝔘𝔫𝔦 \U0010FFFF \u0001\x7f\r\n\u2028" + strings.Repeat("😀", 1000)
	wide.MailFrom, wide.Blob.Key, wide.Client.Helo = `"a\"b'"@example.org`, "a'); DROP TABLE messages; --", "\U0001F4E7\uFFFD"
	all := []*index.Message{full, empty, skipped, mapped, wide}
	mustInsert(t, s, len(all), all...)
	for _, m := range all {
		mustGet(t, s, m)
	}
	mustFind(t, s, index.Query{}, all...)
}

// large inserts rows as large as they come, beside small ones.
func large(t *testing.T, s index.Store) {
	r := newRandom(4)
	crowd := r.message(noon)
	for i := range 3000 {
		crowd.RcptTo = append(crowd.RcptTo, fmt.Sprintf("%s.%d@example.net", strings.Repeat("r", 50), i))
	}
	index.SetTerms(crowd, "")
	wordy := r.message(noon)
	for i := range 40_000 {
		wordy.Terms = append(wordy.Terms, fmt.Sprintf("x:%s%d", strings.Repeat("é", 30), i))
	}
	wordy.Terms = sorted(wordy.Terms)
	parts := r.message(noon)
	for i := range 1000 {
		name := index.Text{Text: strings.Repeat("ñ", 2000) + fmt.Sprint(i)}
		parts.Parts = append(parts.Parts, index.Part{Number: fmt.Sprint(i + 1), Type: "a/b", Name: name, Size: 1})
	}
	small := r.message(noon, "s:small")
	mustInsert(t, s, 4, crowd, wordy, parts, small)
	for _, m := range []*index.Message{crowd, wordy, parts, small} {
		mustGet(t, s, m)
	}
	for _, i := range []int{0, 1, 1499, 2999} {
		mustFind(t, s, index.Query{Terms: []string{fmt.Sprintf("t:%s.%d@example.net", strings.Repeat("r", 50), i)}}, crowd)
	}
	for _, i := range []int{0, 1, 20_000, len(wordy.Terms) - 1} {
		mustFind(t, s, index.Query{Terms: []string{wordy.Terms[0], wordy.Terms[i]}}, wordy)
	}
	mustFind(t, s, index.Query{}, crowd, wordy, parts, small)
}

// deleteBefore deletes what is old. It leaves open what becomes of the day of the bound.
func deleteBefore(t *testing.T, s index.Store) {
	r := newRandom(5)
	var old, kept []*index.Message
	midnight := noon.Truncate(24 * time.Hour)
	for i := range 40 {
		old = append(old, r.message(midnight.Add(-time.Duration(i)*time.Hour-time.Millisecond), "s:all"))
		kept = append(kept, r.message(midnight.Add(time.Duration(i)*time.Hour), "s:all"))
	}
	late := *kept[0] // its id is old, though it was received later
	late.ID, late.ReceivedAt = pipeline.NewID(midnight.Add(-time.Minute), r), midnight.Add(time.Minute)
	mustInsert(t, s, 81, append(append([]*index.Message{&late}, old...), kept...)...)

	if n, err := s.DeleteBefore(t.Context(), midnight.Add(-90*24*time.Hour)); n != 0 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	mustFind(t, s, index.Query{Terms: []string{"s:all"}}, append(append([]*index.Message{&late}, old...), kept...)...)
	if _, err := s.DeleteBefore(t.Context(), midnight); err != nil {
		t.Fatal(err)
	}
	mustFind(t, s, index.Query{Terms: []string{"s:all"}}, kept...)
	mustFind(t, s, index.Query{}, kept...)
	if _, err := s.Get(context.Background(), old[0].ID); !errors.Is(err, index.ErrNotFound) {
		t.Errorf("a message that was deleted: %v", err)
	}
	mustInsert(t, s, 1, old[0]) // as an event that comes again
	mustFind(t, s, index.Query{Terms: []string{"s:all"}}, append(kept, old[0])...)
}
