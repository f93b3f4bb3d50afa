package pack

import (
	"sync"
	"sync/atomic"
	"time"

	"sluice/pipeline"
)

// Lane stores what it is given, one object after another. Its methods are called
// from one goroutine. since is when the oldest of the messages was put: the
// result must come in time from there.
type Lane interface {
	// Alone stores a message as an object of its own, and answers it.
	Alone(m *pipeline.Message, since time.Time)
	// Together stores a pack as one object, again as often as is good for it, and
	// answers nobody. apart says of a failure that each message alone may fare
	// better.
	Together(p *Pack, since time.Time) (apart bool, err error)
	// Apart lets somebody store a message of a failed pack alone, and returns at
	// once.
	Apart(m *pipeline.Message, since time.Time)
	// Answered is called when so many messages were answered by the pack.
	Answered(messages int)
}

// Observer counts packs. A message that was alone is a pack of one.
type Observer interface {
	// PackWaited: a message waited so long for a lane.
	PackWaited(seconds float64)
	// PackDone: result is ok or a kind of failure. It is not called for one.
	PackDone(result string)
	// PackTaken: a lane took so many messages, which have so many octets.
	PackTaken(messages int, octets int64)
	// PackSplit: a pack of so many messages was refused so, and each goes alone.
	PackSplit(messages int, err error)
}

// Options of lanes. The zero value of a number takes the default.
type Options struct {
	Limits
	// Lanes is the number of objects under way at the same time, default 2.
	Lanes int
	// Linger is how long a lane that has a message waits for more, default none: a
	// pack grows because all lanes are busy.
	Linger time.Duration
	// Patience is how long a lane waits at most until what it has is worth a request
	// beside those under way, default as long as a request usually takes (pace).
	Patience time.Duration
	// Queue is the number of messages that may wait, default 1024.
	Queue int
	// Timeout is how long a message may wait, and be stored, in all.
	Timeout  time.Duration
	Observer Observer
}

// Defaults of a pack. At 8 MiB a request costs little beside its octets, and a
// store with parts of its own takes it whole.
const (
	DefaultLanes    = 2
	DefaultMessages = 4096
	DefaultOctets   = 8 << 20
	DefaultMessage  = 1 << 20
)

func (o *Options) defaults() {
	if o.Lanes <= 0 {
		o.Lanes = DefaultLanes
	}
	if o.Messages <= 0 {
		o.Messages = DefaultMessages
	}
	if o.Octets <= 0 {
		o.Octets = DefaultOctets
	}
	if o.Message <= 0 {
		o.Message = DefaultMessage
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
}

type unobserved struct{}

func (unobserved) PackWaited(float64)   {}
func (unobserved) PackDone(string)      {}
func (unobserved) PackTaken(int, int64) {}
func (unobserved) PackSplit(int, error) {}

// Lanes take small messages to a store: a lane that is free takes all that waits,
// up to the limits. While other lanes are busy it takes what is worth a request
// beside theirs, and waits a moment for that much. At low load a message leaves at
// once.
type Lanes struct {
	options Options
	queue   chan waiting
	turn    chan *waiting // the lane that gathers has it, with what was left over, or nil
	ended   chan struct{} // a hint to that lane that a request has ended
	octets  atomic.Int64
	group   sync.WaitGroup

	// busy lanes store something, underWay messages in all.
	busy, underWay atomic.Int64
	pace           pace
}

type waiting struct {
	message *pipeline.Message
	since   time.Time
}

// Start starts the lanes; lane makes what each of them works with.
func Start(o Options, lane func(n int) Lane) *Lanes {
	o.defaults()
	l := &Lanes{
		options: o, queue: make(chan waiting, o.Queue),
		turn: make(chan *waiting, 1), ended: make(chan struct{}, 1),
	}
	l.turn <- nil
	for n := range o.Lanes {
		r := &runner{lanes: l, lane: lane(n), pack: New(), timer: time.NewTimer(0)}
		r.timer.Stop()
		l.group.Go(r.run)
	}
	return l
}

// Takes says whether a message may share an object: it is small and whole.
func (l *Lanes) Takes(m *pipeline.Message) bool {
	return l != nil && m.Upload == nil && l.options.Small(m.Length())
}

// Put lets a message wait for a lane; false when too many wait. It never blocks.
func (l *Lanes) Put(m *pipeline.Message) bool {
	octets := m.Length()
	l.octets.Add(octets)
	select {
	case l.queue <- waiting{m, time.Now()}:
		return true
	default:
		l.octets.Add(-octets)
		return false
	}
}

// Octets gives those of the messages that wait for a lane.
func (l *Lanes) Octets() int64 { return l.octets.Load() }

// Count gives the lanes.
func (l *Lanes) Count() int { return l.options.Lanes }

// Busy gives the lanes that store something now.
func (l *Lanes) Busy() int64 { return l.busy.Load() }

// Close ends the lanes when they have taken all that waits. Nobody may Put then.
func (l *Lanes) Close() {
	if l == nil {
		return
	}
	close(l.queue)
	l.group.Wait()
}
