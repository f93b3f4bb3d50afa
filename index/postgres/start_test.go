package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/index"
	"sluice/pipeline"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// row returns a row with the term s:all whose id ends with number.
func row(at time.Time, number byte) *index.Message {
	id := pipeline.ID{6: 0x70, 8: 0x80, 15: number}
	for i, ms := 0, at.UnixMilli(); i < 6; i++ {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return &index.Message{ID: id, ReceivedAt: at, MailFrom: "a@example.org", Terms: []string{"s:all"}}
}

func rowsOf(n int, at time.Time) (rows []*index.Message) {
	for i := range n {
		rows = append(rows, row(at, byte(i)))
	}
	return rows
}

// count returns how many messages are found.
func count(s *Store) (int, error) {
	page, err := s.Find(context.Background(), &index.Query{Terms: []string{"s:all"}, Limit: index.MaxLimit})
	return len(page.Messages), err
}

// ask returns the only value that a query has.
func ask[T any](t *testing.T, url, query string) (value T) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if err := c.QueryRow(t.Context(), query).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

// TestManyAtOnce has eight programs make the tables at once, and then the same partitions.
func TestManyAtOnce(t *testing.T) {
	url := place(t)
	var group sync.WaitGroup
	inserted := make(chan int, 8)
	for range 8 {
		group.Go(func() {
			s, err := Open(context.Background(), options(url))
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			var rows []*index.Message
			for d := range 5 {
				rows = append(rows, rowsOf(20, noon.AddDate(0, 0, d))...)
			}
			n, err := s.Insert(context.Background(), rows)
			if err != nil {
				t.Error(err)
			}
			inserted <- n
		})
	}
	group.Wait()
	close(inserted)
	all := 0
	for n := range inserted {
		all += n
	}
	s := mustOpen(t, options(url))
	if n, err := count(s); all != 100 || n != 100 || err != nil {
		t.Errorf("%d inserted, %d found, %v", all, n, err)
	}
	if n := ask[int](t, url, "select count(*) from index_migrations"); n != len(migrations()) {
		t.Errorf("%d migrations", n)
	}
}

// TestNewer begins with tables that a later version has changed.
func TestNewer(t *testing.T) {
	url := place(t)
	mustOpen(t, options(url))
	execute(t, url, "insert into index_migrations (version) values (99)")
	for name, open := range openers {
		var newer *NewerError
		_, err := open(t.Context(), options(url))
		if !errors.As(err, &newer) || newer.Database != 99 || newer.Program != len(migrations()) || !strings.Contains(err.Error(), "run the version that made it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var openers = map[string]func(context.Context, Options) (*Store, error){"Open": Open, "OpenReader": OpenReader}

// TestCredentials is refused by each kind of mistake in the URL, and tells it from a
// server that cannot be reached.
func TestCredentials(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server")
	}
	server, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	execute(t, server.URL, "create role anna login password 'right'")
	hba := filepath.Join(server.Dir, "data", "pg_hba.conf")
	rules := "host all anna all scram-sha-256\nhost all nobody all reject\nhost all all all trust\n"
	if err := os.WriteFile(hba, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, server.URL, "select pg_reload_conf()")
	for _, name := range []string{"Open", "OpenReader"} {
		for _, wrong := range []string{
			"postgres://anna:wrong@" + server.Address + "/postgres",
			"postgres://anna@" + server.Address + "/postgres",
			"postgres://nobody@" + server.Address + "/postgres",
			"postgres://unknown@" + server.Address + "/postgres",
			"postgres://sluice@" + server.Address + "/missing",
			"postgres://sluice:wrong@[::1/postgres",
			"postgres://sluice:wrong@" + server.Address + "/postgres?sslmode=perhaps",
		} {
			var refused *CredentialsError
			if _, err := openers[name](t.Context(), options(wrong)); !errors.As(err, &refused) || strings.Contains(err.Error(), "wrong@") {
				t.Errorf("%s %s: %v", name, wrong, err)
			}
		}
		var refused *CredentialsError
		if _, err := openers[name](t.Context(), options("postgres://sluice@127.0.0.1:1/postgres")); err == nil || errors.As(err, &refused) {
			t.Errorf("%s, nobody listens: %v", name, err)
		}
	}
	execute(t, server.URL, "create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0")
	if _, err := Open(t.Context(), options("postgres://sluice@"+server.Address+"/latin")); !errors.Is(err, errEncoding) {
		t.Error(err)
	}
}

// TestReader reads as a role that may do nothing else.
func TestReader(t *testing.T) {
	url := place(t)
	if _, err := OpenReader(t.Context(), options(url)); !errors.Is(err, errNotPrepared) {
		t.Fatalf("an empty database: %v", err)
	}
	execute(t, url, "create role guest login")
	if _, err := Open(t.Context(), options(strings.Replace(url, "sluice@", "guest@", 1))); err == nil || !strings.Contains(err.Error(), rights) {
		t.Errorf("a role without rights: %v", err)
	}
	writer := mustOpen(t, options(url))
	_, schema, _ := strings.Cut(url, "search_path=")
	execute(t, url, "create role "+schema+" login", "grant usage on schema "+schema+" to "+schema, "grant select on all tables in schema "+schema+" to "+schema)
	reader, err := OpenReader(t.Context(), options(strings.Replace(url, "sluice@", schema+"@", 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	m := row(noon, 1) // into a partition that there was not when the rights were given
	if _, err := writer.Insert(t.Context(), []*index.Message{m}); err != nil {
		t.Fatal(err)
	}
	if n, err := count(reader); n != 1 || err != nil {
		t.Errorf("%d found, %v", n, err)
	}
	if page, err := reader.Find(t.Context(), &index.Query{Limit: 1}); len(page.Messages) != 1 || err != nil {
		t.Errorf("%d found, %v", len(page.Messages), err)
	}
	if _, err := reader.Get(t.Context(), m.ID); err != nil {
		t.Error(err)
	}
	if _, err := reader.Insert(t.Context(), []*index.Message{row(noon, 2)}); err == nil || errors.Is(err, index.ErrRefused) {
		t.Errorf("inserted by a reader: %v", err)
	}
}

// TestPending wants the pending lists of earlier days empty when a day begins.
func TestPending(t *testing.T) {
	url := place(t)
	s := mustOpen(t, options(url))
	execute(t, url, "create extension if not exists pgstattuple schema public")
	for d := range 3 {
		if _, err := s.Insert(t.Context(), rowsOf(20, noon.AddDate(0, 0, d))); err != nil {
			t.Fatal(err)
		}
	}
	const pending = "select pending_tuples from public.pgstatginindex('message_terms_2026050%d_terms_idx')"
	for d, want := range []int64{0, 0, 20} {
		if n := ask[int64](t, url, fmt.Sprintf(pending, 4+d)); n != want {
			t.Errorf("day %d: %d pending, want %d", d, n, want)
		}
	}
}

// TestSQL asks the tables as people do by psql.
func TestSQL(t *testing.T) {
	url := place(t)
	s := mustOpen(t, options(url))
	m := row(noon, 1)
	m.Parts = []index.Part{{Number: "2", Type: "application/pdf", Name: index.Text{Text: "Größe.pdf", Raw: "raw"}, Size: 7, SHA256: "ab"}}
	index.SetTerms(m, "grüße")
	if _, err := s.Insert(t.Context(), []*index.Message{m}); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"select id::text from message_parts where name like 'Gr%' and name_raw = 'raw' and type = 'application/pdf' and size = 7 and sha256 = 'ab' and number = '2'",
		"select id::text from message_terms where terms @> array[message_term('x:grusse')]",
		"select id::text from messages where mail_from = 'a@example.org' and received_at = '2026-05-04 12:00Z' and date is null",
	} {
		if got := ask[string](t, url, query); got != m.ID.String() {
			t.Errorf("%s: %s", query, got)
		}
	}
}
