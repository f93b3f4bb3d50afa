// Package sqlite is index.Store on a file of SQLite, for one machine.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	_ "modernc.org/sqlite" // registers the driver

	"sluice/index"
)

// patience is how long a transaction waits for those of other processes.
const patience = 10 * time.Second

// Store is index.Store on a file.
type Store struct {
	path     string
	readOnly bool

	// writing lets one transaction write at a time, and guards file.
	writing sync.Mutex
	file    file
	// use is held while the fields below are used, and locked to exchange them.
	use    sync.RWMutex
	writer *sql.DB // nil if it is only read
	reader *sql.DB
	failed error // why it is not open: it was closed, or could not be opened again
}

var _ index.Store = (*Store)(nil)

// Open opens the database at path for one writer and many readers. It makes the file
// where there is none, and brings an older one to the version of this program.
func Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, false)
}

// OpenReader opens a database that is only read, perhaps while others write to it. The
// error wraps fs.ErrNotExist if there is none.
func OpenReader(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, true)
}

func open(ctx context.Context, path string, readOnly bool) (*Store, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: whole, readOnly: readOnly}
	if err := s.connect(ctx); err != nil {
		return nil, s.explain(err)
	}
	return s, nil
}

// connect opens the file. The caller holds use, or has s alone.
func (s *Store) connect(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = s.disconnect() // the error that counts is there already
		}
	}()
	if s.readOnly {
		if _, err := os.Stat(s.path); err != nil {
			return err
		}
		s.reader = s.pool("ro", "query_only(1)")
		return s.checkVersion(ctx)
	}
	if err := makeFile(s.path); err != nil {
		return err
	}
	// FULL: what Insert has stored is on disk, as offsets are committed after it. It takes
	// one fsync a batch. Pages that are written back 16 MiB at a time are written less often.
	s.writer = s.pool("rwc", "synchronous(FULL)", "wal_autocheckpoint(4096)", "journal_size_limit(67108864)", "cache_size(-16384)")
	s.writer.SetMaxOpenConns(1)
	if err := s.migrate(ctx, s.writer); err != nil {
		return err
	}
	s.reader = s.pool("rw", "query_only(1)")
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	s.file, err = identify(s.path)
	return err
}

// checkVersion reads the version. Connections are only opened when they are used.
func (s *Store) checkVersion(ctx context.Context) error {
	found, err := versionOf(ctx, s.reader, s.path)
	if err == nil && found < version {
		err = fmt.Errorf("%s has version %d: start sluice index once, which makes it version %d", s.path, found, version)
	}
	return err
}

// pool returns connections to the file, which are opened when they are used.
func (s *Store) pool(mode string, pragmas ...string) *sql.DB {
	values := url.Values{"mode": {mode}, "_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "foreign_keys(1)", "trusted_schema(0)",
	}, pragmas...)}
	if mode == "rwc" {
		values.Add("_txlock", "immediate")
		values.Add("_pragma", "journal_mode(WAL)")
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: s.path, RawQuery: values.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		panic(err) // only for a driver that is not registered
	}
	db.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	db.SetMaxIdleConns(4)
	return db
}

// makeFile makes an empty file if there is none, for the permissions that it gets so: SQLite
// would let everybody read it.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return nil // it is not even opened: to close it would release the locks of others
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// disconnect closes the connections.
func (s *Store) disconnect() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	s.reader, s.writer = nil, nil
	return errors.Join(errs...)
}

// Close implements index.Store.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.use.Lock()
	defer s.use.Unlock()
	s.failed = errClosed
	return s.disconnect()
}

var (
	errClosed   = errors.New("the index is closed")
	errReadOnly = errors.New("the index is only read")
)

// acquire returns the connections for reading, until release is called.
func (s *Store) acquire() (db *sql.DB, release func(), err error) {
	s.use.RLock()
	if s.failed != nil {
		defer s.use.RUnlock()
		return nil, nil, s.failed
	}
	return s.reader, s.use.RUnlock, nil
}
