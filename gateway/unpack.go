package main

import (
	"context"
	"fmt"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
)

// unpack writes the messages and events of a pack to files in a directory.
func (a app) unpack(ctx context.Context, c *config.Config, key, folder string) error {
	store, err := adapters.OpenReader(c)
	if err != nil {
		return err
	}
	files, err := store.Unpack(ctx, key, folder)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%d files in %s\n", files, folder)
	return err
}
