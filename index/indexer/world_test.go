package indexer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/index"
	"sluice/index/indexer"
	"sluice/internal/panics"
	"sluice/internal/testkit"
	"sluice/pipeline"
)

// world is all that an indexer depends on, in memory. Its hooks let it fail; they are
// called without its lock.
type world struct {
	t      testing.TB
	random *rand.Rand

	mu        sync.Mutex
	changed   chan struct{} // closed when records come
	topic     [][]indexer.Record
	committed []int64
	objects   map[string][]byte
	rows      map[pipeline.ID]*index.Message
	letters   []letter
	gets      []string
	deleted   []time.Time
	results   map[string]int
	outages   map[string]int
	found     []time.Duration
	log       testkit.Buffer

	open   func(ctx context.Context, key string, body io.Reader) (io.ReadCloser, error)
	insert func(rows []*index.Message) error
	after  func() error // an insert
	put    func(ctx context.Context) error
	poll   func() error
	commit func() error
}

type letter struct {
	record indexer.Record
	reason string
}

func newWorld(t testing.TB, partitions int) *world {
	return &world{
		t: t, random: rand.New(rand.NewPCG(1, 2)), changed: make(chan struct{}),
		topic: make([][]indexer.Record, partitions), committed: make([]int64, partitions),
		objects: map[string][]byte{}, rows: map[pipeline.ID]*index.Message{},
		results: map[string]int{}, outages: map[string]int{},
	}
}

// mail is a message that was stored.
type mail struct {
	id     pipeline.ID
	blob   pipeline.Blob
	digest pipeline.Digest
	event  []byte
}

const added = "Received: by sluice\r\n"

// describe makes the event of a message.
func (w *world) describe(id pipeline.ID, blob pipeline.Blob, text []byte) mail {
	blob.Store, blob.Bucket = "dir", "mail"
	blob.Length, blob.Added = int64(len(added)+len(text)), int64(len(added))
	m := &pipeline.Message{
		ID: id, ReceivedAt: id.Time(), Gateway: "mx.example",
		Client: pipeline.Client{Address: netip.MustParseAddrPort("192.0.2.1:25"), Protocol: "ESMTP"},
	}
	m.Envelope.SetReversePath(nil)
	m.Envelope.AddRecipient([]byte("to@example.org"))
	digest := pipeline.Digest(sha256.Sum256(text))
	return mail{id, blob, digest, pipeline.AppendEventOf(nil, m, &blob, &digest)}
}

func (w *world) newID(at time.Time) pipeline.ID { return pipeline.NewID(at, w.random) }

func text(n int) []byte {
	return []byte(fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", n, strings.Repeat("text ", n%50)))
}

// lone stores a message in an object of its own.
func (w *world) lone(text []byte) mail {
	id := w.newID(time.Now())
	m := w.describe(id, pipeline.Blob{Key: string(pipeline.AppendKey(nil, id))}, text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[m.blob.Key] = append([]byte(added), text...)
	return m
}

// pack stores messages in one object, with hole bytes before each.
func (w *world) pack(hole int, texts ...[]byte) []mail {
	key := strings.TrimSuffix(string(pipeline.AppendKey(nil, w.newID(time.Now()))), ".eml") + ".tar"
	var whole []byte
	var all []mail
	for _, text := range texts {
		whole = append(whole, make([]byte, hole)...)
		blob := pipeline.Blob{Key: key, Container: "tar", Offset: int64(len(whole))}
		all = append(all, w.describe(w.newID(time.Now()), blob, text))
		whole = append(append(whole, added...), text...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[key] = whole
	return all
}

// publish appends events to partitions in turn.
func (w *world) publish(mails ...mail) {
	for _, m := range mails {
		w.publishRecord([]byte(m.id.String()), m.event)
	}
}

func (w *world) publishRecord(key, value []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.random.IntN(len(w.topic))
	w.topic[p] = append(w.topic[p], indexer.Record{
		Topic: "mail", Partition: int32(p), Offset: int64(len(w.topic[p])), Key: key, Value: value,
	})
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) remove(mails ...mail) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range mails {
		delete(w.objects, m.blob.Key)
	}
}

// member is the Source of one indexer: it begins where the group has committed.
type member struct {
	*world
	next []int64
	// Since it has a partition: offset of the first record polled, and what it committed.
	first, mine map[int32]int64
}

// regain loses partitions and has them again, as a rebalance may do.
func (m *member) regain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.next {
		m.next[p] = m.committed[p]
	}
	clear(m.first)
	clear(m.mine)
}

func (m *member) Poll(ctx context.Context, most int) ([]indexer.Record, error) {
	for {
		if m.poll != nil {
			if err := m.poll(); err != nil {
				return nil, err
			}
		}
		m.mu.Lock()
		changed := m.changed
		var records []indexer.Record
		for p, all := range m.topic {
			for m.next[p] < int64(len(all)) && len(records) < most {
				records = append(records, all[m.next[p]])
				if _, known := m.first[int32(p)]; !known {
					m.first[int32(p)] = m.next[p]
				}
				m.next[p]++
			}
		}
		m.mu.Unlock()
		if len(records) > 0 {
			return records, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(time.Second):
			return nil, nil
		case <-changed:
		}
	}
}

func (m *member) Commit(_ context.Context, done []indexer.Record) error {
	if m.commit != nil {
		if err := m.commit(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range done {
		if first, known := m.first[r.Partition]; !known || r.Offset < first || r.Offset < m.mine[r.Partition] {
			continue
		}
		if r.Offset+1 <= m.committed[r.Partition] {
			m.t.Errorf("partition %d was committed up to %d, and then to %d", r.Partition, m.committed[r.Partition], r.Offset+1)
		}
		m.committed[r.Partition], m.mine[r.Partition] = r.Offset+1, r.Offset+1
	}
	return nil
}

func (m *member) Newest(context.Context) (newest []indexer.Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, all := range m.topic {
		if len(all) > 0 {
			newest = append(newest, all[len(all)-1])
		}
	}
	return newest, nil
}

func (w *world) Put(ctx context.Context, records []indexer.Record, reasons []string) error {
	if w.put != nil {
		if err := w.put(ctx); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, r := range records {
		w.letters = append(w.letters, letter{r, reasons[n]})
	}
	return nil
}

func (w *world) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	w.mu.Lock()
	whole, ok := w.objects[key]
	w.gets = append(w.gets, fmt.Sprintf("%s %d+%d", key, offset, length))
	w.mu.Unlock()
	var body io.Reader
	if ok {
		begin := min(offset, int64(len(whole)))
		body = bytes.NewReader(whole[begin : begin+min(length, int64(len(whole))-begin)])
	}
	if w.open != nil {
		return w.open(ctx, key, body)
	}
	return serve(body)
}

// serve is what a store does that does not fail.
func serve(body io.Reader) (io.ReadCloser, error) {
	if body == nil {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(body), nil
}

// database is the world as an index.Store.
type database struct{ *world }

func (d database) Insert(_ context.Context, messages []*index.Message) (inserted int, err error) {
	if d.insert != nil {
		if err := d.insert(messages); err != nil {
			return 0, err
		}
	}
	d.mu.Lock()
	ids := map[pipeline.ID]bool{}
	for _, m := range messages {
		if ids[m.ID] {
			d.t.Errorf("%s is twice in one insert", m.ID)
		}
		ids[m.ID] = true
		if d.rows[m.ID] == nil {
			d.rows[m.ID] = m
			inserted++
		}
	}
	d.mu.Unlock()
	if d.after != nil {
		return inserted, d.after()
	}
	return inserted, nil
}

func (database) Find(context.Context, *index.Query) (p index.Page, err error) { return p, nil }

func (database) Get(context.Context, pipeline.ID) (*index.Message, error) {
	return nil, index.ErrNotFound
}

func (d database) DeleteBefore(_ context.Context, t time.Time) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deleted = append(d.deleted, t)
	return 0, errors.New("not now")
}

func (database) Close() error { return nil }

func (w *world) Events(result string, n int) { w.note(func() { w.results[result] += n }) }

func (w *world) Batch(int, time.Duration) {}

func (w *world) Read(int, time.Duration, time.Duration) {}

func (w *world) Found(after time.Duration) { w.note(func() { w.found = append(w.found, after) }) }

func (w *world) Outage(dependency string, lasts bool) {
	w.note(func() {
		if lasts {
			w.outages[dependency]++
		} else {
			w.outages[dependency+" over"]++
		}
	})
}

func (w *world) Retained(int64, error) {}

func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) join() *member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &member{world: w, next: slices.Clone(w.committed), first: map[int32]int64{}, mine: map[int32]int64{}}
}

// start runs an indexer until stop is called.
func (w *world) start(change ...func(*indexer.Options)) (stop func()) {
	o := indexer.Options{
		Source: w.join(), DeadLetters: w, Objects: w, Store: database{w},
		Batch: 100, Workers: 3, Text: 1 << 10, Observer: w,
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- indexer.New(o).Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// atEnd reports whether all records are committed.
func (w *world) atEnd() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, all := range w.topic {
		if w.committed[p] != int64(len(all)) {
			return false
		}
	}
	return true
}

// awaitEnd waits until all records are committed, at most for limit of the bubble's time.
func (w *world) awaitEnd(limit time.Duration) {
	w.t.Helper()
	began := time.Now()
	for !w.atEnd() {
		time.Sleep(10 * time.Millisecond)
		if time.Since(began) > limit {
			w.t.Fatalf("committed %v of the topic within %v; results %v\n%s", w.committed, limit, w.results, w.log.String())
		}
	}
	synctest.Wait()
}

// checkRows requires that each of the messages has its row, and no other.
func (w *world) checkRows(mails ...mail) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	none := 0
	for _, m := range mails {
		row := w.rows[m.id]
		switch {
		case row == nil:
			none++
		case row.Blob.Key != m.blob.Key || row.Blob.Offset != m.blob.Offset || row.SHA256 != fmt.Sprintf("%x", m.digest):
			w.t.Errorf("the row of %s is %+v", m.id, row)
		}
	}
	if len(w.rows) != len(mails) || none > 0 {
		w.t.Errorf("%d rows of %d messages, %d of which have none", len(w.rows), len(mails), none)
	}
}

// checkLetters requires that the dead letters have these results, in any order.
func (w *world) checkLetters(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got, reasons []string
	for _, l := range w.letters {
		result, _, _ := strings.Cut(l.reason, ":")
		got, reasons = append(got, result), append(reasons, l.reason)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("dead letters %v, want %v\n%s", got, want, strings.Join(reasons, "\n"))
	}
}

// checkOutages requires how often a dependency could not be used, and could again.
func (w *world) checkOutages(dependency string, want int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if began, over := w.outages[dependency], w.outages[dependency+" over"]; began != want || over != want {
		w.t.Errorf("%s: %d outages began and %d were over, want %d", dependency, began, over, want)
	}
	if lines := strings.Count(w.log.String(), "dependency="+dependency); lines != 2*want {
		w.t.Errorf("%d lines about %s\n%s", lines, dependency, w.log.String())
	}
}

func TestMain(m *testing.M) {
	panics.Notify(func(panics.Place, any, []byte) {}) // the tests cause some
	os.Exit(m.Run())
}
