package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sluice/pipeline/durable"
)

// partitions are the folders of a topic's partitions. The broker makes a folder with the
// first event of a partition, and a client may add partitions.
type partitions struct {
	path  string
	topic string
	// needed is whether it is an error that a folder is removed.
	needed bool
	// expired reports whether retention has deleted an event.
	expired func(topic string, partition int32, offset int64) (bool, error)
	folders []*folder // by number
	named   bool      // a folder is new, and its name not yet durable
}

func newPartitions(
	data, topic string, expired func(topic string, partition int32, offset int64) (bool, error),
) *partitions {
	return &partitions{path: partitionsFolder(data), topic: topic, expired: expired}
}

func partitionsFolder(data string) string { return filepath.Join(data, "partitions") }

func partitionFolder(o Options, number int32) string {
	return filepath.Join(partitionsFolder(o.DataDir), fmt.Sprintf("%s-%d", url.PathEscape(o.Topic), number))
}

// makePartitions creates the folders of the topic's partitions, durably. kfake would make
// them without an fsync.
func makePartitions(o Options) error {
	for i := range o.Partitions {
		if err := durable.MakeAll(durable.OS{}, partitionFolder(o, int32(i))); err != nil {
			return err
		}
	}
	return nil
}

// sync makes durable what was written into the partitions. It reports whether there was a
// new one, of which the broker's state says more.
func (p *partitions) sync() (fresh bool, err error) {
	if err := p.find(); err != nil {
		return false, err
	}
	for n, each := range p.folders {
		if each == nil {
			continue
		}
		err := each.sync()
		if errors.Is(err, errRemoved) && !p.needed { // its topic was deleted
			each.close()
			p.folders[n] = nil
			continue
		}
		if err != nil {
			return false, err
		}
	}
	fresh, p.named = p.named, false
	return fresh, nil
}

// find adds new folders.
func (p *partitions) find() error {
	entries, err := os.ReadDir(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return removed(p.path)
	} else if err != nil {
		return err
	}
	for _, entry := range entries {
		number, ok := p.number(entry.Name())
		if !ok || number < len(p.folders) && p.folders[number] != nil {
			continue
		}
		expired := func(offset int64) (bool, error) { return p.expired(p.topic, int32(number), offset) }
		fresh, err := newFolder(filepath.Join(p.path, entry.Name()), expired)
		if errors.Is(err, fs.ErrNotExist) && !p.needed {
			continue
		}
		if err != nil {
			return err
		}
		for len(p.folders) <= number {
			p.folders = append(p.folders, nil)
		}
		p.folders[number] = fresh
		p.named = true
	}
	if p.named {
		return durable.OS{}.SyncDir(p.path)
	}
	return nil
}

// number returns the number of the partition with this folder.
func (p *partitions) number(name string) (number int, ok bool) {
	text, ok := strings.CutPrefix(name, url.PathEscape(p.topic)+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil
}

func (p *partitions) close() {
	for _, each := range p.folders {
		if each != nil {
			each.close()
		}
	}
}
