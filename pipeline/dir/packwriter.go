package dir

import (
	"errors"
	"syscall"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// packWriter writes packs. Its writer is not one of the pool for large messages.
type packWriter struct{ *writer }

var _ pack.Writer = packWriter{}

// PutOne implements pack.Writer.
func (w packWriter) PutOne(m *pipeline.Message, since time.Time) (stored bool) {
	return w.store.handle(w.writer, queued{m, since}) == nil
}

// Requeue implements pack.Writer. The message waits for a writer of the pool.
func (w packWriter) Requeue(m *pipeline.Message, since time.Time) {
	w.store.enqueue(queued{m, since})
}

// Done implements pack.Writer.
func (w packWriter) Done(messages int) { w.store.puts.Done(messages) }

// PutPack implements pack.Writer with one file and one fsync for the pack. A pack that
// does not fit on the disk, or into a file, is split: it may fit in part.
func (w packWriter) PutPack(p *pack.Pack, _ time.Time) (split bool, err error) {
	location := pipeline.Blob{Store: storeName, Bucket: w.store.bucket}
	for attempt := 1; ; attempt++ {
		p.Compose(pack.NewID(), location)
		err = w.writeObject(p.Key(), func(f file) error { return w.copyPieces(f, p.Pieces()) })
		if err == nil || attempt == 2 || pipeline.KindOf(err) == pipeline.KindFull {
			tooLarge := pipeline.KindOf(err) == pipeline.KindFull || errors.Is(err, syscall.EFBIG)
			return tooLarge, err
		}
	}
}
