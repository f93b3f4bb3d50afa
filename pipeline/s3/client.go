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
	// spareConnections are for the cleaner and the readers.
	spareConnections = 4
	wireBuffer       = 64 << 10
)

// newTransport keeps as many connections as there are requests at the same time:
// minio-go's own keeps 16, and every one above would be dialled anew for each
// request. HTTP/1.1 alone: one HTTP/2 connection would share its window among all.
func newTransport(o *Options) (*http.Transport, error) {
	dial := o.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	atOnce := o.Concurrency + spareConnections
	if o.Pack != nil {
		atOnce += max(o.Pack.Lanes, pack.DefaultLanes)
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		MaxIdleConns:          atOnce,
		MaxIdleConnsPerHost:   atOnce,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: o.Timeout,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       wireBuffer,
		DisableCompression:    true, // octets come back as they were stored
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

// client is minio-go's, with what it hides.
type client struct {
	*minio.Core
	transport   *http.Transport
	credentials *credentials.Credentials
	secret      *secret // nil unless the credentials are static
}

// newClient makes a client that leaves retries to us (its own ten would multiply
// with ours) and never signs, hashes or frames a body: the CRC32C that we send as
// a header protects it. Its trailing checksum is not reset on a retry.
func newClient(o *Options) (*client, error) {
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	creds, secret, err := newCredentials(o)
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(o.Endpoint, &minio.Options{
		Creds:           creds,
		Secure:          o.Secure,
		Transport:       gather{transport},
		Region:          o.Region,
		MaxRetries:      1,
		TrailingHeaders: false,
	})
	if err != nil {
		return nil, err
	}
	core.SetAppInfo("sluice", "1")
	return &client{Core: core, transport: transport, credentials: creds, secret: secret}, nil
}
