package driver

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// greed is a way to hold memory without getting on. Each attacker acts once a tick, and
// begins anew when its session has ended.
type greed struct {
	name      string
	attackers int
	act       func(*attacker)
	slowest   time.Duration // bound of 99 % of honest small mails
}

type attacker struct {
	w     *world
	n     int
	s     *memorySocket // nil between sessions
	heard string
	ticks int // since its last session began
	sent  int // bytes of text
}

// open begins a session with what the attacker says at once.
func (a *attacker) open(text string) {
	a.s, a.heard, a.ticks, a.sent = a.w.connect(), "", 0, 0
	a.s.send(text)
}

func (a *attacker) leave() {
	a.s.gone()
	a.s = nil
}

const shortEnvelope = "EHLO c.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"

var (
	longEnvelope = "EHLO c.example.com\r\nMAIL FROM:<a@example.com>\r\n" + strings.Repeat("RCPT TO:<"+strings.Repeat("u", 60)+"@"+strings.Repeat("d.", 90)+"example.net>\r\n", 500) + "DATA\r\n"
	bulkText     = largeText(64 << 10)
)

var greeds = []greed{
	{"nothing", 0, nil, 200 * time.Millisecond},
	{"messages that wait for more memory than there is", 40, func(a *attacker) {
		switch {
		case a.s == nil:
			a.open(shortEnvelope)
		case a.sent > 1<<20:
			a.leave()
		case !a.s.paused && strings.Contains(a.heard, "354 "):
			a.s.send(bulkText)
			a.sent += len(bulkText)
		}
	}, 2 * time.Second},
	{"the same, reset as soon as they wait", 30, func(a *attacker) {
		switch {
		case a.s == nil:
			a.open(shortEnvelope)
		case a.s.paused || a.sent > 1<<20:
			a.leave()
		case strings.Contains(a.heard, "354 "):
			a.s.send(bulkText)
			a.sent += len(bulkText)
		}
	}, 2 * time.Second},
	{"long envelopes of messages that are refused and drip", 30, func(a *attacker) {
		switch {
		case a.s == nil && a.ticks > 3*a.n:
			a.open(longEnvelope)
		case a.s == nil:
		case strings.Contains(a.heard, "354 "):
			if a.sent++; a.sent == 1 {
				a.s.send("a\nbare line feed\r\n")
			}
			a.s.send("a line of sixty bytes, which is more than the least rate...\r\n")
		}
	}, 2 * time.Second},
	{"text sent ahead of 354", 300, func(a *attacker) {
		switch {
		case a.s == nil && a.n < 40:
			a.open(shortEnvelope)
		case a.s == nil:
			a.open(shortEnvelope + bulkText[:32<<10])
		case a.n < 40 && !a.s.paused && a.sent < 1<<20:
			a.s.send(bulkText)
			a.sent += len(bulkText)
		}
	}, 2 * time.Second},
	{"354 and nothing behind it", 100, func(a *attacker) {
		switch {
		case a.s == nil:
			a.open(shortEnvelope)
		case a.ticks > 18 && strings.Contains(a.heard, "354 "):
			a.s.send("a\nbare line feed\r\n.\r\n")
		}
	}, 2 * time.Second},
}

// honest is a sender of one mail after another, each in pieces of text, one in a tick.
type honest struct {
	w        *world
	declared int64
	pieces   int // of 5,000 bytes
	each     int // in a tick
	dropped  int // mails that were answered 452 at their end
	s        *memorySocket
	heard    string
	sent     int
	began    time.Time
	next     time.Time
	tries    int
	took     []time.Duration
}

func (h *honest) act() {
	w := h.w
	switch {
	case h.s == nil && w.now.Before(h.next):
		return
	case h.s == nil:
		if h.began.IsZero() {
			h.began = w.now
		}
		h.tries++
		h.s, h.heard, h.sent = w.begin(h.declared), "", 0
	}
	h.heard += h.s.hear()
	switch {
	case h.s.closed || strings.Contains(h.heard, "\r\n4"):
		if h.sent == h.pieces {
			h.dropped++
		}
		h.s.gone()
		h.s, h.next = nil, w.now
	case strings.Contains(h.heard, "\r\n250 2.0.0 Ok 0"):
		h.s.gone()
		h.took = append(h.took, w.now.Sub(h.began))
		h.s, h.began, h.next = nil, time.Time{}, w.now.Add(400*time.Millisecond)
	case h.sent < h.pieces && strings.Contains(h.heard, "354 ") && !h.s.paused:
		text := strings.Repeat(bulkText[:5000-2]+"\r\n", h.each)
		if h.sent += h.each; h.sent == h.pieces {
			text += ".\r\n"
		}
		h.s.send(text)
	}
}

// Small mail of honest senders passes whoever holds memory and does not get on.
func TestSmallMailPassesGreed(t *testing.T) {
	for _, g := range greeds {
		t.Run(g.name, func(t *testing.T) {
			w := reliefWorld(t, 8<<20)
			w.shared.Admission.Connections = 1000
			w.shared.admission.limits.Connections = 1000
			var attackers []*attacker
			for n := range g.attackers {
				attackers = append(attackers, &attacker{w: w, n: n})
			}
			var senders []*honest
			for range 6 {
				senders = append(senders, &honest{w: w, declared: 11000, pieces: 2, each: 1})
			}
			medium := &honest{w: w, pieces: 160, each: 4}
			var most int64
			for range ticksOf(40 * time.Second) {
				for _, a := range attackers {
					a.ticks++
					if a.s != nil {
						a.heard += a.s.hear()
						if a.s.closed {
							a.s = nil
						}
					}
					g.act(a)
				}
				for _, h := range senders {
					h.act()
				}
				medium.act()
				w.advance(tickLength)
				most = max(most, w.shared.Budget.Used())
			}
			var took []time.Duration
			tries := 0
			for _, h := range senders {
				if h.s != nil {
					took = append(took, w.now.Sub(h.began))
				}
				took, tries = append(took, h.took...), tries+h.tries
			}
			slices.Sort(took)
			at99 := took[len(took)*99/100]
			t.Logf("%d mails, median %v, 99 %% in %v, slowest %v, %d tries, at most %d KiB, relieved %v, credit %v", len(took), took[len(took)/2], at99, took[len(took)-1], tries, most>>10, w.seen.relieved, w.seen.credit)
			t.Logf("of 800 KB: %d taken in %v, %d tries, %d dropped", len(medium.took), medium.took, medium.tries, medium.dropped)
			if at99 > g.slowest {
				t.Errorf("99 %% of small mails took %v", at99)
			}
			for _, a := range attackers {
				if a.s != nil {
					a.s.gone()
				}
			}
			for _, h := range append(senders, medium) {
				if h.s != nil {
					h.s.gone()
				}
			}
			w.advance(4 * time.Minute)
			w.clean()
		})
	}
}
