package oidc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"

	"sluice/gateway/identity"
)

const (
	maxAnswer  = 1 << 20 // of the provider, unpacked
	maxHeaders = 64 << 10
	// maxConns bounds the connections to one host of the provider, maxIdle those that wait
	// for a next request.
	maxConns    = 32
	maxIdle     = 8
	idleTimeout = 90 * time.Second
	dialTimeout = 5 * time.Second
)

// Bounds of how long a provider may ask to be left alone, and what holds if it does not say.
const (
	leastRetry   = time.Second
	defaultRetry = 10 * time.Second
	mostRetry    = 5 * time.Minute
)

// client speaks HTTP with the provider.
type client struct {
	http     *http.Client
	now      func() time.Time
	loopback bool // http to this machine is allowed
}

func newClient(o *Options) *client {
	issuer, err := url.Parse(o.Issuer)
	c := &client{now: o.now, loopback: err == nil && issuer.Scheme == "http"}
	transport := o.transport
	if transport == nil {
		transport = newTransport()
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	return c
}

// newTransport returns a transport with bounds. It speaks HTTP/1.1 alone: there a request
// that gets no answer closes its connection, so that the next one has another.
func newTransport() *http.Transport {
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              http1,
		MaxConnsPerHost:        maxConns,
		MaxIdleConnsPerHost:    maxIdle,
		MaxIdleConns:           4 * maxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaders,
	}
}

var errRedirect = errors.New("the provider redirects to another host")

// checkRedirect lets the provider redirect to its own host, and no request with a secret.
func checkRedirect(next *http.Request, before []*http.Request) error {
	first := before[0]
	switch {
	case first.Method != http.MethodGet:
		return http.ErrUseLastResponse
	case next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host || len(before) > 3:
		return errRedirect
	}
	return nil
}

// reply is an answer of the provider.
type reply struct {
	status int
	body   []byte
	retry  time.Duration // it wants to be left alone for that long, 0 for no wish
}

// get reads what is at an address.
func (c *client) get(ctx context.Context, address string) ([]byte, *identity.Answer) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unavailable(identity.ReasonMisconfigured, "%w", err)
	}
	r, trouble := c.do(request)
	switch {
	case trouble != nil:
		return nil, trouble
	case r.status != http.StatusOK:
		return nil, r.failure(address)
	}
	return r.body, nil
}

// do sends a request and reads its answer.
func (c *client) do(request *http.Request) (*reply, *identity.Answer) {
	if !secure(request.URL, c.loopback) {
		return nil, unavailable(identity.ReasonMisconfigured, "%s is not https", request.URL.Redacted())
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "sluice")
	response, err := c.send(request)
	if err != nil {
		return nil, broken(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if ctx := request.Context(); ctx.Err() != nil {
		err = ctx.Err() // what comes while a request is given up is not its answer
	}
	if err != nil {
		return nil, broken(fmt.Errorf("reading from %s: %w", request.URL.Redacted(), err))
	}
	if len(body) > maxAnswer {
		return nil, unavailable(identity.ReasonFailing, "the answer of %s is longer than 1 MiB", request.URL.Redacted())
	}
	r := &reply{status: response.StatusCode, body: body}
	r.retry = retryAfter(response.Header.Get("Retry-After"), c.now())
	if r.status == http.StatusTooManyRequests && r.retry == 0 {
		r.retry = defaultRetry
	}
	return r, nil
}

// send sends a request. A connection that waited may have been closed by the provider just
// then; a request that fails on it is sent once more, on a new one.
func (c *client) send(request *http.Request) (*http.Response, error) {
	reused := false
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	ctx := request.Context()
	request = request.WithContext(httptrace.WithClientTrace(ctx, trace))
	response, err := c.http.Do(request)
	if err == nil || !reused || ctx.Err() != nil {
		return response, err
	}
	c.http.CloseIdleConnections()
	if request.GetBody != nil {
		if request.Body, err = request.GetBody(); err != nil {
			return nil, err
		}
	}
	return c.http.Do(request)
}

// failure returns the answer for a status that is none of success.
func (r *reply) failure(address string) *identity.Answer {
	answer := unavailable(identity.ReasonFailing, "%s answers %d", address, r.status)
	if r.status == http.StatusTooManyRequests {
		answer.Reason = identity.ReasonThrottled
	}
	if r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError {
		answer.RetryAfter = r.retry
	}
	return answer
}

// retryAfter returns how long a Retry-After (RFC 9110 §10.2.3) says to wait, within bounds,
// 0 if it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(mostRetry/time.Second))) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	} else {
		return 0
	}
	return min(max(wait, leastRetry), mostRetry)
}
