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
	// MaxMessageBytes is the most octets of a batch, and so of an event: the less of
	// max.message.bytes and segment.bytes. 0: not known.
	MaxMessageBytes int64
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
	before := l.topic.Load()
	if errors.Is(err, kerr.UnknownTopicOrPartition) && l.options.CreateTopic != nil && before == nil {
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
	configs, err := describe(ctx, admin, l.options.Topic)
	switch {
	case err == nil:
		info.MinInsyncReplicas = int(setting(configs, minInsyncKey))
		info.MaxMessageBytes = least(setting(configs, maxMessageKey), setting(configs, segmentKey))
	case before != nil && !denied(err): // what was read before holds until it is read anew
		info.MinInsyncReplicas, info.MaxMessageBytes = before.MinInsyncReplicas, before.MaxMessageBytes
	}
	l.setLimit(info.MaxMessageBytes)
	l.topic.Store(&info)
	if (before == nil || *before != info) && l.options.Found != nil {
		l.options.Found(info)
	}
	return nil
}

// describe reads the topic's configs.
func describe(ctx context.Context, admin *kadm.Client, topic string) ([]kadm.Config, error) {
	resources, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(resources) != 1 {
		return nil, fmt.Errorf("configs of %d topics", len(resources))
	}
	return resources[0].Configs, resources[0].Err
}

// denied reports whether an error is a broker's word that trying again will not mend.
func denied(err error) bool {
	var answered *kerr.Error
	return errors.As(err, &answered) && !answered.Retriable
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
			return detail, ctx.Err() // it is there; watchTopic reads it
		case <-again.C:
		}
	}
}

// The topic's settings that matter to us.
const (
	minInsyncKey  = "min.insync.replicas"
	maxMessageKey = "max.message.bytes"
	segmentKey    = "segment.bytes"
)

// setting returns a whole number among configs, 0 for none.
func setting(configs []kadm.Config, key string) int64 {
	for _, c := range configs {
		if c.Key == key && c.Value != nil {
			n, _ := strconv.ParseInt(*c.Value, 10, 64)
			return n
		}
	}
	return 0
}

// least returns the less of two numbers that are 0 when not known.
func least(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// refusal keeps an error that a broker answered and that trying again will not
// mend, such as an unknown topic or a wrong password.
func (l *Log) refusal(err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		// franz-go calls it retriable: a topic may be on its way.
		return &MissingTopicError{Topic: l.options.Topic, Brokers: l.options.Brokers, Err: err}
	}
	if denied(err) {
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

// lookPause is the least time between two looks.
const lookPause = time.Second

// watchTopic reads the settings as soon as a broker can be reached, and again while
// the log is open: an operator may change them at any time.
func (l *Log) watchTopic() {
	ticker := time.NewTicker(l.untilLook())
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.again:
			if wait := lookPause - time.Since(last); wait > 0 {
				ticker.Reset(wait)
				continue
			}
		case <-ticker.C:
		}
		_ = l.look(l.ctx) // Open reported what it could; a Publish says the rest
		last = time.Now()
		ticker.Reset(l.untilLook())
	}
}

// untilLook returns the time until the next look.
func (l *Log) untilLook() time.Duration {
	if l.topic.Load() == nil {
		return min(lookTimeout, l.options.LookEvery)
	}
	return l.options.LookEvery
}
