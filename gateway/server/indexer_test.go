package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// TestIndexer: a process of its own indexes what a gateway takes, and ends when it is asked
// to.
func TestIndexer(t *testing.T) {
	gateway := launch(t, nil)
	gateway.sendMail(t, "invoice")
	c := gateway.config
	c.Index.Store, c.Admin.Address = config.IndexSQLite, "127.0.0.1:"+testkit.FreePort(t)
	c.Events.Embedded.Address = gateway.events.Address
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Index(ctx, IndexerOptions{Config: c, Out: io.Discard}) }()
	page := func(path string) (int, string) {
		answer, err := adminClient.Get("http://" + c.Admin.Address + path)
		if err != nil {
			return 0, ""
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	testkit.Eventually(t, "it is found", func() bool {
		code, text := page("/api/v1/messages?subject=invoice")
		return code == http.StatusOK && strings.Contains(text, `"invoice"`)
	})
	if code, text := page("/readyz"); code != http.StatusOK || text != "indexing\n" {
		t.Errorf("%d %s", code, text)
	}
	if code, text := page("/metrics"); code != http.StatusOK || !strings.Contains(text, `sluice_index_events_total{result="indexed"} 1`) {
		t.Errorf("%d %s", code, text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestIndexerWaits: a database that is away is waited for, and the process is ready; one
// that will never be is said.
func TestIndexerWaits(t *testing.T) {
	c := config.DefaultConfig()
	c.DataDir, c.Admin.Address, c.Index.Store = t.TempDir(), "127.0.0.1:"+testkit.FreePort(t), config.IndexPostgres
	c.Index.Postgres.URL = config.NewSecret("postgres://u:hush@" + "127.0.0.1:" + testkit.FreePort(t) + "/mail?connect_timeout=1")
	log := captureLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Index(ctx, IndexerOptions{Config: c, Out: io.Discard}) }()
	testkit.Eventually(t, "the log says so", func() bool { return strings.Contains(log(), "it is waited for") })
	if code, _ := pageOf(t, "http://"+c.Admin.Address+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d", code)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if strings.Contains(log(), "hush") {
		t.Error("the password is in the log")
	}
	c.Index.Postgres.URL = config.NewSecret("postgres://u:hush@h/mail?pool_max_conns=nonsense")
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := Index(ctx, IndexerOptions{Config: c, Out: io.Discard})
	if !errors.As(err, new(*adapters.HopelessError)) || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}
