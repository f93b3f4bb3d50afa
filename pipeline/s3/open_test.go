package s3

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/loadtest/stack"
	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// TestOpenRefused checks that a failure that persists stops the start, and that the error
// says what to do.
func TestOpenRefused(t *testing.T) {
	for _, s := range servers {
		for _, test := range []struct {
			name string
			set  func(*Options)
			has  []string
		}{
			{"no bucket", func(o *Options) { o.CreateBucket = false },
				[]string{`no bucket "mail-`, "mc mb ", "create_bucket"}},
			{"wrong secret", func(o *Options) { o.SecretKey = "wrong-secret" }, []string{"check credentials (static)", "s3:PutObject"}},
			{"unknown key", func(o *Options) { o.AccessKey = "nobody" }, []string{"credentials (static)"}},
			{"https to http", func(o *Options) { o.Secure = true }, []string{"set secure to what the server speaks"}},
			{"bucket's name", func(o *Options) { o.Bucket = "No_Bucket" }, []string{"check endpoint, secure, region, bucket and credentials"}},
		} {
			t.Run(s.name+" "+test.name, func(t *testing.T) {
				o := s.options(t)
				test.set(&o)
				store, err := Open(t.Context(), o)
				if err == nil {
					_ = store.Close()
					t.Fatal("opened")
				}
				for _, part := range test.has {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q is not in: %s", part, err)
					}
				}
				if strings.Contains(err.Error(), o.SecretKey) {
					t.Errorf("the secret is in: %s", err)
				}
			})
		}
	}
}

func TestBadOptions(t *testing.T) {
	for has, set := range map[string]func(*Options){
		"endpoint and bucket are needed": func(o *Options) { o.Endpoint = "" },
		"without a scheme":               func(o *Options) { o.Endpoint = "http://127.0.0.1:9000" },
		"part size 100":                  func(o *Options) { o.PartSize = 100 },
		"need an access key":             func(o *Options) { o.SecretKey = "" },
		`credentials "magic"`:            func(o *Options) { o.Credentials = "magic" },
		`sse "rot13"`:                    func(o *Options) { o.SSE = "rot13" },
		"leave the last colon out":       func(o *Options) { o.SSE = "aws:kms:" },
		"ca_file":                        func(o *Options) { o.Secure, o.CAFile = true, "/none" },
		"no certificate in PEM":          func(o *Options) { o.Secure, o.CAFile = true, os.Args[0] },
	} {
		o := Options{Endpoint: "127.0.0.1:1", Bucket: "mail", AccessKey: "a", SecretKey: "b"}
		set(&o)
		if _, err := NewReader(o); err == nil || !strings.Contains(err.Error(), has) {
			t.Errorf("%v, want %s", err, has)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("MINIO_ROOT_USER", "")
	t.Setenv("MINIO_ACCESS_KEY", "")
	_, err := NewReader(Options{Endpoint: "127.0.0.1:1", Bucket: "mail", Credentials: CredentialsEnv})
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("%v", err)
	}
}

// TestUnreachable checks that the store may start after us, and that the bucket is
// created then.
func TestUnreachable(t *testing.T) {
	network := newValve()
	restore := network.cut()
	o := minioServer.options(t)
	o.dial = network.dial
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Probe(t.Context()); err == nil || errors.Is(err, errRefused) || strings.Contains(err.Error(), "http://") {
		t.Errorf("probe: %v", err)
	}
	sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
	if err != nil || pipeline.KindOf(sent.Err) != pipeline.KindTemporary {
		t.Errorf("%v %v", err, sent.Err)
	}
	restore()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if sent, err = porttest.Store(s, porttest.NewMessage([]byte("x"))); err == nil && sent.Err == nil {
			return
		}
	}
	t.Errorf("does not recover: %v", sent.Err)
}

// TestAuthority checks https with a certificate of a private authority.
func TestAuthority(t *testing.T) {
	m := stack.MinIO(t, stack.MinIOSettings{TLS: true})
	o := Options{Endpoint: m.Endpoint, Bucket: "mail", Secure: true, AccessKey: m.AccessKey, SecretKey: m.SecretKey, CreateBucket: true}
	if s, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("an unknown authority: %v", err)
		_ = s.Close()
	}
	o.Secure = false
	if s, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "secure") {
		t.Errorf("http to https: %v", err)
		_ = s.Close()
	}
	o.Secure, o.CAFile = true, m.CAFile
	s := mustOpen(t, o)
	sent := mustStore(t, s, "over TLS")
	if got := readAll(t, &s.Reader, sent.Blob.Key); got != string(sent.Header)+"over TLS" {
		t.Errorf("read %q", got)
	}
	l := porttest.NewLarge(s, make([]byte, MinPartSize))
	l.PutPart([]byte("x"))
	if failure, err := l.Wait(); failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	if err := l.Put(); err != nil || l.Err != nil {
		t.Errorf("%v %v", err, l.Err)
	}
}

// TestOpenSection reads a part of an object, and past its end.
func TestOpenSection(t *testing.T) {
	for _, server := range servers {
		s := mustOpen(t, server.options(t))
		m := porttest.NewMessage([]byte("0123456789"))
		m.Header = nil
		sent, err := porttest.Store(s, m)
		if err != nil || sent.Err != nil {
			t.Fatalf("%v %v", err, sent.Err)
		}
		for _, test := range []struct {
			offset, length int64
			want           string
		}{{0, 10, "0123456789"}, {3, 4, "3456"}, {8, 10, "89"}, {10, 1, ""}, {20, 5, ""}, {0, 0, ""}, {4, math.MaxInt64, "456789"}} {
			r, err := s.Open(t.Context(), sent.Blob.Key, test.offset, test.length)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != test.want {
				t.Errorf("%s %d+%d: %q %v, want %q", server.name, test.offset, test.length, got, err, test.want)
			}
			_ = r.Close()
		}
		for _, length := range []int64{0, 1} {
			if _, err := s.Open(t.Context(), "2026/01/01/00/nothing.eml", 0, length); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: a missing object: %v", server.name, err)
			}
		}
		if got := objects(t, &s.Reader); len(got) != 1 || got[0] != sent.Blob.Key {
			t.Errorf("%s: listed %q", server.name, got)
		}
		stop := errors.New("stop")
		if err := s.List(t.Context(), func(string, int64) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%s: list: %v", server.name, err)
		}
	}
}

// TestTransport checks that a connection is kept for every worker: minio-go's own
// transport keeps 16.
func TestTransport(t *testing.T) {
	o := Options{Concurrency: 77, Secure: true}
	o.defaults()
	transport, err := newTransport(&o)
	if err != nil {
		t.Fatal(err)
	}
	if transport.MaxIdleConnsPerHost < 77 || transport.MaxIdleConns < 77 || transport.ForceAttemptHTTP2 {
		t.Errorf("%d idle connections, %d a host", transport.MaxIdleConns, transport.MaxIdleConnsPerHost)
	}
}
