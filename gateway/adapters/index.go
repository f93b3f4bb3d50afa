package adapters

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/gateway/config"
	"sluice/index"
	"sluice/index/postgres"
	"sluice/index/sqlite"
)

// database is how an index of one kind is opened.
type database struct {
	open   func(context.Context, *config.Config) (index.Store, error) // by who fills it
	reader func(context.Context, *config.Config) (index.Store, error)
}

var databases = map[string]database{
	config.IndexSQLite:   {openSQLite, readSQLite},
	config.IndexPostgres: {openPostgres, readPostgres},
}

// OpenIndexReader opens the index that c names for searches.
func OpenIndexReader(ctx context.Context, c *config.Config) (index.Store, error) {
	d, ok := databases[c.Index.Store]
	if !ok {
		return nil, fmt.Errorf("index.store is %s: there is no index", c.Index.Store)
	}
	return d.reader(ctx, c)
}

// indexMode is the mode of the folder of an index: who reads it knows who wrote to whom.
const indexMode = 0o700

func openSQLite(ctx context.Context, c *config.Config) (index.Store, error) {
	err := os.MkdirAll(filepath.Dir(c.IndexPath()), indexMode)
	var s *sqlite.Store
	if err == nil {
		s, err = sqlite.Open(ctx, c.IndexPath())
	}
	if err != nil {
		return nil, fmt.Errorf("index (index.sqlite.path, data_dir): %w", err)
	}
	return s, nil
}

func readSQLite(ctx context.Context, c *config.Config) (index.Store, error) {
	s, err := sqlite.OpenReader(ctx, c.IndexPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no index %s (index.sqlite.path, data_dir): sluice serve makes it, or sluice index: %w", c.IndexPath(), err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("index (index.sqlite.path, data_dir): %w: search as the user of sluice serve or sluice index, or on their page", err)
	case err != nil:
		return nil, fmt.Errorf("index (index.sqlite.path, data_dir): %w", err)
	}
	return s, nil
}

func openPostgres(ctx context.Context, c *config.Config) (index.Store, error) {
	s, err := postgres.Open(ctx, postgresOptions(c))
	if err != nil {
		return nil, fmt.Errorf("index (index.postgres.url): %w", err)
	}
	return s, nil
}

func readPostgres(ctx context.Context, c *config.Config) (index.Store, error) {
	s, err := postgres.OpenReader(ctx, postgresOptions(c))
	if err != nil {
		return nil, fmt.Errorf("index (index.postgres.url): %w", err)
	}
	return s, nil
}

func postgresOptions(c *config.Config) postgres.Options {
	at := &c.Index.Postgres
	return postgres.Options{URL: at.URL.Reveal(), MaxConnections: at.MaxConnections, StatementTimeout: at.StatementTimeout}
}
