package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// servers are the store and the broker of a fleet, empty and on free ports.
type servers struct {
	store   *stack.MinIOServer
	broker  *stack.KafkaServer
	first   string // folder of the first store
	renewed int
}

// startServers starts both below scratch; close ends them.
func startServers(scratch string) (*servers, error) {
	first := filepath.Join(scratch, "minio")
	store, err := stack.StartMinIO(first)
	if err != nil {
		return nil, err
	}
	s := &servers{store: store, first: first}
	if s.broker, err = stack.StartKafka(filepath.Join(scratch, "kafka")); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// packingOff gives each message an object of its own.
const packingOff = "packing: off"

// startSluice starts a fresh Sluice on the servers, as configure changes it.
func (s *servers) startSluice(ctx context.Context, binary, dir string, configure func(*process.Sluice)) (*process.Process, *process.Sluice, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	gateway, err := process.NewSluice(binary, dir, process.Fleet)
	if err != nil {
		return nil, nil, err
	}
	gateway.Events = s.broker.Bootstrap
	gateway.S3 = process.S3{
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
// one round has stored does not burden the next, nor fill the disk. The old one's
// files stay as they are until the run ends, without their bytes: a file system
// (ext4 without a journal) may look, for minutes, at all that was deleted lately
// whenever a file is made, and that was a quarter of the store's CPU time.
func (s *servers) renewStore() error {
	old := s.store.Dir
	if err := errors.Join(s.store.Kill(), truncate(old)); err != nil {
		return err
	}
	s.renewed++
	fresh, err := stack.StartMinIO(fmt.Sprintf("%s-%d", s.first, s.renewed))
	if err != nil {
		return err
	}
	s.store = fresh
	return nil
}

// truncate takes the bytes of the large files of a folder.
func truncate(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() < largeFrom {
			return err
		}
		return os.Truncate(path, 0)
	})
}

// close kills what runs: its folder is thrown away. What cannot be killed ends with
// us in any case.
func (s *servers) close() {
	if s.broker != nil {
		_ = s.broker.Kill()
	}
	_ = s.store.Kill()
}
