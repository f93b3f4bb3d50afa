package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/encrypt"

	"sluice/pipeline/pack"
)

// MinPartSize is the smallest size, in bytes, that S3 accepts for a part other than the
// last.
const MinPartSize = 5 << 20

// Sources of credentials.
const (
	CredentialsStatic = "static" // Options.AccessKey and SecretKey
	CredentialsEnv    = "env"    // AWS_ACCESS_KEY_ID …, else MINIO_ROOT_USER …
	CredentialsIAM    = "iam"    // the machine's or the pod's role
)

// Kinds of server-side encryption. A KMS key may follow sseKMS with a colon.
const (
	sseS3  = "AES256"
	sseKMS = "aws:kms"
)

// Options configures a Store. Zero numbers take the defaults.
type Options struct {
	// Endpoint is host:port, or host for the default port of the scheme.
	Endpoint string
	Bucket   string
	// Region signs requests. When empty it is taken from the name of the endpoint, or
	// the store is asked once.
	Region string
	// Secure selects https.
	Secure bool
	// CAFile names a file of PEM certificates that are trusted in addition to those of
	// the system.
	CAFile string
	// Credentials is one of the constants. The default is CredentialsStatic.
	Credentials          string
	AccessKey, SecretKey string
	// Reread is called when the store refuses static credentials. It returns the
	// present ones and whether they differ from the refused ones. It may block while it
	// reads files, and limits how often it does. Nil means that they never change.
	Reread func(refused Keys) (keys Keys, changed bool)
	// PartSize is the size of a part in bytes, at least MinPartSize, the default.
	PartSize int64
	// Concurrency is the number of requests in flight, not counting those for packs.
	// The default is 32. The same number of connections is kept. With packing, requests
	// for large messages are fewer while they slow small ones (backgroundLimiter).
	Concurrency int
	// CreateBucket creates a missing bucket.
	CreateBucket bool
	// SSE selects server-side encryption: "", AES256, aws:kms or aws:kms:<key id>.
	SSE string

	// Pack configures packing. Nil stores each message as an object of its own. Its
	// Queue and Timeout are replaced by those below.
	Pack *pack.Options

	// Queue is the number of messages and parts that may wait for a worker. With
	// packing it holds for small and for large messages separately. The default is 1024.
	// When the queue is full, the next one fails with KindTemporary.
	Queue int
	// Timeout bounds the time from Put or PutPart to the result: waiting, every attempt
	// and, for a message in parts, the completion. The default is 60 s.
	Timeout time.Duration
	// CloseTimeout bounds how long Close waits for requests in flight. The default is
	// 10 s.
	CloseTimeout time.Duration
	// LeftBehind is called with what a failed or aborted message left in the bucket and
	// could not be removed. It is called from any goroutine and must not block.
	LeftBehind func(key string, err error)

	// Retried is called when a further attempt at a request becomes necessary, with one of
	// RetryCauses and the failure. It is called from any goroutine and must not block.
	Retried func(cause string, err error)

	// failures is the number of attempts that fail before a request does, for tests. 0
	// means as many as fit into the time.
	failures int
	// cleanAgain replaces the variable of that name, for tests.
	cleanAgain []time.Duration
	// dial opens connections; nil means TCP.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o *Options) defaults() {
	if o.Credentials == "" {
		o.Credentials = CredentialsStatic
	}
	if o.PartSize <= 0 {
		o.PartSize = MinPartSize
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 32
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Timeout <= 0 {
		o.Timeout = 60 * time.Second
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 10 * time.Second
	}
	if o.cleanAgain == nil {
		o.cleanAgain = cleanAgain
	}
	if o.LeftBehind == nil {
		o.LeftBehind = func(string, error) {}
	}
	if o.Retried == nil {
		o.Retried = func(string, error) {}
	}
}

func (o *Options) check() error {
	switch {
	case o.Endpoint == "" || o.Bucket == "":
		return errors.New("endpoint and bucket are needed")
	case strings.Contains(o.Endpoint, "/"):
		return fmt.Errorf("endpoint %q: write host:port without a scheme; secure chooses https", o.Endpoint)
	case o.PartSize < MinPartSize:
		return fmt.Errorf("part size %d: at least %d bytes (an S3 rule)", o.PartSize, MinPartSize)
	case o.Credentials == CredentialsStatic && (o.AccessKey == "" || o.SecretKey == ""):
		return errors.New("static credentials need an access key and a secret key")
	}
	_, err := encryption(o.SSE)
	return err
}

// ValidSSE reports whether text is valid for Options.SSE.
func ValidSSE(text string) bool {
	_, err := encryption(text)
	return err == nil
}

// encryption parses Options.SSE. It returns nil for no encryption.
func encryption(text string) (encrypt.ServerSide, error) {
	kind, key := text, ""
	if rest, ok := strings.CutPrefix(text, sseKMS+":"); ok {
		kind, key = sseKMS, rest
		if key == "" {
			return nil, errors.New("sse aws:kms: without a key id leave the last colon out")
		}
	}
	switch kind {
	case "":
		return nil, nil
	case sseS3:
		return encrypt.NewSSE(), nil
	case sseKMS:
		return encrypt.NewSSEKMS(key, nil)
	default:
		return nil, fmt.Errorf("sse %q: AES256, aws:kms or aws:kms:<key id>", text)
	}
}
