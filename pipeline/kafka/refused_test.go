package kafka_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/internal/testkit/kafkatest"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// TestWhatHadNoEffect checks which failures say that the event is certainly not in the
// log: a refusal, unless an earlier attempt may have been taken, and what never left the
// process.
func TestWhatHadNoEffect(t *testing.T) {
	c := kafkatest.Start(t, topic)
	const timeout = 2 * time.Second
	const hold = timeout / 3 // of a produce request, as the log asks for
	l := openLog(t, kafka.Options{Brokers: c.ListenAddrs(), Timeout: timeout})
	refused := kafkatest.Answer{Refusal: kerr.TopicAuthorizationFailed}
	for _, test := range []struct {
		what     string
		first    kafkatest.Answer
		then     kafkatest.Answer
		noEffect bool
	}{
		{"refused", refused, refused, true},
		{"refused after an attempt without an answer", kafkatest.Answer{Broken: true}, refused, false},
		{"refused again", refused, refused, true},
		// The leader has it, and waited for the others in vain.
		{"refused after an attempt that took too long", kafkatest.Answer{Refusal: kerr.RequestTimedOut, After: hold}, refused, false},
		{"refused once more", refused, refused, true},
		{"refused for the gateway's clock", kafkatest.Answer{Refusal: kerr.InvalidTimestamp}, refused, true},
		{"called too large, which it is not", kafkatest.Answer{Refusal: kerr.MessageTooLarge},
			kafkatest.Answer{Refusal: kerr.MessageTooLarge}, true},
		{"perhaps appended", kafkatest.Answer{Refusal: kerr.UnknownServerError}, kafkatest.Answer{Refusal: kerr.UnknownServerError}, false},
		{"until its time is over", kafkatest.Answer{Refusal: kerr.NotEnoughReplicasAfterAppend},
			kafkatest.Answer{Refusal: kerr.NotEnoughReplicasAfterAppend}, false},
	} {
		c.Script(func(n int) kafkatest.Answer {
			if n == 1 {
				return test.first
			}
			return test.then
		})
		sent, err := porttest.Announce(l, porttest.Stored())
		if err != nil {
			t.Fatal(err)
		}
		if sent.Err == nil || pipeline.HadNoEffect(sent.Err) != test.noEffect {
			t.Errorf("%s: %v: no effect: %v", test.what, sent.Err, !test.noEffect)
		}
		if kind := pipeline.KindOf(sent.Err); kind != pipeline.KindTemporary && kind != pipeline.KindTimeout {
			t.Errorf("%s: %v is of kind %s", test.what, sent.Err, kind)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if sent, err := porttest.Announce(l, porttest.Stored()); err != nil || !pipeline.HadNoEffect(sent.Err) {
		t.Errorf("a closed log: %v, %v", err, sent.Err)
	}
}

// refusingDisk is a Durable whose broker may have refused events.
type refusingDisk struct{ at atomic.Pointer[time.Time] }

func (d *refusingDisk) Usable() error            { return nil }
func (d *refusingDisk) Confirm(done func(error)) { done(nil) }

func (d *refusingDisk) Refusal() (time.Time, error) {
	if at := d.at.Load(); at != nil {
		return *at, syscall.ENOSPC
	}
	return time.Time{}, nil
}

// TestAcknowledgedBesideRefusal lets a broker fail to write an event, and the connection
// break before it says so. It takes the second attempt for one that it has written, and
// acknowledges it: the event must fail all the same.
func TestAcknowledgedBesideRefusal(t *testing.T) {
	c, disk := kafkatest.Start(t, topic), &refusingDisk{}
	l := openLog(t, kafka.Options{Brokers: c.ListenAddrs(), Durable: disk})
	announce := func() error {
		sent, err := porttest.Announce(l, porttest.Stored())
		if err != nil {
			t.Fatal(err)
		}
		return sent.Err
	}
	if err := announce(); err != nil {
		t.Fatal(err)
	}
	c.Script(func(n int) kafkatest.Answer {
		if n > 1 {
			return kafkatest.Answer{}
		}
		now := time.Now()
		disk.at.Store(&now)
		return kafkatest.Answer{Broken: true}
	})
	if err := announce(); pipeline.KindOf(err) != pipeline.KindFull || pipeline.HadNoEffect(err) {
		t.Errorf("acknowledged beside a failed write: %v", err)
	}
	if err := announce(); err != nil {
		t.Errorf("the next event: %v", err)
	}
}
