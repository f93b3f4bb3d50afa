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

// MinPartSize is the least that S3 takes for a part that is not the last, in octets.
const MinPartSize = 5 << 20

// Where credentials come from.
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

// Options of a store. The zero value of a number takes the default.
type Options struct {
	// Endpoint is host:port, or host for the scheme's own port.
	Endpoint string
	Bucket   string
	// Region signs requests; empty to take it from the endpoint's name, or to ask
	// the store once.
	Region string
	// Secure is https.
	Secure bool
	// CAFile has the certificates, PEM, that the server's may be signed by, beside
	// those of the system.
	CAFile string
	// Credentials is one of the constants, default CredentialsStatic.
	Credentials          string
	AccessKey, SecretKey string
	// Reread is asked when the store refuses static credentials: it returns them as
	// they are now, and whether they are others than the refused ones. It may block
	// for as long as files are read, and bounds how often it reads. Nil for
	// credentials that stay as they are.
	Reread func(refused Keys) (keys Keys, changed bool)
	// PartSize in octets, default and least MinPartSize.
	PartSize int64
	// Concurrency is the number of requests under way at the same time, default
	// 32, beside those of the lanes. So many connections are kept. Beside small
	// messages that feel them, requests of large ones are fewer (courtesy).
	Concurrency int
	// CreateBucket makes the bucket when it is not there.
	CreateBucket bool
	// SSE asks for server-side encryption: "", AES256, aws:kms or aws:kms:<key id>.
	SSE string

	// Pack lets small messages share objects; nil gives each its own. Its
	// Queue and Timeout are those below.
	Pack *pack.Options

	// Queue is the number of messages and parts that may wait for a worker, and
	// beside lanes that of large ones apart, default 1024. One more is a temporary
	// failure.
	Queue int
	// Timeout is the time from Put or PutPart to its result, default 60 s: waiting,
	// every attempt and, for the last part, completing.
	Timeout time.Duration
	// CloseTimeout bounds how long Close waits for what is under way, default 10 s.
	CloseTimeout time.Duration
	// LeftBehind hears, from any goroutine, of what a failed or aborted message left
	// in the bucket and could not be removed. It must not block.
	LeftBehind func(key string, err error)

	// dial makes connections; nil for TCP.
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
	if o.LeftBehind == nil {
		o.LeftBehind = func(string, error) {}
	}
}

func (o *Options) check() error {
	switch {
	case o.Endpoint == "" || o.Bucket == "":
		return errors.New("endpoint and bucket are needed")
	case strings.Contains(o.Endpoint, "/"):
		return fmt.Errorf("endpoint %q: write host:port without a scheme; secure chooses https", o.Endpoint)
	case o.PartSize < MinPartSize:
		return fmt.Errorf("part size %d: at least %d octets (an S3 rule)", o.PartSize, MinPartSize)
	case o.Credentials == CredentialsStatic && (o.AccessKey == "" || o.SecretKey == ""):
		return errors.New("static credentials need an access key and a secret key")
	}
	_, err := encryption(o.SSE)
	return err
}

// ValidSSE says whether Options.SSE takes a text.
func ValidSSE(text string) bool {
	_, err := encryption(text)
	return err == nil
}

// encryption reads Options.SSE.
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
