package pressure

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// Counts are what the sessions at one gateway came to.
type Counts struct {
	Offered  int64 // sessions that were begun
	Accepted int64 // mails answered 250
	Shed     int64 // sessions told 421
	Failed   int64 // anything else
}

func (c Counts) minus(d Counts) Counts {
	return Counts{c.Offered - d.Offered, c.Accepted - d.Accepted, c.Shed - d.Shed, c.Failed - d.Failed}
}

// load offers sessions of one mail each at an even rate, whatever becomes of
// them: senders out there do not slow down because others were turned away.
type load struct {
	gateway *process.Sluice
	every   time.Duration
	mail    *client.Mail

	offered, accepted, shed, failed atomic.Int64
	sessions                        sync.WaitGroup
}

// maxSessions bounds those open at one gateway.
const maxSessions = 200

func (l *load) run(ctx context.Context) {
	defer l.sessions.Wait()
	free := make(chan struct{}, maxSessions)
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case free <- struct{}{}:
			l.sessions.Go(func() {
				l.session()
				<-free
			})
		default: // the machine is too slow for this rate; the drawing shows it
		}
	}
}

// session is not cut at the end: a mail that was sent is counted.
func (l *load) session() {
	l.offered.Add(1)
	switch err := l.send(); {
	case err == nil:
		l.accepted.Add(1)
	case IsShed(err):
		l.shed.Add(1)
	default:
		l.failed.Add(1)
	}
}

func (l *load) send() error {
	conn, err := client.Dial(context.Background(), l.gateway.SMTP)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // after QUIT it has ended anyway
	if _, err := conn.Send(l.mail); err != nil {
		return err
	}
	return conn.Quit()
}

// IsShed tells 421 from other refusals.
func IsShed(err error) bool {
	var reply *client.Reply
	return errors.As(err, &reply) && reply.Code == 421
}

func (l *load) counts() Counts {
	return Counts{l.offered.Load(), l.accepted.Load(), l.shed.Load(), l.failed.Load()}
}
