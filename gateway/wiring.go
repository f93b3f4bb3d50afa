package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"sluice/codec"
	"sluice/gateway/config"
	"sluice/gateway/maillog"
	"sluice/gateway/pressure"
	"sluice/gateway/reactor"
	"sluice/metrics"
	"sluice/pipeline"
	"sluice/pipeline/dir"
	"sluice/pipeline/discard"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/pack"
	"sluice/pipeline/s3"
)

// objects is the object store that the configuration names.
type objects struct {
	store pipeline.ObjectStore
	// bucket is what events call the store's bucket.
	bucket string
	depth  func() int64
	close  func() error
	// probe says whether the store can be used; nil for one that is always there.
	probe func(ctx context.Context) error
	// leftBehind is the number of failed messages of which something stayed; nil
	// where a failed message leaves nothing.
	leftBehind func() int64
	// lanes pack small messages; nil where each has an object of its own.
	lanes *pack.Batcher
	// largeLimit is how many large messages' requests may be under way; nil where
	// they do not give way to small ones.
	largeLimit func() int
}

// packLog counts packs and logs those that were refused.
type packLog struct {
	pack.Observer
	log *maillog.Log
}

// PackSplit implements pack.Observer.
func (l packLog) PackSplit(messages int, err error) {
	l.Observer.PackSplit(messages, err)
	l.log.PackSplit(messages, err)
}

func openObjects(c *config.Config, log *maillog.Log, o pack.Observer) (*objects, error) {
	o = packLog{o, log}
	switch c.Store.Kind {
	case config.KindDiscard:
		return &objects{store: discard.Store{}}, nil
	case config.KindS3:
		return openBucket(c, log, o)
	}
	s, err := dir.Open(dir.Options{
		Path: c.ObjectsDir(),
		// Every session may have one message under way, and no more.
		Queue:      c.Limits.Connections,
		Timeout:    c.Timeouts.Store,
		Pack:       packing(c, o),
		LeftBehind: log.LeftBehind,
	})
	if err != nil {
		return nil, err
	}
	return &objects{
		store: s, bucket: s.Bucket(), depth: s.Depth, close: s.Close, leftBehind: s.LeftBehind, lanes: s.Batcher(),
	}, nil
}

// packing is how the store packs, nil when it does not.
func packing(c *config.Config, o pack.Observer) *pack.Options {
	if c.Store.Packing == config.PackingOff {
		return nil
	}
	p := &c.Store.Pack
	return &pack.Options{
		Limits: pack.Limits{
			Messages: p.MaxMessages, Bytes: int64(p.MaxBytes), Message: int64(p.MessageLimit),
		},
		Lanes: p.Lanes, Linger: p.Linger, Observer: o,
	}
}

// bucketOptions are those of whoever reads or writes the bucket.
func bucketOptions(c *config.Config) s3.Options {
	at := &c.Store.S3
	return s3.Options{
		Endpoint:     at.Endpoint,
		Bucket:       at.Bucket,
		Region:       at.Region,
		Secure:       at.Secure,
		CAFile:       at.CAFile,
		Credentials:  at.Credentials,
		AccessKey:    at.AccessKey,
		SecretKey:    at.SecretKey.Reveal(),
		PartSize:     int64(at.PartSize),
		Concurrency:  at.Concurrency,
		CreateBucket: at.CreateBucket,
		SSE:          at.SSE,
		// One message for every session, or its parts.
		Queue:   c.Limits.Connections + at.Concurrency,
		Timeout: c.Timeouts.Store,
	}
}

func openBucket(c *config.Config, log *maillog.Log, o pack.Observer) (*objects, error) {
	options := bucketOptions(c)
	options.LeftBehind, options.Pack = log.LeftBehind, packing(c, o)
	options.Reread = rereadKeys(c, log.Logger())
	s, err := s3.Open(context.Background(), options)
	if err != nil {
		return nil, err
	}
	opened := &objects{
		store: s, bucket: options.Bucket, depth: s.Depth, close: s.Close,
		probe: s.Probe, leftBehind: s.LeftBehind, lanes: s.Batcher(),
	}
	if opened.lanes != nil {
		opened.largeLimit = s.LargeLimit
	}
	return opened, nil
}

func (o *objects) Close() error {
	if o.close == nil {
		return nil
	}
	return o.close()
}

// rereadKeys returns what the object store asks, nil when neither the key nor its
// secret was read from a file.
func rereadKeys(c *config.Config, logger *slog.Logger) func(refused s3.Keys) (s3.Keys, bool) {
	at := &c.Store.S3
	access := at.RereadAccessKey(logger)
	secret := at.SecretKey.Reread("store.s3.secret_key", logger)
	if access == nil && secret == nil {
		return nil
	}
	return func(refused s3.Keys) (s3.Keys, bool) {
		now := s3.Keys{Access: at.AccessKey, Secret: at.SecretKey.Reveal()}
		if access != nil {
			now.Access, _ = access(refused.Access)
		}
		if secret != nil {
			now.Secret, _ = secret(refused.Secret)
		}
		return now, now != refused
	}
}

// events is the event log that the configuration names, and the broker when it
// runs in this process.
type events struct {
	log     pipeline.EventLog
	options kafka.Options // of whoever talks to the same brokers
	kafka   *kafka.Log
	broker  *embedded.Broker
}

// openTime bounds the first look at the topic.
const openTime = 10 * time.Second

func openEvents(c *config.Config, logger *slog.Logger, bound func(net.Listener) net.Listener) (*events, error) {
	if c.Events.Kind == config.KindDiscard {
		return &events{log: discard.Log{}}, nil
	}
	e := &events{}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	if c.Events.Kind == config.KindKafka {
		e.options = kafkaOptions(c, logger)
		log, err := openLog(ctx, c, e.options)
		if err != nil {
			return nil, err
		}
		e.kafka, e.log = log, log
		return e, nil
	}
	broker, err := embedded.Start(embedded.Options{
		Address:    c.Events.Embedded.Address,
		DataDir:    c.EventsDir(),
		Topic:      c.Events.Topic,
		Partitions: c.Events.Embedded.Partitions,
		Retention:  c.Events.Embedded.Retention,
		Logger:     logger,
		Bound:      bound,
	})
	if err != nil {
		return nil, err
	}
	e.broker = broker
	e.options = kafka.Options{
		Brokers:     []string{broker.Addr()},
		Topic:       c.Events.Topic,
		Compression: c.Events.Embedded.Compression,
		Queue:       c.Limits.Connections,
	}
	e.kafka, err = kafka.Open(ctx, e.options)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.log = e.kafka
	return e, nil
}

func (e *events) Close() error {
	var errs []error
	if e.kafka != nil {
		errs = append(errs, e.kafka.Close())
	}
	if e.broker != nil {
		errs = append(errs, e.broker.Close())
	}
	return errors.Join(errs...)
}

// sources are what /metrics reads when it is asked.
func (p *Program) sources() metrics.Sources {
	bodies, parts := p.shared.Budget, p.shared.Parts
	depths := map[string]func() float64{}
	if p.objects.depth != nil {
		depths["store"] = func() float64 { return float64(p.objects.depth()) }
	}
	if p.events.kafka != nil {
		depths["publish"] = func() float64 { return float64(p.events.kafka.Depth()) }
	}
	sources := metrics.Sources{
		SessionsOpen:    func() float64 { return float64(p.shared.SessionsOpen()) },
		BodyMemory:      func() float64 { return float64(bodies.Used() + parts.Used()) },
		BodyMemoryLimit: func() float64 { return float64(bodies.Limit() + parts.Limit()) },
		CreditWaiters:   func() float64 { return float64(bodies.Waiters() + parts.Waiters()) },
		QueueDepths:     depths,
		LogLinesDropped: func() float64 { return float64(p.log.Dropped()) },
		LogLinesLeftOut: func() float64 { return float64(p.log.Omitted()) },
		UnsafeDiscard:   func() float64 { return boolGauge(p.config.DiscardsMessages() || p.config.DiscardsEvents()) },
		Build:           build(),
	}
	if lanes := p.objects.lanes; lanes != nil {
		sources.PackWaiting = func() float64 { return float64(lanes.WaitingBytes()) }
		sources.PackLanes = func() float64 { return float64(lanes.Lanes()) }
		sources.PackLanesBusy = func() float64 { return float64(lanes.Busy()) }
	}
	if limit := p.objects.largeLimit; limit != nil {
		sources.LargeLimit = func() float64 { return float64(limit()) }
	}
	if p.objects.leftBehind != nil {
		sources.StoreLeftBehind = func() float64 { return float64(p.objects.leftBehind()) }
	}
	if p.events.kafka != nil {
		sources.TopicReplication = func() float64 { return float64(p.events.kafka.Topic().ReplicationFactor) }
		sources.TopicMaxMessage = func() float64 { return float64(p.events.kafka.Topic().MaxMessageBytes) }
		sources.TopicMinInsync = func() float64 { return float64(p.events.kafka.Topic().MinInsyncReplicas) }
	}
	return sources
}

func boolGauge(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// metricLabels are the bounded labels that the driver and the pipeline use.
func metricLabels(c *config.Config) metrics.Labels {
	labels := metrics.Labels{
		PressureClasses: pressureClasses(c),
		PressureCauses:  pressure.Causes(),
		LagGroups:       c.Pressure.Lag.Groups,
	}
	for _, r := range codec.Replies() {
		labels.Replies = append(labels.Replies, metrics.Reply{Code: int(r.Code), Cause: r.Cause})
		if r.Code >= 400 {
			labels.MessageResults = append(labels.MessageResults, r.Cause)
		}
	}
	labels.MessageResults = append(labels.MessageResults, "client_gone")
	for _, r := range []*codec.Reply{
		codec.ReplyDraining, codec.ReplyPressure, codec.ReplyTooManyConnections, codec.ReplyTooManyFromAddress,
	} {
		labels.RefusalCauses = append(labels.RefusalCauses, r.Cause)
	}
	for l := codec.LenientNone + 1; int(l) < codec.LeniencyCount; l++ {
		labels.PathLeniencies = append(labels.PathLeniencies, l.String())
	}
	for _, k := range pipeline.FailureKinds() {
		labels.FailureKinds = append(labels.FailureKinds, k.String())
	}
	labels.PanicPlaces = []string{"open", "traffic", "ended", "closed", "timer", "result", "credit", "drain", "run", "tick"}
	labels.AcceptCauses = reactor.AcceptCauses()
	return labels
}
