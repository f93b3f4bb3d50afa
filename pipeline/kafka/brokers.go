package kafka

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerState says whether a broker answers.
type BrokerState struct {
	ID      int32 // node id
	Address string
	// Silent is how long the broker has not answered; 0 if it answers.
	Silent time.Duration
	// Answers is whether it answers. When that is reported after a silence, Silent is
	// the length of that.
	Answers bool
}

const (
	// A request that has no answer for as long as this is given up with its connection,
	// and tried again. A broker holds a produce request for produceHold at most, even if
	// a follower stands still.
	minPatience = 2500 * time.Millisecond
	produceHold = 1500 * time.Millisecond
	// usualTimes is how many times as long as usual an answer may take, if that is longer.
	usualTimes = 8
	// silentPatience is for a broker that was silent already, which is tried again with
	// trialPause between. It grows with the silence, to maxSilentPatience, so that a slow
	// broker is reached in the end.
	silentPatience    = time.Second
	silentShare       = 4
	maxSilentPatience = 10 * time.Second
	trialPause        = 250 * time.Millisecond

	// reportAfter is the shortest silence that is reported. It is over when the broker has
	// left no request without an answer for calmAfter: one whose disk stands still answers
	// some requests.
	reportAfter = time.Second
	calmAfter   = 3 * time.Second
	// maxBrokers bounds the table, and forgetAfter is when a broker that is no longer
	// asked leaves it.
	maxBrokers  = 100
	forgetAfter = 10 * time.Minute
)

// brokers knows how each broker answers. It bounds the wait for an answer by what answers
// of that broker usually take, and reports who is silent.
type brokers struct {
	report func(BrokerState) // may be nil

	mu        sync.Mutex
	byAddress map[string]*broker
}

// broker is guarded by brokers.mu.
type broker struct {
	id       int32 // -1 while it is not known
	asked    time.Time
	usual    time.Duration // a moving mean of what answers take
	silent   time.Time     // when the first request was begun that has no answer, or zero
	trial    time.Time     // when a silent one may be tried again
	reported time.Time     // since when it was silent, if that was reported
	answers  time.Time     // since when it answers, if it is reported as silent
}

func newBrokers(report func(BrokerState)) *brokers {
	return &brokers{report: report, byAddress: map[string]*broker{}}
}

// find returns the broker of an address. If the table is full it may be one that nobody
// else will find. b.mu must be held.
func (b *brokers) find(address string) *broker {
	if k := b.byAddress[address]; k != nil {
		return k
	}
	k := &broker{id: -1}
	if len(b.byAddress) < maxBrokers {
		b.byAddress[address] = k
	}
	return k
}

// patience returns how long an answer of a broker may take from now.
func (b *brokers) patience(address string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, now := b.find(address), time.Now()
	k.asked = now
	return k.patience(now)
}

func (k *broker) patience(now time.Time) time.Duration {
	if k.silent.IsZero() {
		return max(minPatience, usualTimes*k.usual)
	}
	return min(max(silentPatience, now.Sub(k.silent)/silentShare), maxSilentPatience)
}

// mayConnect reports whether a connection may be opened now. The client has several
// requests for a broker, and opens a connection for one after the other. Without this
// each would wait for a silent broker in its turn, and events that have a new leader by
// then would wait for them all.
func (b *brokers) mayConnect(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, now := b.find(address), time.Now()
	k.asked = now
	if k.silent.IsZero() {
		return true
	}
	if now.Before(k.trial) {
		return false
	}
	k.trial = now.Add(k.patience(now) + trialPause)
	return true
}

// ended notes that an attempt to connect, or a connection, is over. Another may be tried
// soon, also if nobody waited for the answer to the end.
func (b *brokers) ended(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, soon := b.find(address), time.Now().Add(trialPause); k.trial.After(soon) {
		k.trial = soon
	}
}

// answered notes an answer that took some time.
func (b *brokers) answered(address string, took time.Duration) {
	b.mu.Lock()
	k, now := b.find(address), time.Now()
	k.usual += (took - k.usual) / 8
	k.silent, k.trial = time.Time{}, time.Time{}
	var over time.Duration // how long it was silent
	switch {
	case k.reported.IsZero():
	case k.answers.IsZero():
		k.answers = now
	case now.Sub(k.answers) >= calmAfter:
		over = k.answers.Sub(k.reported)
		k.reported, k.answers = time.Time{}, time.Time{}
	}
	state := BrokerState{ID: k.id, Address: address, Silent: over, Answers: true}
	b.mu.Unlock()
	if over > 0 && b.report != nil {
		b.report(state)
	}
}

// unanswered notes that a request which began at a time was given up.
func (b *brokers) unanswered(address string, began time.Time) {
	b.mu.Lock()
	k, now := b.find(address), time.Now()
	k.asked, k.trial, k.answers = now, now.Add(trialPause), time.Time{}
	if k.silent.IsZero() {
		k.silent, k.trial = began, time.Time{} // the first trial is at once
	}
	state := BrokerState{ID: k.id, Address: address, Silent: now.Sub(k.silent)}
	report := k.reported.IsZero() && k.id >= 0 && state.Silent >= reportAfter
	if report {
		k.reported = k.silent
	}
	b.mu.Unlock()
	if report && b.report != nil {
		b.report(state)
	}
}

var _ kgo.HookBrokerConnect = (*brokers)(nil)

// OnBrokerConnect implements kgo.HookBrokerConnect. It learns the node id of an address.
func (b *brokers) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, _ error) {
	if meta.NodeID < 0 { // an address of the configuration
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	for address, k := range b.byAddress {
		if address != at && k.id == meta.NodeID { // it moved
			delete(b.byAddress, address)
		}
	}
	b.find(at).id = meta.NodeID
}

// states returns the brokers whose node id is known, in its order.
func (b *brokers) states() []BrokerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []BrokerState
	for address, k := range b.byAddress {
		switch {
		case k.id < 0:
		case !k.reported.IsZero() && time.Since(k.asked) > forgetAfter: // it left the cluster
			delete(b.byAddress, address)
		case !k.reported.IsZero():
			all = append(all, BrokerState{ID: k.id, Address: address, Silent: time.Since(k.reported)})
		default:
			all = append(all, BrokerState{ID: k.id, Address: address, Answers: true})
		}
	}
	slices.SortFunc(all, func(a, b BrokerState) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// silent reports whether a broker has not answered for so long that it was reported.
func (b *brokers) silent(id int32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.byAddress {
		if k.id == id && !k.reported.IsZero() && k.answers.IsZero() {
			return true
		}
	}
	return false
}

// setLeaders notes who leads each partition.
func (l *Log) setLeaders(partitions kadm.PartitionDetails) {
	leaders := make([]int32, len(partitions))
	for i := range leaders {
		leaders[i] = partitions[int32(i)].Leader
	}
	l.leaders.Store(&leaders)
}

// leaderAnswers reports whether the leader of the i-th of n partitions answers, as far as
// is known. With another number some are left out, and their order is not known.
func (l *Log) leaderAnswers(i, n int) bool {
	leaders := l.leaders.Load()
	return leaders == nil || len(*leaders) != n || !l.brokers.silent((*leaders)[i])
}

// askSilent asks the silent brokers whether they answer again. Those that lead no
// partition are asked by nobody else.
func (l *Log) askSilent(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTopicTimeout)
	defer cancel()
	for _, k := range l.brokers.states() {
		if !k.Answers {
			client := l.events.client.Load()
			_, _ = kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, client.Broker(int(k.ID))) // brokers notes the answer
		}
	}
}
