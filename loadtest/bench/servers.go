package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"sluice/loadtest/child"
	"sluice/loadtest/stack"
)

// servers are the store and the broker of a fleet, empty and on free ports.
type servers struct {
	store  *stack.MinIOServer
	broker *stack.KafkaServer
}

// startServers starts both below scratch; close ends them.
func startServers(scratch string) (*servers, error) {
	store, err := stack.StartMinIO(filepath.Join(scratch, "minio"))
	if err != nil {
		return nil, err
	}
	s := &servers{store: store}
	if s.broker, err = stack.StartKafka(filepath.Join(scratch, "kafka")); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// packingOff gives each message an object of its own.
const packingOff = "packing: off"

// startSluice starts a fresh Sluice on the servers, as configure changes it.
func (s *servers) startSluice(ctx context.Context, binary, dir string, configure func(*child.Sluice)) (*child.Process, *child.Sluice, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	gateway, err := child.NewSluice(binary, dir, child.Fleet)
	if err != nil {
		return nil, nil, err
	}
	gateway.Events = s.broker.Bootstrap
	gateway.S3 = child.S3{
		Endpoint: s.store.Endpoint, Bucket: fleetBucket,
		AccessKey: s.store.AccessKey, SecretKey: s.store.SecretKey,
	}
	configure(gateway)
	starting, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	p, err := gateway.Start(starting)
	return p, gateway, err
}

// renewStore puts an empty store in the place of the one that runs, so that what
// one round has stored does not burden the next, nor fill the disk.
func (s *servers) renewStore() error {
	dir := s.store.Dir
	if err := errors.Join(s.store.Kill(), os.RemoveAll(dir)); err != nil {
		return err
	}
	fresh, err := stack.StartMinIO(dir)
	if err != nil {
		return err
	}
	s.store = fresh
	return nil
}

// close kills what runs: its folder is thrown away. What cannot be killed ends with
// us in any case.
func (s *servers) close() {
	if s.broker != nil {
		_ = s.broker.Kill()
	}
	_ = s.store.Kill()
}
