package sim

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"io"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// packLimits is small, so that packs are full often.
var packLimits = pack.Limits{Messages: 6, Bytes: 48 << 10, Message: 12 << 10}

// batcher stores small messages in real packs. It belongs to a process, and works by
// events where pack.Batcher has goroutines and a channel.
type batcher struct {
	s        *store
	p        *process
	waiting  []lent
	free     []*pack.Pack
	inFlight int  // messages in the packs that are not free
	holding  bool // until packMaxWait is over
}

// packMaxWait bounds the wait for a pack that is large enough to be sent.
const packMaxWait = 20 * time.Millisecond

// lent is a message that the store reads, until giveBack.
type lent struct {
	m        *pipeline.Message
	giveBack func()
}

func newBatcher(s *store, p *process) *batcher {
	b := &batcher{s: s, p: p}
	for range p.w.plan.lanes {
		b.free = append(b.free, pack.New())
	}
	return b
}

// put queues a message.
func (b *batcher) put(m *pipeline.Message) {
	b.waiting = append(b.waiting, lent{m, b.p.lend(&m.Body)})
	b.take(b.shouldSend)
}

// shouldSend reports whether the waiting messages fill a pack, or are enough for a
// request alongside those in flight.
func (b *batcher) shouldSend() bool {
	n, size := 0, int64(0)
	for ; n < len(b.waiting) && packLimits.HasRoom(n, size); n++ {
		size += pack.Footprint(b.waiting[n].m)
	}
	return !packLimits.HasRoom(n, size) || pack.ShouldSend(len(b.waiting), int64(b.p.w.plan.lanes-len(b.free)), int64(b.inFlight))
}

// hold sends what waits after packMaxWait.
func (b *batcher) hold() {
	if b.holding || b.p.dead {
		return
	}
	b.holding = true
	b.p.w.after(packMaxWait, func() {
		b.holding = false
		b.take(func() bool { return true })
	})
}

// take fills free packs with what waits and stores them, as long as ready returns true.
func (b *batcher) take(ready func() bool) {
	for len(b.free) > 0 && len(b.waiting) > 0 && !b.p.dead {
		if !ready() {
			b.p.w.tally["packs held"]++
			b.hold()
			return
		}
		last := len(b.free) - 1
		p := b.free[last]
		b.free = b.free[:last]
		var taken []lent
		for len(b.waiting) > 0 && packLimits.HasRoom(p.Len(), p.Footprint()) {
			p.Add(b.waiting[0].m)
			taken = append(taken, b.waiting[0])
			b.waiting = b.waiting[1:]
		}
		if p.Bytes() > packLimits.Bytes || p.Len() > packLimits.Messages {
			b.p.w.fail("a pack of %d messages and %d bytes", p.Len(), p.Bytes())
		}
		b.inFlight += len(taken)
		if p.Len() == 1 {
			p.Clear()
			taken[0].giveBack()
			b.s.alone(taken[0].m, func() { b.release(p, 1) })
			continue
		}
		b.p.w.tally["packs"]++
		p.Compose(pipeline.NewID(epoch.Add(b.p.w.now), b.p.w.random), pipeline.Blob{Store: "sim"})
		b.store(p, taken, 1)
	}
}

func (b *batcher) release(p *pack.Pack, messages int) {
	b.free = append(b.free, p)
	b.inFlight -= messages
	b.take(b.shouldSend)
}

// store puts a pack, and sometimes again after a failure.
func (b *batcher) store(p *pack.Pack, taken []lent, attempt int) {
	w := b.p.w
	err := error(nil)
	if w.fault("pack error", w.plan.storeError) {
		err = errFault
	}
	w.note("pack", 0, p.Len())
	w.begin(w.pace(w.plan.storeLate, w.storeOut), func() {
		if err == nil || w.chance(500) { // else only the response is lost
			b.s.keep(p.Key(), bytes.Join(p.Pieces(), nil))
		}
	}, func() {
		if err != nil && attempt == 1 && w.chance(500) {
			b.store(p, taken, 2)
			return
		}
		for _, one := range taken {
			one.giveBack()
		}
		switch {
		case err == nil:
			p.Stored()
		case w.chance(500):
			p.Fail(err)
		default:
			w.tally["pack splits"]++
			split := append([]*pipeline.Message{}, p.Messages()...)
			p.Clear()
			for _, m := range split {
				b.s.alone(m, func() {})
			}
		}
		b.release(p, len(taken))
	})
}

// keep takes a pack: everything in it must be what its events say.
func (s *store) keep(key string, whole []byte) {
	entries := map[string][]byte{}
	var events []byte
	err := pack.Each(bytes.NewReader(whole), func(name string, _ int64, octets io.Reader) error {
		text, err := io.ReadAll(octets)
		if id, ok := pack.MessageID(name); ok {
			entries[id] = text
		} else {
			events = text
		}
		return err
	})
	if err != nil {
		s.w.fail("pack %s cannot be read: %v", key, err)
		return
	}
	for range entries {
		line, rest, _ := bytes.Cut(events, []byte("\n"))
		events = rest
		e, err := pipeline.ParseEvent(line)
		if err != nil {
			s.w.fail("the events of pack %s: %v", key, err)
			return
		}
		id, from, to := e.ID.String(), e.Blob.Offset, e.Blob.Offset+e.Blob.Length
		if e.Blob.Key != key || from < 0 || to > int64(len(whole)) || !bytes.Equal(whole[from:to], entries[id]) {
			s.w.fail("the event of %s in pack %s leads elsewhere: %+v", id, key, e.Blob)
			return
		}
		s.objects[id], s.lines[[2]string{key, id}] = s.check(e, whole[from:to]), string(line)
	}
	s.packs[key] = whole
}

func (s *store) check(e *pipeline.Event, octets []byte) object {
	body := octets[e.Blob.Added:]
	digest := sha256.Sum256(body)
	if crc := crc32.Checksum(octets, crc32.MakeTable(crc32.Castagnoli)); crc != e.Blob.CRC32C {
		s.w.fail("%s in its pack has CRC32C %08x, its event says %08x", e.ID, crc, e.Blob.CRC32C)
	}
	return object{string(body), digest}
}

// leadsTo reports whether an event's blob is the message in its pack.
func (s *store) leadsTo(m *pipeline.Message) bool {
	whole, found := s.packs[m.Result.Blob.Key]
	end := m.Result.Blob.Offset + m.Result.Blob.Length
	return found && end <= int64(len(whole)) &&
		pipeline.Digest(sha256.Sum256(whole[m.Result.Blob.Offset+m.Result.Blob.Added:end])) == m.Result.Digest
}
