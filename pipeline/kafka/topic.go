package kafka

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TopicInfo is what the topic's own settings say about the worth of an
// acknowledgement: acks=all with MinInsyncReplicas 1 proves one copy.
type TopicInfo struct {
	Name              string
	Partitions        int
	ReplicationFactor int // 0: not known yet
	MinInsyncReplicas int // 0: not known
}

// Topic gives what is known of the topic. While no broker has been reached only
// the name is.
func (l *Log) Topic() TopicInfo {
	if info := l.topic.Load(); info != nil {
		return *info
	}
	return TopicInfo{Name: l.options.Topic}
}

// lookTimeout bounds one look at the topic: a start must not hang on a broker
// that does not answer.
const lookTimeout = 5 * time.Second

// look reads the topic's settings. Its error is the broker's own word on the
// topic; that no broker could be asked is none.
func (l *Log) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	admin := kadm.NewClient(l.client)
	topics, err := admin.ListTopics(ctx, l.options.Topic)
	if err != nil {
		return refusal(err)
	}
	detail := topics[l.options.Topic]
	if detail.Err != nil {
		return refusal(detail.Err)
	}
	info := TopicInfo{
		Name:              l.options.Topic,
		Partitions:        len(detail.Partitions),
		ReplicationFactor: detail.Partitions.NumReplicas(),
	}
	// To describe needs a right of its own that a producer may lack.
	configs, err := admin.DescribeTopicConfigs(ctx, l.options.Topic)
	if err == nil {
		info.MinInsyncReplicas = minInsync(configs)
	}
	l.topic.Store(&info)
	return nil
}

func minInsync(configs kadm.ResourceConfigs) int {
	for _, resource := range configs {
		for _, c := range resource.Configs {
			if c.Key == "min.insync.replicas" && c.Value != nil {
				n, _ := strconv.Atoi(*c.Value)
				return n
			}
		}
	}
	return 0
}

// refusal keeps an error that a broker answered and that trying again will not
// mend, such as an unknown topic.
func refusal(err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err // franz-go calls it retriable: a topic may be on its way
	}
	var answered *kerr.Error
	if errors.As(err, &answered) && !answered.Retriable {
		return err
	}
	return nil
}

// lookAgain reads the settings as soon as a broker can be reached.
func (l *Log) lookAgain() {
	ticker := time.NewTicker(lookTimeout)
	defer ticker.Stop()
	for l.topic.Load() == nil {
		select {
		case <-l.ctx.Done():
			return
		case <-ticker.C:
			_ = l.look(l.ctx) // Open reported what it could; a Publish says the rest
		}
	}
}
