package process

import (
	"context"
	"fmt"
)

// PostgresIndex returns the lines of YAML of an index on a database server, which the
// members of a group fill.
func PostgresIndex(url, group string) string {
	return fmt.Sprintf("index: {store: postgres, group: %s, postgres: {url: %q}}\n", group, url)
}

// StartIndexer starts an indexer with the configuration of the gateway, and waits until it
// is ready. admin is the address of its own admin server.
func (s *Sluice) StartIndexer(ctx context.Context, admin string) (*Process, error) {
	file, err := s.Configure()
	if err != nil {
		return nil, err
	}
	p, err := Start(s.Binary, "index", "--config", file, "--admin", admin, "--data", s.DataDir())
	if err != nil {
		return nil, err
	}
	if err := p.AwaitOK(ctx, "http://"+admin+"/readyz"); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}
