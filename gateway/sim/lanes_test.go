package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// packLimits are small, so that packs are full often.
var packLimits = pack.Limits{Messages: 6, Octets: 48 << 10, Message: 12 << 10}

// lanes take small messages to the store in real packs. They are memory of a
// process; what real ones do by goroutines and a channel is done here by events.
type lanes struct {
	s       *store
	p       *process
	waiting []lent
	free    []*pack.Pack
	// underWay messages are with the lanes that are not free. Beside them what is not
	// worth a request waits until one of those ends, or patience does (holding).
	underWay int
	holding  bool
}

// packPatience bounds the wait for what is worth a request.
const packPatience = 20 * time.Millisecond

// lent is a message that the store reads, until giveBack.
type lent struct {
	m        *pipeline.Message
	giveBack func()
}

func newLanes(s *store, p *process) *lanes {
	l := &lanes{s: s, p: p}
	for range p.w.plan.lanes {
		l.free = append(l.free, pack.New())
	}
	return l
}

// put lets a message wait for a lane.
func (l *lanes) put(m *pipeline.Message) {
	l.waiting = append(l.waiting, lent{m, l.p.lend(&m.Body)})
	l.take(l.worth)
}

// worth says whether what waits is worth a request beside those under way, or is a
// full pack.
func (l *lanes) worth() bool {
	n, octets := 0, int64(0)
	for ; n < len(l.waiting) && packLimits.Room(n, octets); n++ {
		octets += l.waiting[n].m.Length()
	}
	return !packLimits.Room(n, octets) || pack.Worth(len(l.waiting), int64(l.p.w.plan.lanes-len(l.free)), int64(l.underWay))
}

// hold takes what waits when it has waited long enough for more.
func (l *lanes) hold() {
	if l.holding || l.p.dead {
		return
	}
	l.holding = true
	l.p.w.after(packPatience, func() {
		l.holding = false
		l.take(func() bool { return true })
	})
}

// take lets free lanes take what waits and is to go now.
func (l *lanes) take(now func() bool) {
	for len(l.free) > 0 && len(l.waiting) > 0 && !l.p.dead {
		if !now() {
			l.p.w.tally["packs held"]++
			l.hold()
			return
		}
		last := len(l.free) - 1
		p := l.free[last]
		l.free = l.free[:last]
		var taken []lent
		for len(l.waiting) > 0 && packLimits.Room(p.Len(), p.Octets()) {
			p.Add(l.waiting[0].m)
			taken = append(taken, l.waiting[0])
			l.waiting = l.waiting[1:]
		}
		if p.Octets() > packLimits.Octets || p.Len() > packLimits.Messages {
			l.p.w.fail("a pack of %d messages and %d octets", p.Len(), p.Octets())
		}
		l.underWay += len(taken)
		if p.Len() == 1 {
			p.Clear()
			taken[0].giveBack()
			l.s.alone(taken[0].m, func() { l.leave(p, 1) })
			continue
		}
		l.p.w.tally["packs"]++
		p.Compose(pipeline.NewID(epoch.Add(l.p.w.now), l.p.w.random), pipeline.Blob{Store: "sim"})
		l.store(p, taken, 1)
	}
}

func (l *lanes) leave(p *pack.Pack, messages int) {
	l.free = append(l.free, p)
	l.underWay -= messages
	l.take(l.worth)
}

// store puts a pack, a second time when the first failed by something that passes.
func (l *lanes) store(p *pack.Pack, taken []lent, attempt int) {
	w := l.p.w
	err := error(nil)
	if w.fault("pack error", w.plan.storeError) {
		err = errFault
	}
	w.note("pack", 0, p.Len())
	w.begin(w.pace(w.plan.storeLate, w.storeOut), func() {
		if err == nil || w.chance(500) { // else the answer alone is lost
			l.s.keep(p.Key(), bytes.Join(p.Pieces(), nil))
		}
	}, func() {
		if err != nil && attempt == 1 && w.chance(500) {
			l.store(p, taken, 2)
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
			apart := append([]*pipeline.Message{}, p.Messages()...)
			p.Clear()
			for _, m := range apart {
				l.s.alone(m, func() {})
			}
		}
		l.leave(p, len(taken))
	})
}

// listed is what of an event in a pack is compared.
type listed struct {
	ID      string
	Message struct{ SHA256 string }
	Blob    struct {
		Key, CRC32C           string
		Offset, Length, Added int64
	}
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
	list := json.NewDecoder(bytes.NewReader(events))
	for range entries {
		var e listed
		if err := list.Decode(&e); err != nil {
			s.w.fail("the events of pack %s: %v", key, err)
			return
		}
		from, to := e.Blob.Offset, e.Blob.Offset+e.Blob.Length
		if e.Blob.Key != key || from < 0 || to > int64(len(whole)) || !bytes.Equal(whole[from:to], entries[e.ID]) {
			s.w.fail("the event of %s in pack %s leads elsewhere: %+v", e.ID, key, e.Blob)
			return
		}
		s.objects[e.ID] = s.check(e, whole[from:to])
	}
	s.packs[key] = whole
}

func (s *store) check(e listed, octets []byte) object {
	body := octets[e.Blob.Added:]
	digest := sha256.Sum256(body)
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(octets, crc32.MakeTable(crc32.Castagnoli)))
	if got := base64.StdEncoding.EncodeToString(crc); got != e.Blob.CRC32C {
		s.w.fail("%s in its pack has CRC32C %s, its event says %s", e.ID, got, e.Blob.CRC32C)
	}
	return object{string(body), digest}
}

// leadsTo says whether an event's blob is the message in its pack.
func (s *store) leadsTo(m *pipeline.Message) bool {
	whole, found := s.packs[m.Blob.Key]
	end := m.Blob.Offset + m.Blob.Length
	return found && end <= int64(len(whole)) &&
		pipeline.Digest(sha256.Sum256(whole[m.Blob.Offset+m.Blob.Added:end])) == m.Digest
}
