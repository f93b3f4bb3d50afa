package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var files embed.FS

// migrations returns the migrations in their order. The first has the number 1.
func migrations() []string {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		panic(err) // the pattern is right
	}
	texts := make([]string, len(names))
	for i, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		texts[i] = string(text)
	}
	return texts
}

// lock is the advisory lock under which one process at a time changes tables: "sluice".
const lock = "select pg_advisory_xact_lock(x'736c75696365'::bigint)"

var errEncoding = errors.New("must be UTF8: create it with ENCODING 'UTF8' TEMPLATE template0")

var errNotPrepared = errors.New("the database has no index yet: sluice index makes its tables")

// check returns an error if the tables are not those of this program.
func (s *Store) check(ctx context.Context) error {
	var version int
	err := s.transact(ctx, reading, func(tx pgx.Tx) (err error) {
		version, err = versionOf(ctx, tx)
		return err
	})
	switch known := len(migrations()); {
	case err != nil:
		return err
	case version > known:
		return &NewerError{Database: version, Program: known}
	case version < known:
		return errNotPrepared
	}
	return nil
}

// versionOf returns the number of migrations that the database has.
func versionOf(ctx context.Context, tx pgx.Tx) (version int, err error) {
	var encoding string
	var exists bool
	// By pg_class: to_regclass alone would answer from what the connection remembers.
	const query = "select current_setting('server_encoding'), exists (select from pg_class where oid = to_regclass('index_migrations'))"
	err = tx.QueryRow(ctx, query).Scan(&encoding, &exists)
	if err != nil {
		return 0, err
	}
	if encoding != "UTF8" {
		return 0, fmt.Errorf("the encoding of the database, %s, %w", encoding, errEncoding)
	}
	if !exists {
		return 0, nil
	}
	err = tx.QueryRow(ctx, "select coalesce(max(version), 0) from index_migrations").Scan(&version)
	return version, err
}

// migrate brings the tables to the version of this program.
func (s *Store) migrate(ctx context.Context) error {
	switch err := s.check(ctx); {
	case err == nil || !errors.Is(err, errNotPrepared):
		return err
	}
	return s.transact(ctx, writing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock); err != nil {
			return err
		}
		version, err := versionOf(ctx, tx)
		if err != nil {
			return err
		}
		all := migrations()
		if version > len(all) {
			return &NewerError{Database: version, Program: len(all)}
		}
		if version == 0 {
			const table = "create table if not exists index_migrations (version integer primary key, applied_at timestamptz not null default now())"
			if _, err := tx.Exec(ctx, table); err != nil {
				return err
			}
		}
		for i := version; i < len(all); i++ {
			if _, err := tx.Exec(ctx, all[i]); err != nil {
				return fmt.Errorf("migration %d: %w", i+1, err)
			}
			if _, err := tx.Exec(ctx, "insert into index_migrations (version) values ($1)", i+1); err != nil {
				return err
			}
		}
		return nil
	})
}
