package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/loadtest/stack"
	"sluice/pipeline"
)

// partSize of large objects, bytes: Sluice's default.
const partSize = 5 << 20

// rawStore puts objects as Sluice does, without Sluice.
type rawStore struct {
	core     *minio.Core
	bucket   string
	object   []byte
	metadata map[string]string
}

// newRawStore makes a client whose settings are those of sluice/pipeline/s3.
func newRawStore(server *stack.MinIOServer, atOnce int) (*rawStore, error) {
	core, err := minio.NewCore(server.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""),
		Region: server.Region,
		Transport: &http.Transport{
			MaxIdleConns: atOnce, MaxIdleConnsPerHost: atOnce,
			WriteBufferSize: 64 << 10, DisableCompression: true,
		},
		MaxRetries: 1,
	})
	if err != nil {
		return nil, err
	}
	return &rawStore{core: core, bucket: fleetBucket}, nil
}

// key is one like a message's, new at each call.
func key() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return time.Now().UTC().Format("2006/01/02/15/") + hex.EncodeToString(id[:]) + ".eml"
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// put stores one small object by one request.
func (r *rawStore) put(ctx context.Context) error {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(r.object, castagnoli))
	metadata := map[string]string{"x-amz-checksum-crc32c": base64.StdEncoding.EncodeToString(sum)}
	for name, value := range r.metadata {
		metadata[name] = value
	}
	_, err := r.core.PutObject(ctx, r.bucket, key(), bytes.NewReader(r.object), int64(len(r.object)), "", "",
		minio.PutObjectOptions{UserMetadata: metadata, ContentType: "message/rfc822", DisableContentSha256: true})
	return err
}

// stream is a reader of which no more is known than that it can be read.
type stream struct{ from io.Reader }

func (s stream) Read(b []byte) (int, error) { return s.from.Read(b) }

// putLarge stores a stream in parts, as many of them at the same time as minio-go
// does by default.
func (r *rawStore) putLarge(ctx context.Context, content io.Reader, size int64) error {
	_, err := r.core.Client.PutObject(ctx, r.bucket, key(), stream{content}, size,
		minio.PutObjectOptions{
			ContentType: "message/rfc822", PartSize: partSize, DisableContentSha256: true,
			ConcurrentStreamParts: true, NumThreads: 4,
		})
	return err
}

// makeBucket makes the bucket unless it is there.
func (r *rawStore) makeBucket(ctx context.Context) error {
	found, err := r.core.BucketExists(ctx, r.bucket)
	if err != nil || found {
		return err
	}
	return r.core.MakeBucket(ctx, r.bucket, minio.MakeBucketOptions{})
}

// open is an opener of sessions that put each message as an object.
func (r *rawStore) open(context.Context) (deliverer, error) { return rawSession{r}, nil }

type rawSession struct{ *rawStore }

func (rawSession) close() {}

func (s rawSession) deliver(ctx context.Context, content string) (time.Duration, error) {
	began := time.Now()
	if len(content) >= largeFrom {
		err := s.putLarge(ctx, strings.NewReader(content), int64(len(content)))
		return time.Since(began), err
	}
	one := *s.rawStore
	one.object = []byte(content)
	err := one.put(ctx)
	return time.Since(began), err
}

// putStream stores what comes over a connection, as large mail does.
func (r *rawStore) putStream(ctx context.Context, sender string, size int64) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", sender)
	if err != nil {
		return err
	}
	defer conn.Close()
	return r.putLarge(ctx, conn, size)
}

// rawLog produces events as Sluice does, without Sluice.
type rawLog struct {
	client *kgo.Client
	record *kgo.Record // what each is a copy of
}

func newRawLog(server *stack.KafkaServer, topic string) (*rawLog, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(server.Bootstrap), kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // and idempotent, the client's default
		kgo.ProducerBatchCompression(kgo.SnappyCompression()), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	return &rawLog{client: client}, nil
}

// produce waits until the event is acknowledged.
func (r *rawLog) produce(ctx context.Context) error {
	var id [18]byte
	_, _ = rand.Read(id[:]) // never fails
	record := &kgo.Record{
		Key:   []byte(hex.EncodeToString(id[:])), // as long as a message's id
		Value: r.record.Value, Headers: r.record.Headers,
	}
	return r.client.ProduceSync(ctx, record).FirstErr()
}

// seen makes the raw side do the same as Sluice did: it reads the first event of
// the topic, and looks at the object that it names.
func seen(ctx context.Context, s *servers, topic string) (*kgo.Record, minio.ObjectInfo, error) {
	consumer, err := kgo.NewClient(kgo.SeedBrokers(s.broker.Bootstrap), kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, minio.ObjectInfo{}, err
	}
	defer consumer.Close()
	var first *kgo.Record
	for first == nil {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, minio.ObjectInfo{}, fmt.Errorf("read an event: %w", err)
		}
		if records := fetches.Records(); len(records) > 0 {
			first = records[0]
		}
	}
	event, err := pipeline.ParseEvent(first.Value)
	if err != nil {
		return nil, minio.ObjectInfo{}, err
	}
	store, err := newRawStore(s.store, 1)
	if err != nil {
		return nil, minio.ObjectInfo{}, err
	}
	info, err := store.core.StatObject(ctx, event.Blob.Bucket, event.Blob.Key, minio.StatObjectOptions{})
	return first, info, err
}
