package s3

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"sluice/pipeline/pack"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 60 * time.Second
	// unacknowledgedTimeout is how long the peer's machine may leave bytes unacknowledged
	// before the connection breaks. Linux itself waits for a quarter of an hour.
	unacknowledgedTimeout = 10 * time.Second
	// spareConnections is the number of connections for the cleaner and for readers.
	spareConnections = 4
	wireBuffer       = 64 << 10
)

// newTransport returns a transport that keeps a connection for each concurrent request.
// minio-go's own keeps 16 and dials the others anew for each request. The transport
// speaks only HTTP/1.1: all requests would share the flow-control window of one HTTP/2
// connection.
func newTransport(o *Options) (*http.Transport, error) {
	dial := o.dial
	if dial == nil {
		dial = (&net.Dialer{
			Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: limitUnacknowledged,
		}).DialContext
	}
	connections := o.Concurrency + spareConnections
	if o.Pack != nil {
		connections += max(o.Pack.Lanes, pack.DefaultLanes)
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		MaxIdleConns:          connections,
		MaxIdleConnsPerHost:   connections,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: o.Timeout,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       wireBuffer,
		DisableCompression:    true, // objects are read as they were stored
	}
	if !o.Secure {
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile == "" {
		return t, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s: no certificate in PEM in it", o.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// client is minio-go's client, with the parts that it hides.
type client struct {
	*minio.Core
	transport   *http.Transport
	credentials *credentials.Credentials
	keys        *staticKeys // nil unless the credentials are static
}

// newClient returns a client that does not retry: its ten attempts would multiply with
// ours. It never signs, hashes or frames a body; the CRC32C that we send as a header
// protects it. minio-go's trailing checksum is no alternative: a retry does not reset it.
func newClient(o *Options) (*client, error) {
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	creds, keys, err := newCredentials(o, transport)
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(o.Endpoint, &minio.Options{
		Creds:           creds,
		Secure:          o.Secure,
		Transport:       coalescer{transport},
		Region:          o.Region,
		MaxRetries:      1,
		TrailingHeaders: false,
	})
	if err != nil {
		return nil, err
	}
	core.SetAppInfo("sluice", "1")
	return &client{Core: core, transport: transport, credentials: creds, keys: keys}, nil
}
