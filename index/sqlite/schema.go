package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
)

// applicationID is the application_id of our files: "SLUX".
const applicationID = 0x534c5558

// migrations makes a database of version n from one of version n-1 by schema/n.sql. What
// was released does not change.
//
//go:embed schema
var migrations embed.FS

// version is that of the last migration.
const version = 1

// NewerError is returned for a database of a newer Sluice.
type NewerError struct {
	Path    string
	Version int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s has version %d, and this Sluice knows versions up to %d: use the newer Sluice that made it, or remove it and index again", e.Path, e.Version, version)
}

// querier is a connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// versionOf returns the version of a database, 0 for an empty one.
func versionOf(ctx context.Context, q querier, path string) (int, error) {
	var application, found, tables int
	if err := q.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return 0, err
	}
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil {
		return 0, err
	}
	if err := q.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	switch {
	case application == 0 && tables == 0 && found == 0:
		return 0, nil
	case application != applicationID:
		return 0, fmt.Errorf("%s is a database of another program", path)
	case found > version:
		return 0, &NewerError{path, found}
	}
	return found, nil
}

// migrate brings a database to the version of this program. Of several processes one does.
func (s *Store) migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	found, err := versionOf(ctx, tx, s.path)
	if err != nil || found == version {
		return err
	}
	for n := found + 1; n <= version; n++ {
		text, err := migrations.ReadFile(fmt.Sprintf("schema/%d.sql", n))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("migration %d: %w", n, err)
		}
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
	if err != nil {
		return err
	}
	return tx.Commit()
}
