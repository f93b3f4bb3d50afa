package kafka

import (
	"net"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// connected tells b the node id of an address.
func connected(t *testing.T, b *brokers, id int32, address string) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	b.OnBrokerConnect(kgo.BrokerMetadata{NodeID: id, Host: host, Port: int32(port)}, 0, nil, nil)
}

const here = "127.0.0.1:9092"

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrokers(nil)
		want := func(want time.Duration, when string) {
			t.Helper()
			if got := b.patience(here); got != want {
				t.Errorf("%s: patience %v, want %v", when, got, want)
			}
		}
		want(minPatience, "at first")
		for range 100 {
			b.answered(here, time.Millisecond)
		}
		want(minPatience, "after quick answers")
		b.unanswered(here, time.Now())
		want(silentPatience, "after one request that was not answered")
		time.Sleep(40 * time.Second)
		b.unanswered(here, time.Now())
		want(10*time.Second, "after 40 s of silence")
		time.Sleep(time.Hour)
		if !b.mayConnect(here) || b.mayConnect(here) {
			t.Error("after an hour: not one trial at a time")
		}
		b.ended(here) // nobody waited for its answer
		time.Sleep(trialPause)
		if !b.mayConnect(here) {
			t.Error("after a trial that was given up there is none")
		}
		b.unanswered(here, time.Now())
		want(10*time.Second, "after an hour of silence")
		time.Sleep(trialPause)
		if !b.mayConnect(here) {
			t.Error("after an hour: a broker that refuses connections is not tried soon again")
		}
		b.answered(here, time.Millisecond)
		want(minPatience, "after an answer")
		for range 100 {
			b.answered(here, 2*time.Second)
		}
		if got := b.patience(here); got < 15*time.Second {
			t.Errorf("after slow answers: patience %v", got)
		}
	})
}

// TestSilenceIsReportedOnce has a broker fall silent and answer again. Short failures and
// brokers without an id are not reported.
func TestSilenceIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports []BrokerState
		b := newBrokers(func(s BrokerState) { reports = append(reports, s) })
		b.unanswered(here, time.Now().Add(-time.Minute))
		b.answered(here, 0)
		connected(t, b, 3, here)
		b.unanswered(here, time.Now()) // refused at once
		b.answered(here, 0)
		b.unanswered(here, time.Now())
		time.Sleep(reportAfter)
		b.unanswered(here, time.Now())
		b.unanswered(here, time.Now())
		if got := b.states(); len(got) != 1 || got[0].Answers || got[0].Silent != reportAfter {
			t.Errorf("states %+v", got)
		}
		time.Sleep(time.Second)
		b.answered(here, 0)
		time.Sleep(calmAfter / 2)
		b.unanswered(here, time.Now()) // another kind of request
		b.answered(here, 0)
		time.Sleep(calmAfter / 2)
		b.answered(here, 0)
		if got := b.states(); len(got) != 1 || got[0].Answers {
			t.Errorf("answers some requests: %+v", got)
		}
		time.Sleep(calmAfter / 2)
		b.answered(here, 0)
		b.answered(here, 0)
		want := []BrokerState{
			{ID: 3, Address: here, Silent: reportAfter},
			{ID: 3, Address: here, Silent: reportAfter + time.Second + calmAfter/2, Answers: true},
		}
		if !slices.Equal(reports, want) {
			t.Errorf("reports %+v, want %+v", reports, want)
		}
		if got := b.states(); len(got) != 1 || !got[0].Answers {
			t.Errorf("states %+v", got)
		}
	})
}

// TestBrokerTableIsBounded has brokers move, leave and be too many.
func TestBrokerTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrokers(nil)
		connected(t, b, 1, here)
		connected(t, b, 1, "127.0.0.1:9093")
		b.unanswered("127.0.0.1:9093", time.Now().Add(-time.Minute))
		if got := b.states(); len(got) != 1 || got[0].Address != "127.0.0.1:9093" || got[0].Answers {
			t.Errorf("a broker that moved: %+v", got)
		}
		b.patience("127.0.0.1:9093")
		time.Sleep(forgetAfter + time.Second)
		if got := b.states(); len(got) != 0 {
			t.Errorf("a broker that left: %+v", got)
		}
		for i := range 2 * maxBrokers {
			connected(t, b, int32(i), net.JoinHostPort("127.0.0.1", strconv.Itoa(1000+i)))
		}
		if got := len(b.states()); got != maxBrokers {
			t.Errorf("%d brokers", got)
		}
	})
}
