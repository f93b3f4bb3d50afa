package dir

import (
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// lane writes packs: a writer of a pool of its own.
type lane struct{ *writer }

var _ pack.Lane = lane{}

// Alone implements pack.Lane.
func (l lane) Alone(m *pipeline.Message, since time.Time) {
	l.store.handle(l.writer, waiting{m, since})
}

// Apart implements pack.Lane: the message waits for a writer like a large one.
func (l lane) Apart(m *pipeline.Message, since time.Time) { l.store.enqueue(waiting{m, since}) }

// Answered implements pack.Lane.
func (l lane) Answered(messages int) { l.store.puts.Done(messages) }

// Together implements pack.Lane: one file and one fsync for a pack. What does not
// fit on the disk together may fit in part, so that every failure splits it.
func (l lane) Together(p *pack.Pack, _ time.Time) (apart bool, err error) {
	place := pipeline.Blob{Store: storeName, Bucket: l.store.bucket}
	for attempt := 1; ; attempt++ {
		p.Compose(pack.NewID(), place)
		err = l.object(p.Key(), func(f file) error { return l.gather(f, p.Pieces()) })
		if err == nil || attempt == 2 || pipeline.KindOf(err) == pipeline.KindFull {
			return err != nil, err
		}
	}
}
