package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Probe asks the brokers whether an event can be published now. It returns nil when a
// broker answers, the topic exists, a partition of it has a leader and enough in-sync
// replicas, and events can become durable. It is one small request, and ctx bounds it. It
// may be called from any goroutine.
func (l *Log) Probe(ctx context.Context) error {
	if err := l.usable(); err != nil {
		return fail("probe", err)
	}
	client := l.events.client.Load()
	response, err := metadata(ctx, client, l.options.Topic)
	for errors.Is(err, kgo.ErrClientClosed) && client != l.events.client.Load() { // it was replaced
		client = l.events.client.Load()
		response, err = metadata(ctx, client, l.options.Topic)
	}
	switch {
	case err != nil:
	case len(response.Topics) != 1:
		err = fmt.Errorf("%d topics", len(response.Topics))
	default:
		err = writable(&response.Topics[0], l.Topic().MinInsyncReplicas)
	}
	if err != nil {
		return fail("probe", err)
	}
	return nil
}

// metadata asks for a topic. It is not done by kadm, which may answer from its memory. A
// client that is closed may still read its request, so that each has its own.
func metadata(ctx context.Context, client *kgo.Client, name string) (*kmsg.MetadataResponse, error) {
	request := kmsg.NewPtrMetadataRequest()
	request.AllowAutoTopicCreation = false
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	request.Topics = append(request.Topics, topic)
	return request.RequestWith(ctx, client)
}

// writable returns nil if a partition of the topic has a leader and enough in-sync
// replicas, and otherwise an error that says why none can be written.
func writable(topic *kmsg.MetadataResponseTopic, minInsync int) error {
	err := kerr.ErrorForCode(topic.ErrorCode)
	if err == nil && len(topic.Partitions) == 0 {
		err = errors.New("the topic has no partition")
	}
	for _, p := range topic.Partitions {
		// Such an error as REPLICA_NOT_AVAILABLE does not hinder the leader.
		switch {
		case p.Leader < 0:
			err = kerr.LeaderNotAvailable
		case len(p.ISR) < minInsync:
			err = fmt.Errorf("%w: %d of %d", kerr.NotEnoughReplicas, len(p.ISR), minInsync)
		default:
			return nil
		}
	}
	return err
}
