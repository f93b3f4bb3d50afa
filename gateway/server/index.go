package server

import (
	"context"
	"errors"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/internal/panics"
	"sluice/metrics"
)

// indexLabels returns the labels of an index's metrics.
func indexLabels() metrics.IndexLabels {
	return metrics.IndexLabels{Results: adapters.IndexResults(), Dependencies: adapters.IndexDependencies()}
}

// indexed counts what the index does.
type indexed struct{ *metrics.Index }

// Batch implements indexer.Observer.
func (o indexed) Batch(rows int, insert time.Duration) { o.Index.Batch(rows, insert.Seconds()) }

// Read implements indexer.Observer.
func (o indexed) Read(messages int, fetch, parse time.Duration) {
	o.Index.Read(messages, fetch.Seconds(), parse.Seconds())
}

// Found implements indexer.Observer.
func (o indexed) Found(after time.Duration) { o.Index.Found(after.Seconds()) }

// Retained implements indexer.Observer.
func (o indexed) Retained(deleted int64, err error) {
	if err != nil {
		o.RetentionFailed()
		return
	}
	o.Index.Retained(deleted)
}

// openIndex makes ready what fills the index beside mail, if that is to happen in this
// process, and what searches it.
func (s *Server) openIndex() {
	switch {
	case s.config.IndexesItself():
		filler := adapters.NewFiller(&s.config, s.events, indexed{s.metrics.AddIndex(indexLabels())}, s.log.Logger())
		s.filling, s.searches = newFilling(filler), filler.Searches
	case s.config.Indexes():
		s.searches = adapters.NewSearches(&s.config)
	}
}

// fillIndex fills the index until it is closed. When that fails, mail is taken as before.
func (s *Server) fillIndex() {
	if s.filling == nil {
		return
	}
	s.filling.start(func(err error) {
		s.log.Logger().Error("the index is not filled: mail that comes cannot be found until this is mended and the gateway started again", "err", err)
	})
}

// closeIndex ends what fills the index, and searches.
func (s *Server) closeIndex() error {
	var errs []error
	if s.filling != nil {
		errs = append(errs, s.filling.close())
	}
	if s.searches != nil {
		errs = append(errs, s.searches.Close())
	}
	return errors.Join(errs...)
}

// filling is a goroutine that fills the index.
type filling struct {
	filler *adapters.Filler
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // closed once it has ended; nil before it begins
}

func newFilling(f *adapters.Filler) *filling {
	ctx, cancel := context.WithCancel(context.Background())
	return &filling{filler: f, ctx: ctx, cancel: cancel}
}

// start fills the index until close is called, or there is an error that waiting does not
// mend, of which failed is told.
func (f *filling) start(failed func(error)) {
	ended := make(chan struct{})
	f.ended = ended
	go func() {
		defer close(ended)
		panics.Keep(panics.Index, func() {
			if err := f.filler.Run(f.ctx); err != nil {
				failed(err)
			}
		})
	}()
}

// errNotEnded is the error of an index whose database does not let go.
var errNotEnded = errors.New("the index did not end in time: what it was about is done again after the next start")

// close ends what start began. It waits for a transaction in flight, but not for long.
func (f *filling) close() error {
	f.cancel()
	if f.ended == nil {
		return nil
	}
	select {
	case <-f.ended:
		return nil
	case <-time.After(stopTime / 2):
		return errNotEnded
	}
}

// indexLine returns the banner's description of the index.
func indexLine(c *config.Config, admin string) string {
	line := c.IndexLine() + "   http://" + reachable(admin) + "/"
	if !c.IndexesItself() {
		line += "   filled by sluice index"
	}
	return line
}
