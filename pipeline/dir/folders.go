package dir

import (
	"path/filepath"
	"sync"
)

// maxFolders bounds the folders that are remembered. Keys change theirs every
// hour, so a few suffice; forgetting one costs a few calls.
const maxFolders = 64

// folders makes the folders of keys and remembers those that are durable. A
// folder that was found, not made, may stem from a process that died before its
// fsync: its name is made durable here too.
type folders struct {
	fs   fileSystem
	root string

	mu      sync.Mutex
	durable map[string]struct{}
}

// ensure makes sure that the folder rel below root, with its parents, is there
// and would be there after a loss of power. Writers that need a new folder wait
// here for each other: none may go on before the parents' fsync.
func (f *folders) ensure(rel string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ensureLocked(rel)
}

func (f *folders) ensureLocked(rel string) error {
	if rel == "." {
		return nil
	}
	if _, ok := f.durable[rel]; ok {
		return nil
	}
	parent := filepath.Dir(rel)
	if err := f.ensureLocked(parent); err != nil {
		return err
	}
	if err := f.fs.Mkdir(filepath.Join(f.root, rel)); err != nil && !exists(err) {
		return err
	}
	if err := f.fs.SyncDir(filepath.Join(f.root, parent)); err != nil {
		return err
	}
	if len(f.durable) >= maxFolders {
		clear(f.durable)
	}
	f.durable[rel] = struct{}{}
	return nil
}

// forget drops what is remembered: somebody removed a folder.
func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.durable)
}
