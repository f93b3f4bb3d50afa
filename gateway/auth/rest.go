package auth

import (
	"sync/atomic"
	"time"

	"sluice/gateway/identity"
)

// mostRest bounds how long a backend may ask to be left alone.
const mostRest = 5 * time.Minute

// rest is the time in which a source is not asked, because it has said so.
type rest struct{ at atomic.Pointer[resting] }

type resting struct {
	answer identity.Answer
	until  time.Time
}

// begin lets the source rest if its answer asks for that.
func (r *rest) begin(answer identity.Answer, now time.Time) {
	if answer.Verdict == identity.Unavailable && answer.RetryAfter > 0 {
		r.at.Store(&resting{answer, now.Add(min(answer.RetryAfter, mostRest))})
	}
}

// find returns what the source has last said, if it rests.
func (r *rest) find(now time.Time) (identity.Answer, bool) {
	if at := r.at.Load(); at != nil && now.Before(at.until) {
		return at.answer, true
	}
	return identity.Answer{}, false
}
