package postgres

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/index"
	"sluice/index/indextest"
	"sluice/loadtest/stack"
)

// all is what the tests of this package share: one server.
var (
	all    stack.Package
	shared = sync.OnceValues(func() (server *stack.PostgresServer, err error) {
		err = all.Share(func(t testing.TB) {
			server = stack.Postgres(t)
			fast(t, server)
		})
		return server, err
	})
	schemas atomic.Int32
)

func TestMain(m *testing.M) { os.Exit(all.Run(m)) }

// fast makes a server that is thrown away not wait for its disk.
func fast(t testing.TB, server *stack.PostgresServer) {
	execute(t, server.URL, "alter system set fsync = off", "alter system set full_page_writes = off", "select pg_reload_conf()")
}

// execute executes statements on a connection of its own.
func execute(t testing.TB, url string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, s := range statements {
		if _, err := c.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// place returns the URL of an empty schema of the shared server.
func place(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real server")
	}
	server, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("test%d", schemas.Add(1))
	execute(t, server.URL, "create schema "+schema)
	return server.URL + "?search_path=" + schema
}

func options(url string) Options {
	return Options{URL: url, MaxConnections: 4, StatementTimeout: 20 * time.Second}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	indextest.Run(t, indextest.Subject{
		Open: func(t *testing.T) index.Store {
			s := mustOpen(t, options(place(t)))
			s.newest = 7 // so that few rows are found in each way
			return s
		},
		Refuse: func(m *index.Message) { m.MailFrom = "a\x00b" },
	})
}
