// Package postgres keeps the index in PostgreSQL, from version 12 on.
//
// It works behind PgBouncer in transaction mode: what it sets holds for a transaction, it
// has no prepared statements with names, and its advisory locks end with transactions.
package postgres

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options are where the database is and what one process asks of it.
type Options struct {
	// URL is that of libpq: postgres://user:password@host/database?sslmode=verify-full.
	// With several hosts, the one that can be written to is used.
	URL string
	// MaxConnections bounds the connections that are open at once, at least 1.
	MaxConnections int
	// StatementTimeout bounds what a statement may take.
	StatementTimeout time.Duration
}

const (
	connectTimeout = 10 * time.Second // unless the URL has connect_timeout
	pingTimeout    = 5 * time.Second
	slack          = 10 * time.Second
	newest         = 1000
)

// Store implements index.Store.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration // of a statement
	slack   time.Duration // how much longer a call may take
	days    days
	// newest is how many messages a search looks at one by one before it asks the indexes.
	newest int
}

// Open connects to the database and brings its tables to this version. The error is a
// *CredentialsError or a *NewerError if waiting does not mend it.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, pgconn.ValidateConnectTargetSessionAttrsReadWrite, (*Store).migrate)
}

// OpenReader connects to a database that Open has prepared, to read. SELECT on its tables
// is all it needs, and a standby will do. The error is as that of Open.
func OpenReader(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, nil, (*Store).check)
}

func open(ctx context.Context, o Options, validate pgconn.ValidateConnectFunc, prepare func(*Store, context.Context) error) (*Store, error) {
	config, err := poolConfig(o)
	if err != nil {
		return nil, &CredentialsError{err}
	}
	if config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = validate
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, timeout: o.StatementTimeout, slack: slack, newest: newest}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := prepare(s, ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("postgres: %w", known(err))
	}
	return s, nil
}

func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, err // without the password
	}
	config.MaxConns = int32(max(o.MaxConnections, 1))
	config.PingTimeout = pingTimeout
	c := config.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	// One round trip, and nothing that a later transaction would have to find again.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	c.DialFunc = dialer.DialContext
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "sluice"
	}
	return config, nil
}

// Close closes the connections when the calls that use them have ended.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// bounded returns a context in which a call ends even if the server is silent.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout+s.slack)
}

// The settings of transactions. A term matches rows by its index alone, also one that most
// rows have: to look at the terms of all rows would read and unpack them. Compiling a
// statement (jit) takes longer than our statements do.
const (
	writing = "begin isolation level read committed; set local statement_timeout = %[1]d; set local idle_in_transaction_session_timeout = %[1]d"
	reading = "begin isolation level repeatable read read only; set local statement_timeout = %[1]d; set local idle_in_transaction_session_timeout = %[1]d;" +
		" set local enable_seqscan = off; set local jit = off"
)

// transact runs do in a transaction that begins with begin.
func (s *Store) transact(ctx context.Context, begin string, do func(tx pgx.Tx) error) error {
	begin = fmt.Sprintf(begin, s.timeout.Milliseconds())
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: begin}, do)
	if err != nil && ofConnections(err) {
		s.pool.Reset()
	}
	return err
}

// days are those that are known to have partitions.
type days struct {
	mu  sync.Mutex
	set map[day]struct{}
}

// missing returns those of sorted days that are not known.
func (d *days) missing(sorted []day) (missing []day) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range sorted {
		if _, ok := d.set[x]; !ok {
			missing = append(missing, x)
		}
	}
	return missing
}

func (d *days) add(these []day) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil {
		d.set = map[day]struct{}{}
	}
	for _, x := range these {
		d.set[x] = struct{}{}
	}
}

func (d *days) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set = nil
}
