package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"sluice/internal/panics"
	"sluice/metrics"
)

// shutdown drains the sessions and then stops the rest of the gateway.
func (s *Server) shutdown(signals <-chan os.Signal, ended <-chan error) error {
	began, before := time.Now(), s.tally.now()
	open := s.shared.SessionsOpen()
	left := s.drain(signals)
	during := s.tally.now().since(before)
	s.log.Logger().Info("drained", "sessions_open", open, "sessions_finished", during.sessions,
		"sessions_cut", left, "messages", during.messages, "seconds", time.Since(began).Seconds())
	if err := s.stop(); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%d sessions were cut: they did not end in time", left)
	}
	return nil
}

// stopTime bounds the end of the store and the log, which have little left to do, and of
// the event loops, which have nothing.
const stopTime = 10 * time.Second

// stop ends everything that posts to the event loops, and then the loops. gnet could
// otherwise write a wake-up for an ended loop into a descriptor that has a new owner.
func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	s.monitor.Close() // interrupts a probe or reading in flight
	s.handshakes.Close(0)
	closed := make(chan error, 1)
	go func() {
		closed <- panics.Try(panics.Process, func() error {
			return errors.Join(s.closeIndex(), s.objects.Close(), s.events.Close(), s.closeUsers(), s.closeVerification())
		})
	}()
	select {
	case err := <-closed:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return errors.New("the store or the event log did not end in time")
	}
	if err := s.reactor.Stop(ctx); err != nil {
		return fmt.Errorf("stopping the event loops: %w", err)
	}
	return nil
}

// drain lets the sessions end. The gateway first reports that it is not ready, so that
// load balancers send no new sessions. After the grace it refuses new ones, and open ones
// finish their transaction. A second signal or the deadline ends the wait. It returns the
// number of sessions left.
func (s *Server) drain(signals <-chan os.Signal) int64 {
	s.draining.Store(true)
	bounds := s.current.Load().Drain
	deadline := time.After(bounds.Grace + bounds.Deadline)
	grace := time.After(bounds.Grace)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	refusing := false
	for {
		select {
		case <-signals:
			return s.shared.SessionsOpen()
		case <-deadline:
			return s.shared.SessionsOpen()
		case <-grace:
			s.shared.Refuse()
			refusing = true
		case <-poll.C:
			if refusing && s.shared.SessionsOpen() == 0 {
				return 0
			}
		}
	}
}

// tally is the driver's observer. In addition to the metrics it counts what the last log
// line of the process reports.
type tally struct {
	*metrics.Metrics
	sessions, messages atomic.Int64
}

// counts are the totals up to a moment, or since one.
type counts struct{ sessions, messages int64 }

func (t *tally) now() counts { return counts{t.sessions.Load(), t.messages.Load()} }

func (c counts) since(before counts) counts {
	return counts{c.sessions - before.sessions, c.messages - before.messages}
}

// SessionClosed implements driver.Observer.
func (t *tally) SessionClosed(seconds float64, end string) {
	t.sessions.Add(1)
	t.Metrics.SessionClosed(seconds, end)
}

// MessageDone implements driver.Observer.
func (t *tally) MessageDone(result string, octets int64, seconds float64) {
	if result == metrics.Accepted {
		t.messages.Add(1)
	}
	t.Metrics.MessageDone(result, octets, seconds)
}
