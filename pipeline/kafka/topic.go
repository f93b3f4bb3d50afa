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

// TopicInfo holds the settings of the topic that an acknowledgement depends on: acks=all
// with MinInsyncReplicas 1 guarantees one copy.
type TopicInfo struct {
	Name              string
	Partitions        int
	ReplicationFactor int // 0: not known yet
	MinInsyncReplicas int // 0: not known
	// MaxMessageBytes is the size of the largest batch, and so of the largest event. It
	// is the smaller of max.message.bytes and segment.bytes. 0: not known.
	MaxMessageBytes int64
}

// Topic returns what is known about the topic: only the name until a broker is reached.
func (l *Log) Topic() TopicInfo {
	if info := l.topic.Load(); info != nil {
		return *info
	}
	return TopicInfo{Name: l.options.Topic}
}

// readTopicTimeout bounds readTopic: a start must not hang when a broker does not answer.
const readTopicTimeout = 5 * time.Second

// readTopic reads the settings of the topic. It returns an error only if a broker refuses
// the topic or us, not if no broker can be reached.
func (l *Log) readTopic(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTopicTimeout)
	defer cancel()
	admin := kadm.NewClient(l.events.client.Load())
	detail, err := l.describeTopic(ctx, admin)
	before := l.topic.Load()
	missing := errors.Is(err, kerr.UnknownTopicOrPartition)
	if missing && l.options.CreateTopic != nil && before == nil {
		if err = l.createTopic(ctx, admin); err == nil {
			detail, err = l.awaitCreated(ctx, admin)
		}
	}
	if err != nil {
		return l.permanentError(err)
	}
	if (l.topicID != kadm.TopicID{}) && l.topicID != detail.ID {
		l.events.renew() // made again: the client will not take the new id
	}
	l.topicID = detail.ID
	l.setLeaders(detail.Partitions)
	info := TopicInfo{
		Name:              l.options.Topic,
		Partitions:        len(detail.Partitions),
		ReplicationFactor: detail.Partitions.NumReplicas(),
	}
	// DescribeConfigs needs a permission of its own, which a producer may lack.
	configs, err := topicConfigs(ctx, admin, l.options.Topic)
	switch {
	case err == nil:
		info.MinInsyncReplicas = int(setting(configs, minInsyncKey))
		info.MaxMessageBytes = smaller(setting(configs, maxMessageKey), setting(configs, segmentKey))
	case before != nil && !permanent(err): // keep what was read before
		info.MinInsyncReplicas = before.MinInsyncReplicas
		info.MaxMessageBytes = before.MaxMessageBytes
	}
	l.setLimit(info.MaxMessageBytes)
	l.topic.Store(&info)
	if (before == nil || *before != info) && l.options.Found != nil {
		l.options.Found(info)
	}
	return nil
}

// topicConfigs returns the configs of a topic.
func topicConfigs(ctx context.Context, admin *kadm.Client, topic string) ([]kadm.Config, error) {
	resources, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(resources) != 1 {
		return nil, fmt.Errorf("configs of %d topics", len(resources))
	}
	return resources[0].Configs, resources[0].Err
}

// permanent reports whether a broker answered an error that a retry does not fix.
func permanent(err error) bool {
	var answered *kerr.Error
	return errors.As(err, &answered) && !answered.Retriable
}

func (l *Log) describeTopic(ctx context.Context, admin *kadm.Client) (kadm.TopicDetail, error) {
	topics, err := admin.ListTopics(ctx, l.options.Topic)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	detail := topics[l.options.Topic]
	return detail, detail.Err
}

// createTopic creates the topic. It is no error that another gateway created it first.
func (l *Log) createTopic(ctx context.Context, admin *kadm.Client) error {
	want := l.options.CreateTopic
	insync := strconv.Itoa(want.minInsync())
	_, err := admin.CreateTopic(ctx, int32(want.Partitions), int16(want.Replication),
		map[string]*string{minInsyncKey: &insync}, l.options.Topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}

// awaitCreated describes the topic until brokers know it, which is a little after the
// controller has answered.
func (l *Log) awaitCreated(ctx context.Context, admin *kadm.Client) (kadm.TopicDetail, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		detail, err := l.describeTopic(ctx, admin)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return detail, err
		}
		select {
		case <-ctx.Done():
			return detail, ctx.Err() // the topic exists; refreshTopic reads it
		case <-ticker.C:
		}
	}
}

// Names of the topic's settings in TopicInfo.
const (
	minInsyncKey  = "min.insync.replicas"
	maxMessageKey = "max.message.bytes"
	segmentKey    = "segment.bytes"
)

// setting returns the integer value of key in configs, or 0.
func setting(configs []kadm.Config, key string) int64 {
	for _, c := range configs {
		if c.Key == key && c.Value != nil {
			n, _ := strconv.ParseInt(*c.Value, 10, 64)
			return n
		}
	}
	return 0
}

// smaller returns the smaller of two numbers, of which 0 means unknown.
func smaller(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// permanentError returns err if a broker answered it and a retry does not fix it, such as
// a missing topic or a wrong password. Otherwise it returns the last refusal of the
// dialer, or nil.
func (l *Log) permanentError(err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		// franz-go calls it retriable, because a topic may be about to exist.
		return &MissingTopicError{Topic: l.options.Topic, Brokers: l.options.Brokers, Err: err}
	}
	if permanent(err) {
		return err
	}
	return l.dialer.lastRefusal()
}

// MissingTopicError reports that the topic does not exist.
type MissingTopicError struct {
	Topic   string
	Brokers []string
	Err     error
}

// Error returns the broker's error, with the command that creates the topic.
func (e *MissingTopicError) Error() string {
	return fmt.Sprintf("%v; create it, e.g. with: kafka-topics.sh --bootstrap-server %s --create --topic %s"+
		" --partitions 6 --replication-factor 3 --config min.insync.replicas=2",
		e.Err, strings.Join(e.Brokers, ","), e.Topic)
}

// Unwrap returns the broker's error.
func (e *MissingTopicError) Unwrap() error { return e.Err }

// minRefreshPause is the shortest time between two calls of readTopic.
const minRefreshPause = time.Second

// refreshTopic reads the settings as soon as a broker can be reached, and then every
// RefreshInterval, because an operator may change them.
func (l *Log) refreshTopic() {
	ticker := time.NewTicker(l.refreshDelay())
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.refresh:
			if wait := minRefreshPause - time.Since(last); wait > 0 {
				ticker.Reset(wait)
				continue
			}
		case <-ticker.C:
		}
		_ = l.readTopic(l.ctx) // a Publish reports what Open could not
		l.askSilent(l.ctx)
		last = time.Now()
		ticker.Reset(l.refreshDelay())
	}
}

// refreshDelay returns the time until the next readTopic.
func (l *Log) refreshDelay() time.Duration {
	if l.topic.Load() == nil {
		return min(readTopicTimeout, l.options.RefreshInterval)
	}
	return l.options.RefreshInterval
}
