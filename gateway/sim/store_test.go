package sim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"sluice/pipeline"
)

var errFault = errors.New("simulated fault")

// errRefused is the fault of a log that certainly has not taken the event.
var errRefused = &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "log", Err: errFault, NoEffect: true}

// object is what the store keeps of a message: all of it, and its digest below
// the bytes that Sluice added.
type object struct {
	body   string
	digest pipeline.Digest
}

// store is the object store of the world. It lives through every kill.
type store struct {
	w       *world
	objects map[string]object
	uploads map[*upload]struct{}
	packs   map[string][]byte
	lines   map[[2]string]string // the events of packs, by pack and message
}

// upload is one that was begun and neither completed nor aborted.
type upload struct {
	p     *process
	parts map[int]string
}

func newStore(w *world) *store {
	return &store{w: w, objects: map[string]object{}, uploads: map[*upload]struct{}{}, packs: map[string][]byte{}, lines: map[[2]string]string{}}
}

// slabUse is a slab that the store reads, with what it held when it was given.
type slabUse struct {
	sum     uint64
	readers int
}

// sumOf is FNV-1a over whole words: fast, and enough to see a change.
func sumOf(b []byte) uint64 {
	var t trace
	t.hash = 14695981039346656037
	for i := 0; i < len(b); i += 64 {
		t.number(uint64(b[i]) | uint64(len(b)-i)<<8)
	}
	return t.hash
}

// lend notes that the store reads a body, until the result.
func (p *process) lend(b *pipeline.Body) func() {
	chunks := append([][]byte{}, b.Chunks()...)
	for _, c := range chunks {
		if len(c) == 0 {
			continue
		}
		use := p.slabs[&c[0]]
		if use == nil {
			use = &slabUse{sum: sumOf(c)}
			p.slabs[&c[0]] = use
		} else if use.sum != sumOf(c) {
			p.w.fail("a slab has two owners")
		}
		use.readers++
	}
	return func() {
		for _, c := range chunks {
			if len(c) == 0 {
				continue
			}
			use := p.slabs[&c[0]]
			if use.sum != sumOf(c) {
				p.w.fail("a slab was written while the store read it")
			}
			if use.readers--; use.readers == 0 {
				delete(p.slabs, &c[0])
			}
		}
	}
}

func text(b *pipeline.Body) string {
	var all []byte
	for _, c := range b.Chunks() {
		all = append(all, c...)
	}
	return string(all)
}

// outage is a time in which the store or the log takes nothing and answers nothing.
type outage struct{ to time.Duration }

// pace draws how long a request takes.
func (w *world) pace(late int, o outage) time.Duration {
	if o.to > w.now && !w.calm {
		return o.to - w.now + w.within(40*time.Millisecond)
	}
	if w.fault("silent request", w.plan.silent) { // until a deadline, or long after all of them
		return [...]time.Duration{timeouts.Store, timeouts.Message, 30 * time.Second}[w.random.IntN(3)]
	}
	if w.fault("late answer", late) {
		return w.within(15 * time.Second)
	}
	return w.within(40 * time.Millisecond)
}

// Put implements pipeline.ObjectStore.
func (s *store) Put(m *pipeline.Message) {
	s.w.process.verifier.stores(m, s.whole(m))
	if b := s.w.process.batcher; b.Accepts(m) {
		if !b.Put(m) {
			refuse(m)
		}
		return
	}
	s.alone(m, noLimit, func(error) {})
}

// noLimit is longer than any request takes.
const noLimit = time.Hour

// alone puts a message as an object of its own, which fails after limit. then is called
// after its result.
func (s *store) alone(m *pipeline.Message, limit time.Duration, then func(error)) {
	w, p := s.w, s.w.process
	giveBack := p.lend(&m.Body)
	u, _ := m.Parts.Upload.(*upload)
	if u != nil {
		if _, open := s.uploads[u]; !open {
			w.fail("an upload was completed that is not open")
		}
	}
	err := error(nil)
	if w.fault("store error", w.plan.storeError) {
		err = errFault
	}
	id, length, added := m.ID.String(), m.Length(), int64(len(m.Header))
	var kept object
	effect := func() {
		if err != nil && (u != nil || w.chance(500)) {
			delete(s.uploads, u) // a Put that fails leaves nothing pending
			return
		}
		whole := s.whole(m)
		kept = object{whole, sha256.Sum256([]byte(whole))}
		s.objects[id] = kept
		delete(s.uploads, u)
	}
	w.note("put", 0, int(length))
	took := w.pace(w.plan.storeLate, w.storeOut)
	if took > limit {
		took, err = limit, errLate
	}
	w.begin(took, effect, func() {
		giveBack()
		blob := pipeline.Blob{Store: "sim", Key: id, Length: added + int64(len(kept.body)), Added: added}
		m.Stored(blob, kept.digest, err)
		then(err)
	})
}

// whole returns a message as the store gets it by Put.
func (s *store) whole(m *pipeline.Message) string {
	whole := text(&m.Body)
	if u, _ := m.Parts.Upload.(*upload); u != nil {
		for n := 2; n < 2+len(u.parts); n++ {
			whole += u.parts[n]
		}
	}
	return whole
}

// Remove implements pipeline.RemovingStore.
func (s *store) Remove(key string) {
	if _, found := s.objects[key]; !found {
		s.w.fail("an object was removed that is not there: %q", key)
	}
	s.w.note("remove", 0, 0)
	s.w.begin(s.w.within(time.Second), func() { delete(s.objects, key) }, func() {})
}

// partStore is a store that takes large messages in parts.
type partStore struct{ *store }

// PartSize implements pipeline.PartStore.
func (s partStore) PartSize() int64 { return partSize }

// PutPart implements pipeline.PartStore.
func (s partStore) PutPart(part *pipeline.Part) {
	w, p := s.w, s.w.process
	if part.Message.Parts.Upload == nil {
		u := &upload{p: p, parts: map[int]string{}}
		part.Message.Parts.Upload = u
		s.uploads[u] = struct{}{}
	}
	w.process.verifier.leaves(part.Message)
	u := part.Message.Parts.Upload.(*upload)
	if _, open := s.uploads[u]; !open || part.Body.Size() == 0 {
		w.fail("part %d of %d octets for an upload that is open: %v", part.Number, part.Body.Size(), open)
	}
	var err error
	if w.fault("part error", w.plan.partError) {
		err = errFault
	}
	giveBack, giveBackFirst := p.lend(&part.Body), p.lend(&part.Message.Body)
	w.note("part", 0, part.Number)
	w.begin(w.pace(w.plan.storeLate, w.storeOut), func() {
		if err == nil {
			u.parts[part.Number] = text(&part.Body)
		}
	}, func() {
		giveBack()
		giveBackFirst()
		part.Uploaded(err)
	})
}

// Abort implements pipeline.PartStore.
func (s partStore) Abort(what any) {
	u := what.(*upload)
	if _, open := s.uploads[u]; !open {
		s.w.fail("an upload was aborted that is not open")
	}
	s.w.note("abort", 0, len(u.parts))
	s.w.begin(s.w.within(time.Second), func() { delete(s.uploads, u) }, func() {})
}

// pending returns the number of open uploads of a process.
func (s *store) pending(p *process) int {
	n := 0
	for u := range s.uploads {
		if u.p == p {
			n++
		}
	}
	return n
}

// eventLog is the event log of the world. It lives through every kill.
type eventLog struct {
	w      *world
	events map[string]logged
}

// logged is an event in the log: its value, and the digest in it.
type logged struct {
	digest pipeline.Digest
	value  string
}

func newEventLog(w *world) *eventLog {
	return &eventLog{w: w, events: map[string]logged{}}
}

// Publish implements pipeline.EventLog.
func (l *eventLog) Publish(m *pipeline.Message) {
	w := l.w
	w.process.verifier.publishes(m)
	id, event := m.ID.String(), logged{m.Result.Digest, string(pipeline.AppendEvent(nil, m))}
	if line, packed := w.store.lines[[2]string{m.Result.Blob.Key, id}]; packed && line != event.value {
		w.fail("the events of %s in the log and in its pack differ:\n%s\n%s", id, event.value, line)
	}
	if m.Result.Blob.Container == "" && m.Result.Blob.Key != id || m.Result.Blob.Container != "" && !w.store.leadsTo(m) {
		w.fail("an event of %s points at %q", id, m.Result.Blob.Key)
	}
	var err error
	lost := w.fault("log error", w.plan.logError)
	refused := lost && w.chance(300)
	late := w.logOut
	if w.topicGone.to > w.now && !w.calm { // every publish fails, and at once
		w.tally["topic refused"]++
		lost, refused, late = true, w.chance(800), outage{}
	}
	switch {
	case refused:
		err = errRefused
	case lost:
		err = errFault
	}
	w.note("publish", 0, 0)
	w.begin(w.pace(w.plan.logLate, late), func() {
		if refused || lost && w.chance(500) {
			return // else the answer alone was lost
		}
		if _, there := l.events[id]; there {
			w.fail("two events of %s", id)
		}
		l.events[id] = event
	}, func() { m.Published(pipeline.Position{}, err) })
}

// durable returns an error if anything is missing of a message that was answered 250.
// d is what its sender knows of it, nil when that is not asked.
func (w *world) durable(id string, d *delivery) error {
	kept, found := w.store.objects[id]
	if !found {
		return fmt.Errorf("%s has no object", id)
	}
	event, found := w.log.events[id]
	switch {
	case !found:
		return fmt.Errorf("%s has no event", id)
	case event.digest != kept.digest:
		return fmt.Errorf("the event of %s has another digest than its object", id)
	case d == nil:
		return nil
	case d.letter.stored(d.verified()) != kept.body:
		return fmt.Errorf("the object of %s has %d octets, its sender sent %d", id, len(kept.body), len(d.letter.body))
	}
	return d.compare(event.value)
}

// audit looks for all that was ever acknowledged, and for events that lead nowhere.
func (w *world) audit() {
	for _, s := range w.senders {
		for i := range s.delivered {
			d := &s.delivered[i]
			if err := w.durable(d.id, d); err != nil {
				w.fail("in the end: %v", err)
			}
		}
	}
	for id := range w.log.events {
		if _, found := w.store.objects[id]; !found {
			w.fail("event %s has no object", id)
		}
	}
}
