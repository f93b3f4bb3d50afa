package kafka

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/pipeline"
)

// refusals are the answers of a broker that has not appended a batch. Others may come
// after it was appended, such as NOT_ENOUGH_REPLICAS_AFTER_APPEND, or say nothing of that,
// such as UNKNOWN_SERVER_ERROR.
var refusals = []*kerr.Error{
	kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException,
	kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.NotEnoughReplicas,
	kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.CorruptMessage, kerr.PolicyViolation,
	kerr.UnsupportedCompressionType, kerr.UnsupportedForMessageFormat, kerr.InvalidRequiredAcks,
	kerr.MessageTooLarge, kerr.RecordListTooLarge,
}

// uncertain notes when a produce request of any client ended so that its events may be in
// the log, whatever a second attempt is answered: without its answer, or after the whole
// time that the leader may wait for its followers. It has the events by then, and answers
// REQUEST_TIMED_OUT. It implements kgo.HookBrokerE2E.
type uncertain struct {
	hold time.Duration // Options.produceHold
	last atomic.Int64
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (u *uncertain) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == int16(kmsg.Produce) && (e2e.Err() != nil || e2e.DurationE2E() >= u.hold) {
		u.last.Store(time.Now().UnixNano())
	}
}

// outcome returns the failure of an event that has the error err of the client, or nil.
func (l *Log) outcome(e event, err error) error {
	if l.options.Durable != nil {
		at, why := l.options.Durable.Refusal()
		switch {
		case why == nil || at.Before(e.since):
		case err == nil:
			return doubtful(why)
		case errors.Is(err, kerr.UnknownServerError):
			return notWritten(why)
		}
	}
	failure := classify(err)
	if tooLarge(err) && l.fits(e.record) {
		failure = fail("produce", fmt.Errorf("an event of %d bytes: %w", recordSize(e.record), err))
	}
	var f *pipeline.Failure
	if errors.As(failure, &f) && !f.NoEffect {
		refused := slices.ContainsFunc(refusals, func(r *kerr.Error) bool { return errors.Is(err, r) })
		f.NoEffect = refused && l.uncertain.last.Load() < e.since.UnixNano()
	}
	return failure
}

// notWritten returns the failure of an event that the broker could not write. A full disk
// or quota is KindFull, every other cause is temporary.
func notWritten(err error) error {
	f := &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "kafka: write", Err: err, NoEffect: true}
	if full(err) {
		f.Kind = pipeline.KindFull
	}
	return f
}

// doubtful returns the failure of an event that was acknowledged, perhaps because the
// broker took it for one that it had written.
func doubtful(err error) error {
	f := &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "kafka: acknowledged beside a failed write", Err: err}
	if full(err) {
		f.Kind = pipeline.KindFull
	}
	return f
}

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// unsent returns the failure of an event that never left the process, or only in a batch
// that was refused.
func unsent(err error) error {
	return &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "kafka: publish", Err: err, NoEffect: true}
}
