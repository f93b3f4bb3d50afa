package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/pipeline"
)

// day is a day of UTC, counted from 1970.
type day int64

const dayMilliseconds = 24 * 60 * 60 * 1000

// lastDay is the day that no id is after.
const lastDay = day((1<<48 - 1) / dayMilliseconds)

func dayOf(t time.Time) day { return day(t.Unix() / (dayMilliseconds / 1000)) }

// suffix returns the end of the names of a day's partitions: 20260131.
func (d day) suffix() string {
	return time.UnixMilli(int64(d) * dayMilliseconds).UTC().Format("20060102")
}

// dayOfSuffix returns the day of a name, and false if it is none.
func dayOfSuffix(s string) (day, bool) {
	if len(s) < 8 {
		return 0, false
	}
	year, err := strconv.Atoi(s[:len(s)-4])
	if err != nil {
		return 0, false
	}
	t, err := time.Parse("0102", s[len(s)-4:])
	if err != nil && s[len(s)-4:] != "0229" {
		return 0, false
	}
	month, dom := t.Month(), t.Day()
	if err != nil {
		month, dom = time.February, 29
	}
	return dayOf(time.Date(year, month, dom, 0, 0, 0, 0, time.UTC)), true
}

// first returns the least id of a day.
func (d day) first() (id pipeline.ID) {
	ms := int64(d) * dayMilliseconds
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// bound returns the least id of a day as the bound of a partition.
func (d day) bound() string {
	if d > lastDay {
		return "maxvalue"
	}
	return "'" + d.first().String() + "'"
}

// partitioned are the tables with partitions, in the order in which all lock them: searches
// and inserts would deadlock with who drops partitions otherwise.
var partitioned = []string{"messages", "message_terms"}

// daysOf returns the days with partitions, the latest first.
func daysOf(ctx context.Context, tx pgx.Tx) ([]day, error) {
	const query = "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'messages'::regclass"
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var found []day
	for _, name := range names {
		if d, ok := dayOfSuffix(strings.TrimPrefix(name, "messages_")); ok {
			found = append(found, d)
		}
	}
	slices.Sort(found)
	slices.Reverse(found)
	return found, nil
}

// ensure makes the partitions of sorted days that are not known to have them.
func (s *Store) ensure(ctx context.Context, sorted []day) error {
	missing := s.days.missing(sorted)
	if len(missing) == 0 {
		return nil
	}
	made := false
	err := s.transact(ctx, writing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock); err != nil {
			return err
		}
		have, err := daysOf(ctx, tx)
		if err != nil {
			return err
		}
		for _, d := range missing {
			if slices.Contains(have, d) {
				continue
			}
			if _, err := tx.Exec(ctx, create(d)); err != nil {
				return fmt.Errorf("partitions of %s: %w", d.suffix(), err)
			}
			made = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.days.add(missing)
	if made {
		s.cleanPending(ctx)
	}
	return nil
}

// cleanPending empties the pending lists of all days, as a new one begins: nothing else
// does for those that get no messages any more. An error is of no account. A search then
// takes some milliseconds longer for a day, and the next day begins with it again.
func (s *Store) cleanPending(ctx context.Context) {
	const query = `select gin_clean_pending_list(i.indexrelid) from pg_inherits h
		join pg_index i on i.indrelid = h.inhrelid join pg_class c on c.oid = i.indexrelid
		join pg_am a on a.oid = c.relam where a.amname = 'gin' and h.inhparent = 'message_terms'::regclass`
	_ = s.transact(ctx, writing, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, query)
		return err
	})
}

// create returns the statements that make the partitions of a day. They are attached, for
// this locks the whole table less than CREATE TABLE … PARTITION OF does: nobody waits.
// Nothing is ever updated or deleted in them, so message_terms needs no vacuum. One would
// hold up the index's pending list, which then grows until an insert stalls for seconds.
func create(d day) string {
	var b strings.Builder
	for _, table := range partitioned {
		fmt.Fprintf(&b, "create table %[1]s_%[2]s (like %[1]s including storage);"+
			" alter table %[1]s attach partition %[1]s_%[2]s for values from (%[3]s) to (%[4]s);",
			table, d.suffix(), d.bound(), (d + 1).bound())
	}
	fmt.Fprintf(&b, "alter table message_terms_%[1]s alter column terms set statistics 0;"+
		" alter table message_terms_%[1]s set (autovacuum_enabled = off, toast.autovacuum_enabled = off)", d.suffix())
	return b.String()
}

// dropping begins a transaction that drops partitions. All searches and inserts wait
// behind it while it waits for those that run, so it gives up before they feel it.
const dropping = writing + "; set local lock_timeout = 2000"

// DeleteBefore implements index.Store. It drops the partitions of whole days before that of
// t, but never that of today. One that is being read for long stays, with an error, for
// the next call.
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) (deleted int64, err error) {
	end := dayOf(t)
	if today := dayOf(time.Now()); end > today {
		end = today
	}
	var have []day
	err = s.call(ctx, func(ctx context.Context) error {
		return s.transact(ctx, reading, func(tx pgx.Tx) (err error) {
			have, err = daysOf(ctx, tx)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: delete: %w", known(err))
	}
	for _, d := range slices.Backward(have) {
		if d >= end {
			break
		}
		var n int64
		err := s.call(ctx, func(ctx context.Context) (err error) {
			n, err = s.drop(ctx, d)
			return err
		})
		if err != nil {
			if code(err) == lockNotAvailable {
				err = fmt.Errorf("it is in use: %w", err)
			}
			return deleted, fmt.Errorf("postgres: delete %s: %w", d.suffix(), known(err))
		}
		deleted += n
	}
	return deleted, nil
}

// drop drops the partitions of a day, unless another process is at it, and returns the
// number of their messages.
func (s *Store) drop(ctx context.Context, d day) (n int64, err error) {
	err = s.transact(ctx, dropping, func(tx pgx.Tx) error {
		var mine, exists bool
		const try = "select pg_try_advisory_xact_lock(x'736c7569636564'::bigint), exists (select from pg_class where oid = to_regclass($1))"
		if err := tx.QueryRow(ctx, try, "message_terms_"+d.suffix()).Scan(&mine, &exists); err != nil || !mine || !exists {
			return err
		}
		if err := tx.QueryRow(ctx, "select count(*) from message_terms_"+d.suffix()).Scan(&n); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("drop table if exists messages_%[1]s, message_terms_%[1]s", d.suffix()))
		return err
	})
	if err != nil {
		return 0, err
	}
	s.days.forget()
	return n, nil
}

// call runs do within the bound of a call.
func (s *Store) call(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return do(ctx)
}
