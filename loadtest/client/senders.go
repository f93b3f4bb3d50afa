package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Senders are many sessions that send mail after mail, and again what was not
// answered 250, as a mail server does. They survive their server.
type Senders struct {
	Address  string
	Sessions int
	Seed     uint64
	// Compose makes the mail of this number. It is called from many goroutines.
	Compose func(number int64) *Mail
	// Limit is the number of mails to compose; 0 is no limit.
	Limit  int64
	Ledger *Ledger

	composed   atomic.Int64
	unanswered atomic.Int64
	refused    atomic.Int64
	broken     atomic.Int64
}

// Tally counts what did not end in a 250; each such mail was sent again.
type Tally struct {
	Unanswered int64 `json:"unanswered"` // silence after the final dot
	Refused    int64 `json:"refused"`    // a reply, but not the one hoped for
	Broken     int64 `json:"broken"`     // the connection ended before the final dot
}

// Tally is how it stands.
func (s *Senders) Tally() Tally {
	return Tally{s.unanswered.Load(), s.refused.Load(), s.broken.Load()}
}

// pause between attempts to connect to a server that is not there.
const pause = 20 * time.Millisecond

// Run sends until closing ends: each session then finishes the mail that it has
// begun, as long as it takes; when ctx ends, it gives up.
func (s *Senders) Run(ctx, closing context.Context) {
	var all sync.WaitGroup
	for i := range s.Sessions {
		all.Go(func() {
			session := session{Senders: s, random: rand.New(rand.NewPCG(s.Seed, uint64(i)))}
			session.run(ctx, closing)
		})
	}
	all.Wait()
}

type session struct {
	*Senders
	random *rand.Rand
	conn   *Conn
	left   int // mails until the connection is given up by itself
}

func (s *session) run(ctx, closing context.Context) {
	defer s.leave()
	for closing.Err() == nil {
		number := s.composed.Add(1)
		if s.Limit > 0 && number > s.Limit {
			return
		}
		mail := s.Compose(number)
		for !s.attempt(ctx, mail) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

func (s *session) leave() {
	if s.conn != nil {
		_ = s.conn.Quit() // the mail is safe, whatever it says
		s.conn = nil
	}
}

// attempt reports whether the mail was answered 250.
func (s *session) attempt(ctx context.Context, mail *Mail) bool {
	if s.left == 0 {
		s.leave()
		s.left = 1 + s.random.IntN(200) // some connections carry one, some many
	}
	if s.conn == nil {
		conn, err := Dial(ctx, s.Address)
		if err != nil {
			return false
		}
		s.conn = conn
	}
	receipt, err := s.conn.Send(mail)
	if err == nil {
		s.Ledger.Add(receipt)
		s.left--
		return true
	}
	var reply *Reply
	switch {
	case errors.Is(err, ErrUnanswered):
		s.unanswered.Add(1)
	case errors.As(err, &reply):
		s.refused.Add(1)
	default:
		s.broken.Add(1)
	}
	_ = s.conn.Close() // it is of no more use, whatever it says
	s.conn = nil
	return false
}
