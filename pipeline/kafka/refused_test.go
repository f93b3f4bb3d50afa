package kafka_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// refusing is a cluster that answers each produce request with an error. The first ones
// may have no answer: their connection is closed.
type refusing struct {
	*kfake.Cluster
	code       atomic.Int32
	unanswered atomic.Int32 // requests to come that have no answer
}

func startRefusing(t *testing.T) *refusing {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := &refusing{Cluster: cluster}
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if c.unanswered.Add(-1) >= 0 {
			return nil, errors.New("no answer"), true
		}
		produce := request.(*kmsg.ProduceRequest)
		refusal := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			all := kmsg.NewProduceResponseTopic()
			all.Topic, all.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				one := kmsg.NewProduceResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, int16(c.code.Load())
				all.Partitions = append(all.Partitions, one)
			}
			refusal.Topics = append(refusal.Topics, all)
		}
		return refusal, nil, true
	})
	return c
}

// TestWhatHadNoEffect checks which failures say that the event is certainly not in the
// log: a refusal, unless an earlier attempt had no answer, and what never left the
// process.
func TestWhatHadNoEffect(t *testing.T) {
	c := startRefusing(t)
	l := openLog(t, kafka.Options{Brokers: c.ListenAddrs(), Timeout: 2 * time.Second})
	for _, test := range []struct {
		what       string
		code       *kerr.Error
		unanswered int32
		noEffect   bool
	}{
		{"refused", kerr.TopicAuthorizationFailed, 0, true},
		{"refused after an attempt without an answer", kerr.TopicAuthorizationFailed, 1, false},
		{"refused again", kerr.TopicAuthorizationFailed, 0, true},
		{"perhaps appended", kerr.UnknownServerError, 0, false},
		{"until its time is over", kerr.NotEnoughReplicasAfterAppend, 0, false},
	} {
		c.code.Store(int32(test.code.Code))
		c.unanswered.Store(test.unanswered)
		sent, err := porttest.Announce(l, porttest.Stored())
		if err != nil {
			t.Fatal(err)
		}
		if sent.Err == nil || pipeline.HadNoEffect(sent.Err) != test.noEffect {
			t.Errorf("%s: %v: no effect: %v", test.what, sent.Err, !test.noEffect)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if sent, err := porttest.Announce(l, porttest.Stored()); err != nil || !pipeline.HadNoEffect(sent.Err) {
		t.Errorf("a closed log: %v, %v", err, sent.Err)
	}
}
