package dir

import (
	"path/filepath"
	"sync"

	"sluice/pipeline/durable"
)

// maxFolders bounds the folders that are remembered. Keys change folders every hour, so a
// few are enough; to forget one costs a few system calls.
const maxFolders = 64

// folders creates the folders of keys and remembers those that are durable.
type folders struct {
	fs   fileSystem
	root string

	mu      sync.Mutex
	durable map[string]struct{}
}

// ensure makes the folder rel below root, and its parents, exist durably: it survives a
// loss of power. Writers that need a new folder wait for each other here, because none
// may go on before the fsync of the parents.
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
	if err := f.ensureLocked(filepath.Dir(rel)); err != nil {
		return err
	}
	if err := durable.Make(f.fs, filepath.Join(f.root, rel)); err != nil {
		return err
	}
	if len(f.durable) >= maxFolders {
		clear(f.durable)
	}
	f.durable[rel] = struct{}{}
	return nil
}

// forget drops what is remembered, after a folder was removed by someone else.
func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.durable)
}
