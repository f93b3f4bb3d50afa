// Package kafkatest has a Kafka broker in the process that fails as tests tell it.
package kafkatest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Answer is what becomes of a produce request. The zero value takes its events.
type Answer struct {
	Refusal *kerr.Error   // the error of each of its partitions
	After   time.Duration // before the refusal is sent
	Broken  bool          // its connection is closed without an answer
	Silent  bool          // it has no answer, and its connection stays
}

// Cluster is a cluster of one broker.
type Cluster struct {
	*kfake.Cluster
	script atomic.Pointer[script]
}

type script struct {
	answer   func(n int) Answer
	requests atomic.Int64
}

// Start starts a cluster with a topic of one partition, which takes events. It ends with
// the test.
func Start(t testing.TB, topic string) *Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := &Cluster{Cluster: fake}
	c.Take()
	fake.ControlKey(int16(kmsg.Produce), c.produce)
	return c
}

// Take makes the cluster take all events from now on.
func (c *Cluster) Take() { c.Script(func(int) Answer { return Answer{} }) }

// Refuse makes the cluster answer each produce request with an error from now on.
func (c *Cluster) Refuse(err *kerr.Error) {
	c.Script(func(int) Answer { return Answer{Refusal: err} })
}

// Script makes the cluster answer the n-th produce request from now on, from 1, as answer
// says.
func (c *Cluster) Script(answer func(n int) Answer) { c.script.Store(&script{answer: answer}) }

// Requests returns the number of produce requests that have come since the answers were
// last set.
func (c *Cluster) Requests() int { return int(c.script.Load().requests.Load()) }

var errBroken = errors.New("closed by the test")

func (c *Cluster) produce(request kmsg.Request) (response kmsg.Response, err error, handled bool) {
	c.KeepControl()
	s := c.script.Load()
	a := s.answer(int(s.requests.Add(1)))
	switch {
	case a.Broken:
		return nil, errBroken, true
	case a.Silent:
		return nil, nil, true
	case a.Refusal == nil:
		return nil, nil, false
	}
	if a.After > 0 {
		c.SleepControl(func() { time.Sleep(a.After) })
	}
	return refusal(request.(*kmsg.ProduceRequest), a.Refusal), nil, true
}

// refusal returns the answer to a produce request whose every partition has an error.
func refusal(request *kmsg.ProduceRequest, err *kerr.Error) kmsg.Response {
	response := request.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range request.Topics {
		all := kmsg.NewProduceResponseTopic()
		all.Topic, all.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			one := kmsg.NewProduceResponseTopicPartition()
			one.Partition, one.ErrorCode = p.Partition, err.Code
			all.Partitions = append(all.Partitions, one)
		}
		response.Topics = append(response.Topics, all)
	}
	return response
}
