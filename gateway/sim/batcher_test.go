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

// lineSize is the number of messages that may wait for a lane.
const lineSize = 4

// newBatcher returns a pack.Batcher whose workers wait for the world.
func newBatcher(s *store, p *process) (*pack.Batcher, *line) {
	l := &line{p: p}
	if p.w.plan.lanes == 0 {
		return nil, l
	}
	return pack.Start(pack.Options{
		Limits: packLimits, Lanes: p.w.plan.lanes, Timeout: timeouts.Store,
		Observer: packObserver{p.w}, Line: l, Spawn: l.start,
	}, func(int) pack.Writer { return packWriter{s, l} }), l
}

type packObserver struct{ w *world }

func (packObserver) PackWaited(float64)     {}
func (packObserver) PackDone(string)        {}
func (packObserver) PackTaken(int, int64)   {}
func (o packObserver) PackSplit(int, error) { o.w.tally["pack splits"]++ }

// errLate is the failure of a request that was not done at its deadline.
var errLate = &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "sim", Err: errFault}

// packWriter is the pack.Writer of the world.
type packWriter struct {
	s *store
	l *line
}

// left returns the time until the deadline of a request whose oldest message was put at
// since.
func (o packWriter) left(since time.Time) time.Duration {
	return since.Add(timeouts.Store).Sub(o.l.Now())
}

// PutOne implements pack.Writer.
func (o packWriter) PutOne(m *pipeline.Message, since time.Time) (stored bool) {
	o.l.giveBack()
	if o.l.p.dead {
		return false
	}
	done := false
	o.s.alone(m, o.left(since), func(err error) {
		stored, done = err == nil, true
		o.l.wake(0)
	})
	o.l.wait(func() bool { return done })
	return stored
}

// PutPack implements pack.Writer. It sometimes tries again after a failure.
func (o packWriter) PutPack(p *pack.Pack, since time.Time) (split bool, err error) {
	w := o.s.w
	defer o.l.giveBack()
	if p.Bytes() > packLimits.Bytes || p.Len() > packLimits.Messages {
		w.fail("a pack of %d messages and %d bytes", p.Len(), p.Bytes())
	}
	if o.left(since) < 0 {
		w.fail("a pack is to be stored %v after its deadline", -o.left(since))
	}
	w.tally["packs"]++
	p.Compose(pipeline.NewID(epoch.Add(w.now), w.random), pipeline.Blob{Store: "sim"})
	for attempt := 1; attempt <= 2; attempt++ {
		if err = o.request(p, since); err == nil || w.chance(500) || o.left(since) <= 0 {
			break
		}
	}
	return w.chance(500), err
}

func (o packWriter) request(p *pack.Pack, since time.Time) (err error) {
	w, l := o.s.w, o.l
	if l.p.dead {
		return errFault
	}
	if w.fault("pack error", w.plan.storeError) {
		err = errFault
	}
	took := w.pace(w.plan.storeLate, w.storeOut)
	if left := o.left(since); took > left {
		took, err = left, errLate
	}
	w.note("pack", 0, p.Len())
	done := false
	w.begin(took, func() {
		if err == nil || w.chance(500) { // else only the response is lost
			o.s.keep(p.Key(), bytes.Join(p.Pieces(), nil))
		}
	}, func() {
		done = true
		l.wake(0)
	})
	l.wait(func() bool { return done })
	if !done {
		return errFault // killed
	}
	return err
}

// Requeue implements pack.Writer.
func (o packWriter) Requeue(m *pipeline.Message, _ time.Time) {
	if !o.l.p.dead {
		o.s.alone(m, noLimit, func(error) {})
	}
}

// Done implements pack.Writer. What is still held had its result without a request.
func (o packWriter) Done(int) { o.l.giveBack() }

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
