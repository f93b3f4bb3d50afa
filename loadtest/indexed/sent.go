package indexed

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/corpus"
)

// Sent are the mails of a corpus that were answered 250.
type Sent struct {
	Mails []*corpus.Truth  // by their numbers
	IDs   map[string]int64 // the number of the mail of each id
}

// send sends the mails.
func (p *Proof) send(ctx context.Context, address string) (*Sent, error) {
	s := &Sent{Mails: make([]*corpus.Truth, p.Mails), IDs: map[string]int64{}}
	ledger := client.NewLedger(nil)
	senders := client.Senders{
		Address: address, Sessions: p.Sessions, Limit: int64(p.Mails), Seed: p.Corpus.Seed, Ledger: ledger,
		Compose: func(number int64) *client.Mail {
			m := p.Corpus.Mail(number - 1)
			s.Mails[number-1] = m.Truth // each by one session
			return &client.Mail{From: m.Truth.MailFrom, To: m.Truth.RcptTo, Content: m.Content}
		},
	}
	senders.Run(ctx, ctx)
	receipts, err := ledger.Receipts()
	if err != nil {
		return nil, err
	}
	numbers := map[string]int64{}
	for _, t := range s.Mails {
		if t != nil {
			numbers[t.SHA256] = t.Number
		}
	}
	for _, r := range receipts {
		s.IDs[r.ID] = numbers[hex.EncodeToString(r.SHA256[:])]
	}
	if tally := senders.Tally(); len(s.IDs) != p.Mails || tally != (client.Tally{}) {
		return nil, fmt.Errorf("%d of %d mails were answered 250, %+v", len(s.IDs), p.Mails, tally)
	}
	return s, nil
}

// await waits until the index has as many messages as were sent, or more.
func (s *Sent) await(ctx context.Context, x *Index) error {
	for {
		ids, err := x.IDs(ctx, nil)
		if err != nil {
			return err
		}
		if len(ids) >= len(s.IDs) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages were found: %w", len(ids), len(s.IDs), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// check compares each message of the index with the truth of its mail, and the results of
// searches, about as many as most at most, with what they have to find. It returns the
// number of searches, and what was wrong.
func (s *Sent) check(ctx context.Context, x *Index, most int) (searches int, wrong []string, err error) {
	seen := map[string]bool{}
	var newest string
	err = x.Find(ctx, nil, func(raw json.RawMessage) error {
		var shown corpus.Shown
		if err := json.Unmarshal(raw, &shown); err != nil {
			return err
		}
		number, known := s.IDs[shown.ID]
		switch {
		case !known:
			wrong = append(wrong, shown.ID+" was never answered 250")
		case seen[shown.ID]:
			wrong = append(wrong, shown.ID+" has two rows")
		case newest != "" && shown.ID > newest:
			wrong = append(wrong, shown.ID+" is not in order")
		default:
			wrong = append(wrong, s.compare(number, &shown)...)
		}
		seen[shown.ID], newest = true, shown.ID
		return nil
	})
	if err != nil {
		return 0, wrong, err
	}
	for id, number := range s.IDs {
		if !seen[id] {
			wrong = append(wrong, fmt.Sprintf("mail %d, %s, %s, has no row", number, s.Mails[number].Form, id))
		}
	}
	searches, more, err := s.search(ctx, x, most)
	return searches, append(wrong, more...), err
}

func (s *Sent) compare(number int64, shown *corpus.Shown) (wrong []string) {
	for _, w := range s.Mails[number].Compare(shown) {
		wrong = append(wrong, fmt.Sprintf("mail %d, %s, %s: %s", number, s.Mails[number].Form, shown.ID, w))
	}
	return wrong
}

// search does searches, three at a time.
func (s *Sent) search(ctx context.Context, x *Index, most int) (done int, wrong []string, err error) {
	all := corpus.Searches(s.Mails)
	random := rand.New(rand.NewPCG(uint64(len(all)), 0))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = append(all[:min(most, len(all))], s.others()...)
	todo := make(chan corpus.Search)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for search := range todo {
				w, e := s.one(ctx, x, search)
				mu.Lock()
				wrong, err = append(wrong, w...), cmp.Or(err, e)
				mu.Unlock()
			}
		})
	}
	for _, search := range all {
		todo <- search
	}
	close(todo)
	workers.Wait()
	return len(all), wrong, err
}

// others are searches that are not by words of mails.
func (s *Sent) others() []corpus.Search {
	everything := make([]int64, len(s.Mails))
	for i := range everything {
		everything[i] = int64(i)
	}
	others := []corpus.Search{
		{Field: "helo", Value: "CLIENT.example.org", Found: everything},
		{Field: "client", Value: "127.0.0.0/8", Found: everything},
		{Field: "client", Value: "127.0.0.1", Found: everything},
		{Field: "client", Value: "2001:db8::/32"},
		{Field: "since", Value: "24h", Found: everything},
		{Field: "until", Value: "24h"},
		{Field: "verdict", Value: "dmarc=pass"},
		{Field: "subject", Value: "innersubject"},
		{Field: "text", Value: "tooltip"},
		{Field: "text", Value: "hidden"},
		{Field: "from", Value: "'; DROP TABLE messages; -- x"},
		{Field: "subject", Value: `NEAR("x" AND) OR *`},
	}
	for _, t := range s.Mails {
		if t.Form == "long" {
			others = append(others, corpus.Search{Field: "text", Value: fmt.Sprintf("late%dlate", t.Number)})
		}
	}
	return others
}

// one does one search.
func (s *Sent) one(ctx context.Context, x *Index, search corpus.Search) (wrong []string, err error) {
	ids, err := x.IDs(ctx, url.Values{search.Field: {search.Value}})
	if err != nil {
		return nil, err
	}
	var got []int64
	for _, id := range ids {
		got = append(got, s.IDs[id])
	}
	slices.Sort(got)
	if search.Fits(got) {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s=%q finds the mails %s", search.Field, search.Value, s.difference(got, search.Found))}, nil
}

// difference says which numbers differ.
func (s *Sent) difference(got, want []int64) string {
	var b strings.Builder
	name := func(what string, in, not []int64) {
		for _, n := range in {
			if _, ok := slices.BinarySearch(not, n); !ok && b.Len() < 300 {
				fmt.Fprintf(&b, " %s %d (%s)", what, n, s.Mails[n].Form)
			}
		}
	}
	name("not", want, got)
	name("wrongly", got, want)
	return fmt.Sprintf("%d in place of %d:%s", len(got), len(want), b.String())
}
