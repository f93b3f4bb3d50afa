package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
// topic or on us; that no broker could be asked is none.
func (l *Log) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	admin := kadm.NewClient(l.events.client.Load())
	detail, err := l.detail(ctx, admin)
	if errors.Is(err, kerr.UnknownTopicOrPartition) && l.options.CreateTopic != nil {
		if err = l.create(ctx, admin); err == nil {
			detail, err = l.created(ctx, admin)
		}
	}
	if err != nil {
		return l.refusal(err)
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
	if l.topic.Swap(&info) == nil && l.options.Found != nil {
		l.options.Found(info)
	}
	return nil
}

func (l *Log) detail(ctx context.Context, admin *kadm.Client) (kadm.TopicDetail, error) {
	topics, err := admin.ListTopics(ctx, l.options.Topic)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	detail := topics[l.options.Topic]
	return detail, detail.Err
}

// create makes the topic. Another gateway may have been quicker.
func (l *Log) create(ctx context.Context, admin *kadm.Client) error {
	want := l.options.CreateTopic
	insync := strconv.Itoa(want.minInsync())
	_, err := admin.CreateTopic(ctx, int32(want.Partitions), int16(want.Replication),
		map[string]*string{minInsyncKey: &insync}, l.options.Topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}

// created asks until brokers know of the topic: they hear of it a little after
// the controller has answered.
func (l *Log) created(ctx context.Context, admin *kadm.Client) (kadm.TopicDetail, error) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		detail, err := l.detail(ctx, admin)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return detail, err
		}
		select {
		case <-ctx.Done():
			return detail, ctx.Err() // it is there; lookAgain reads it
		case <-again.C:
		}
	}
}

const minInsyncKey = "min.insync.replicas"

func minInsync(configs kadm.ResourceConfigs) int {
	for _, resource := range configs {
		for _, c := range resource.Configs {
			if c.Key == minInsyncKey && c.Value != nil {
				n, _ := strconv.Atoi(*c.Value)
				return n
			}
		}
	}
	return 0
}

// refusal keeps an error that a broker answered and that trying again will not
// mend, such as an unknown topic or a wrong password.
func (l *Log) refusal(err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		// franz-go calls it retriable: a topic may be on its way.
		return &MissingTopicError{Topic: l.options.Topic, Brokers: l.options.Brokers, Err: err}
	}
	var answered *kerr.Error
	if errors.As(err, &answered) && !answered.Retriable {
		return err
	}
	return l.dialer.refusal()
}

// MissingTopicError says that a topic is not there and how to make it.
type MissingTopicError struct {
	Topic   string
	Brokers []string
	Err     error
}

// Error names the command of Kafka that creates the topic.
func (e *MissingTopicError) Error() string {
	return fmt.Sprintf("%v; create it, e.g. with: kafka-topics.sh --bootstrap-server %s --create --topic %s"+
		" --partitions 6 --replication-factor 3 --config min.insync.replicas=2",
		e.Err, strings.Join(e.Brokers, ","), e.Topic)
}

// Unwrap gives the broker's answer.
func (e *MissingTopicError) Unwrap() error { return e.Err }

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
