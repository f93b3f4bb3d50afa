package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"sluice/index"
)

// CredentialsError says that the database does not admit us, or that the URL is none.
// Waiting does not mend it.
type CredentialsError struct{ Err error }

// Error implements error.
func (e *CredentialsError) Error() string {
	return fmt.Sprintf("%v (check user, password and database of the URL, and pg_hba.conf)", e.Err)
}

// Unwrap returns what the server said.
func (e *CredentialsError) Unwrap() error { return e.Err }

// NewerError says that a newer program has changed the tables. Waiting does not mend it.
type NewerError struct {
	Database int // the last migration that the database has
	Program  int // the last one that this program knows
}

// Error implements error.
func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has migration %d and this program knows %d: run the version that made it, or a newer one, or restore the database", e.Database, e.Program)
}

// SQLSTATEs that decide what is done (PostgreSQL, Appendix A).
const (
	invalidPassword      = "28P01"
	invalidAuthorization = "28000"
	noDatabase           = "3D000"
	uniqueViolation      = "23505"
	noPartition          = "23514" // check_violation: the tables have no other check
	noTable              = "42P01"
	lockNotAvailable     = "55P03"
	noPrivilege          = "42501"
	noSchema             = "3F000" // none that the role may use
	readOnly             = "25006"
	badCopyFormat        = "22P04"
)

// code returns the SQLSTATE of an error, or "".
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// known returns err as what the caller can tell apart.
func known(err error) error {
	switch code(err) {
	case invalidPassword, invalidAuthorization, noDatabase:
		return &CredentialsError{err}
	case noPrivilege, noSchema:
		return fmt.Errorf("%w (%s)", err, rights)
	}
	return err
}

// rights says what a role needs. To grant it ends the wait, so that nothing is started anew.
const rights = "who fills the index owns its tables and needs USAGE and CREATE on their schema; who searches needs USAGE and SELECT"

// aboutRows reports whether an error of an insert is about the rows: bad data (22),
// constraints (23), program limits (54). An id that is there, a partition that is not,
// and a stream of our own that cannot be read are not.
func aboutRows(err error) bool {
	c := code(err)
	switch c {
	case uniqueViolation, noPartition, badCopyFormat, "":
		return false
	}
	return c[:2] == "22" || c[:2] == "23" || c[:2] == "54"
}

// refused wraps index.ErrRefused around an error about the rows.
func refused(err error) error {
	if aboutRows(err) {
		return fmt.Errorf("%w: %w", index.ErrRefused, err)
	}
	return known(err)
}

// ofConnections reports whether an error says that connections which are open now are of
// no use: the server is silent or gone, ends, or is no longer the primary.
func ofConnections(err error) bool {
	switch c := code(err); {
	case c == readOnly:
		return true
	case c != "":
		return c[:2] == "08" || c == "57P01" || c == "57P02" || c == "57P03"
	}
	return !errors.Is(err, context.Canceled)
}
