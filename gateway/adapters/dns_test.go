package adapters

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"sluice/gateway/config"
	"sluice/internal/testkit"
	"sluice/metrics"
)

// locked is a buffer that a logger and a test share.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A resolver that is away does not stop the start, and a warning says so.
func TestOpenResolver(t *testing.T) {
	c := config.DefaultConfig()
	c.DNS.Resolvers = []string{"127.0.0.1:1"}
	log := &locked{}
	r, err := OpenResolver(&c, metrics.New(metrics.Labels{}), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	testkit.Eventually(t, "a warning", func() bool {
		return strings.Contains(log.String(), `level=WARN msg="a DNS server does not answer" server=127.0.0.1:1`)
	})
	if _, err := r.Lookups(1).TXT(t.Context(), "d.test"); err == nil {
		t.Error("an answer")
	}
}
