package adapters

import (
	"fmt"

	"sluice/gateway/config"
	"sluice/pipeline/dir"
)

func openDir(c *config.Config, d Deps) (*Store, error) {
	s, err := dir.Open(dir.Options{
		Path: c.ObjectsDir(),
		// Every session may have one message in flight, and no more.
		Queue:      c.Limits.Connections,
		Timeout:    c.Timeouts.Store,
		Pack:       packOptions(c, d),
		LeftBehind: d.MailLog.LeftBehind,
	})
	if err != nil {
		return nil, fmt.Errorf("object store (data_dir): %w", err)
	}
	return &Store{
		Objects: s, Bucket: s.Bucket(), Depth: s.Depth, LeftBehind: s.LeftBehind, Batcher: s.Batcher(), close: s.Close,
	}, nil
}

func dirReader(c *config.Config) (source, error) { return dir.NewReader(c.ObjectsDir()) }
