package main

import (
	"context"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
)

// cat prints a stored message or a range of an object.
func (a app) cat(ctx context.Context, c *config.Config, of adapters.Range) error {
	store, err := adapters.OpenReader(c)
	if err != nil {
		return err
	}
	return store.Copy(ctx, a.out, of)
}
