package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/index"
	"sluice/internal/testkit"
	"sluice/loadtest/stack"
)

// world is a server of its own, whose faults disturb no other test, with a store.
type world struct {
	server *stack.PostgresServer
	store  *Store
	url    string
	number byte // of the last row
}

// fail wants an insert to end in time, with an error that is not about the rows.
func (w *world) fail(t *testing.T, what string) error {
	t.Helper()
	began := time.Now()
	n, err := w.store.Insert(t.Context(), []*index.Message{row(noon, w.number+1)})
	if n != 0 || err == nil || errors.Is(err, index.ErrRefused) {
		t.Errorf("%s: %d inserted, %v", what, n, err)
	}
	if took := time.Since(began); took > 30*time.Second { // the bounds are 2 s here
		t.Errorf("%s: an insert took %s", what, took)
	}
	return err
}

// heal wants an insert to succeed soon, and all rows to be found.
func (w *world) heal(t *testing.T, what string) {
	t.Helper()
	w.number++
	testkit.Eventually(t, what, func() bool {
		_, err := w.store.Insert(t.Context(), []*index.Message{row(noon, w.number)})
		if errors.Is(err, index.ErrRefused) {
			t.Fatalf("%s: %v", what, err)
		}
		return err == nil
	})
	if n, err := count(w.store); n != int(w.number) || err != nil {
		t.Errorf("%s: %d found, want %d: %v", what, n, w.number, err)
	}
}

// TestFaults has a server fail in many ways. Each ends in time with an error that is not
// about the rows, and is over when its cause is.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server")
	}
	w := &world{server: stack.Postgres(t)}
	fast(t, w.server)
	w.url = w.server.URL
	execute(t, w.url, "create role writer login createdb", "create database mail owner writer")
	o := options("postgres://writer@" + w.server.Address + "/mail")
	o.StatementTimeout = time.Second
	w.store = mustOpen(t, o)
	w.store.slack = time.Second
	w.heal(t, "at first")
	for _, fault := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"terminated", terminated}, {"silent", silent}, {"locked", locked}, {"killed", killed}, {"exhausted", exhausted},
		{"read only", becameReadOnly}, {"tables gone", tablesGone}, {"database gone", databaseGone},
	} {
		t.Run(fault.name, func(t *testing.T) { fault.run(t, w) })
	}
}

func terminated(t *testing.T, w *world) {
	execute(t, w.url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'")
	w.heal(t, "terminated")
}

// silent stops the processes that serve the store, as if the network swallowed all.
func silent(t *testing.T, w *world) {
	pids := ask[[]int](t, w.url, "select array_agg(pid) from pg_stat_activity where usename = 'writer'")
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	w.fail(t, "silent")
	w.heal(t, "silent") // by a new connection
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	w.heal(t, "resumed")

	// New connections find nobody either.
	execute(t, w.url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'")
	if err := w.server.Pause(); err != nil {
		t.Fatal(err)
	}
	w.store.pool.Reset()
	w.fail(t, "nobody answers")
	if err := w.server.Resume(); err != nil {
		t.Fatal(err)
	}
	w.heal(t, "answered")
}

// locked has another program hold the table.
func locked(t *testing.T, w *world) {
	c, err := pgx.Connect(t.Context(), "postgres://sluice@"+w.server.Address+"/mail")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "begin; lock table messages"); err != nil {
		t.Fatal(err)
	}
	if err := w.fail(t, "locked"); code(err) != "57014" {
		t.Errorf("want the timeout of a statement: %v", err)
	}
	if _, err := c.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	w.heal(t, "unlocked")
}

func killed(t *testing.T, w *world) {
	if err := w.server.Kill(); err != nil {
		t.Fatal(err)
	}
	w.fail(t, "killed")
	if err := w.server.Restart(); err != nil {
		t.Fatal(err)
	}
	w.heal(t, "started again")
}

// exhausted has no connection left for the store.
func exhausted(t *testing.T, w *world) {
	execute(t, w.url, "alter role writer connection limit 0")
	w.store.pool.Reset()
	w.fail(t, "exhausted")
	execute(t, w.url, "alter role writer connection limit -1")
	w.heal(t, "connections again")
}

// becameReadOnly makes the server read only, as a primary that has become a standby.
func becameReadOnly(t *testing.T, w *world) {
	execute(t, w.url, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
	testkit.Eventually(t, "read only", func() bool {
		return ask[string](t, w.url, "show default_transaction_read_only") == "on"
	})
	w.fail(t, "read only")
	w.fail(t, "read only, connected again")
	if n, err := count(w.store); err == nil && n != int(w.number) {
		t.Errorf("%d found, %v", n, err)
	}
	execute(t, w.url+"?default_transaction_read_only=off", "alter system reset default_transaction_read_only", "select pg_reload_conf()")
	w.heal(t, "primary again")
}

func tablesGone(t *testing.T, w *world) {
	execute(t, "postgres://writer@"+w.server.Address+"/mail", "drop table messages, message_terms, index_migrations cascade", "drop function message_term")
	if _, err := count(w.store); !errors.Is(err, errNotPrepared) {
		t.Errorf("no tables: %v", err)
	}
	w.number = 0
	if err := w.fail(t, "made anew"); !errors.Is(err, errAnew) {
		t.Error(err)
	}
	w.heal(t, "made anew")
}

func databaseGone(t *testing.T, w *world) {
	execute(t, w.url, "drop database mail with (force)")
	w.fail(t, "no database")
	execute(t, w.url, "create database mail owner writer")
	w.number = 0
	w.heal(t, "made anew")
}

// TestDeleteWhileRead has a reader that does not end keep a day, while others insert and
// find.
func TestDeleteWhileRead(t *testing.T) {
	url := place(t)
	s := mustOpen(t, options(url))
	for d := range 3 {
		if _, err := s.Insert(t.Context(), rowsOf(10, noon.AddDate(0, 0, d))); err != nil {
			t.Fatal(err)
		}
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "begin; select count(*) from messages"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	failed := make(chan error, 1)
	go func() {
		var err error
		for i := byte(0); err == nil && !stop.Load(); i = (i + 1) % 100 {
			time.Sleep(20 * time.Millisecond) // it need not take a CPU of its own
			if _, err = s.Insert(context.Background(), []*index.Message{row(noon.AddDate(0, 0, 2), 100+i)}); err == nil {
				_, err = count(s)
			}
		}
		failed <- err
	}()
	if n, err := s.DeleteBefore(t.Context(), noon.AddDate(0, 0, 1)); n != 0 || code(err) != lockNotAvailable {
		t.Errorf("%d deleted, %v", n, err)
	}
	if _, err := c.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeleteBefore(t.Context(), noon.AddDate(0, 0, 1)); n != 10 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	stop.Store(true)
	if err := <-failed; err != nil {
		t.Error(err)
	}
	if n := ask[int](t, url, "select count(*) from pg_class where relname like 'message%\\_20260504' and relnamespace = current_schema()::regnamespace"); n != 0 {
		t.Errorf("%d partitions are left", n)
	}
}

// TestToday keeps today's messages whatever is asked for.
func TestToday(t *testing.T) {
	s := mustOpen(t, options(place(t)))
	now := time.Now()
	if _, err := s.Insert(t.Context(), rowsOf(3, now)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeleteBefore(t.Context(), now.AddDate(1, 0, 0)); n != 0 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	if n, err := count(s); n != 3 || err != nil {
		t.Errorf("%d found, %v", n, err)
	}
}

// TestDayNames has each day found again by the names of its partitions.
func TestDayNames(t *testing.T) {
	for _, d := range []day{0, 1, 58, 59, 60, 10_957, 11_016, 20_577, 2_932_896, 2_932_897, lastDay} {
		if got, ok := dayOfSuffix(d.suffix()); !ok || got != d {
			t.Errorf("%d: %s is %d, %v", d, d.suffix(), got, ok)
		}
	}
	for _, s := range []string{"", "default", "2026", "20261301", "20260132", "2026013x", "x"} {
		if d, ok := dayOfSuffix(s); ok {
			t.Errorf("%q is %d", s, d)
		}
	}
}

// TestRefusedOrNot sorts what a server may say.
func TestRefusedOrNot(t *testing.T) {
	for sqlstate, want := range map[string]bool{
		"22021": true, "22P05": true, "22008": true, "23502": true, "54000": true,
		"22P04": false, "23505": false, "23514": false, "25006": false, "28P01": false, "40P01": false, "42P01": false,
		"53100": false, "53200": false, "53300": false, "55P03": false, "57014": false, "57P01": false, "58030": false, "XX001": false, "0A000": false,
	} {
		if got := errors.Is(refused(&pgconn.PgError{Code: sqlstate}), index.ErrRefused); got != want {
			t.Errorf("%s: %v", sqlstate, got)
		}
	}
	if errors.Is(refused(fmt.Errorf("read: %w", context.DeadlineExceeded)), index.ErrRefused) {
		t.Error("a timeout is not about the rows")
	}
}
