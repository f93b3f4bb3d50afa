package index

import (
	"context"
	"errors"
	"time"

	"sluice/pipeline"
)

// Store is the port of a database with the rows. Its methods may be called by several
// goroutines at once, and by several processes on the same database.
type Store interface {
	// Insert stores the messages whose ids it does not have yet, all of them or none, and
	// returns their number. A message that it has stays as it is: events may come twice.
	// Two messages of one call never have the same id. An error that wraps ErrRefused says
	// that the database will never take these rows, though it may take some of them; any
	// other, that it could not be used.
	Insert(ctx context.Context, messages []*Message) (inserted int, err error)
	// Find returns the messages that q wants, in descending order of their ids.
	Find(ctx context.Context, q *Query) (Page, error)
	// Get returns one message, or ErrNotFound.
	Get(ctx context.Context, id pipeline.ID) (*Message, error)
	// DeleteBefore deletes messages whose ids are of a time before t, and returns their
	// number or an estimate. A database that deletes by the day may keep those of t's day.
	DeleteBefore(ctx context.Context, t time.Time) (deleted int64, err error)
	// Close ends the use of the database.
	Close() error
}

var (
	// ErrRefused is wrapped by the errors of Insert that are about the rows.
	ErrRefused = errors.New("refused by the database")
	// ErrNotFound is returned by Get.
	ErrNotFound = errors.New("not in the index")
	// ErrCursor is wrapped by the error of Find for a cursor that it did not return.
	ErrCursor = errors.New("not a cursor of this index")
)

// Page is a part of what was found.
type Page struct {
	Messages []*Message `json:"messages"`
	// Cursor gets the next page by Query.Cursor. It is empty when there is none.
	Cursor string `json:"cursor"`
}
