package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sluice/loadtest/corpus"
	"sluice/loadtest/drill"
	"sluice/loadtest/indexed"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// startDatabase starts a database server that end ends.
func startDatabase() (database *stack.PostgresServer, end func(), err error) {
	// A folder of its own: when we are root the server is not.
	dir, err := os.MkdirTemp("", "sluice-postgres-")
	if err != nil {
		return nil, nil, err
	}
	if database, err = stack.StartPostgres(dir); err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return database, func() {
		_ = database.Stop() // asked: a killed one leaves its shared memory in the kernel
		os.RemoveAll(dir)
	}, nil
}

// disturbIndexers is the drill of --indexers.
func (c *drillCommand) disturbIndexers(ctx context.Context, plan drill.Plan) (*drill.Report, error) {
	database, end, err := startDatabase()
	if err != nil {
		return nil, err
	}
	defer end()
	plan.Gateway.Config += process.PostgresIndex(database.URL, "indexer")
	return drill.Index(ctx, plan, database, drill.IndexTimes{
		Length: c.Indexers, Each: 2 * time.Second, Still: 3 * time.Second, Come: time.Second, CatchUp: 10 * time.Minute,
	})
}

// large is how many mails of a drill there are to one with an attachment of 30 MiB.
const large = 2500

// findMails is the drill of --mails.
func (c *drillCommand) findMails(ctx context.Context, plan drill.Plan) error {
	gateway := plan.Gateway
	gateway.Config = "index: {store: sqlite}\n"
	if plan.Fleet != nil {
		database, end, err := startDatabase()
		if err != nil {
			return err
		}
		defer end()
		gateway.Config = process.PostgresIndex(database.URL, "indexer")
	}
	setPacking(gateway, !c.Unpacked)
	p, err := gateway.Start(ctx)
	if err != nil {
		return err
	}
	defer p.Kill()
	admin := gateway.Admin
	if plan.Fleet != nil {
		if admin, err = process.FreeAddress(); err != nil {
			return err
		}
		indexer, err := gateway.StartIndexer(ctx, admin)
		if err != nil {
			return err
		}
		defer indexer.Kill()
	}
	proof := indexed.Proof{
		Corpus: corpus.Corpus{Seed: c.Seed, Large: large}, Mails: c.Mails, Sessions: c.Sessions,
		Searches: 4 * c.Mails, Patience: 10 * time.Minute,
	}
	result, _, err := proof.Run(ctx, gateway, &indexed.Index{Address: admin})
	if err != nil {
		return err
	}
	fmt.Printf("seed %d, packs %t, %s", c.Seed, !c.Unpacked, result)
	if len(result.Wrong) > 0 {
		return errNotFound
	}
	return nil
}

// errNotFound makes the exit status say what was printed.
var errNotFound = errors.New("the index does not have what was sent")

// setPacking sets whether small messages share objects.
func setPacking(gateway *process.Sluice, on bool) {
	packing := "packing: off"
	if on {
		packing = "packing: auto"
	}
	if gateway.Kind == process.Fleet {
		gateway.S3.More = packing
	} else {
		gateway.Config += "store: {" + packing + "}\n"
	}
}
