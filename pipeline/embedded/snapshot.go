package embedded

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// snapshot is what kfake keeps about a partition at an orderly end, as far as Sluice needs
// it. Without one that fits the segments it holds all events in memory while it starts.
type snapshot struct {
	Version       int               `json:"version"`
	End           int64             `json:"high_watermark"`
	StableEnd     int64             `json:"last_stable_offset"`
	Start         int64             `json:"log_start_offset"`
	Epoch         int32             `json:"epoch"`
	LatestTime    int64             `json:"max_timestamp"`
	CreatedAt     time.Time         `json:"created_at"`
	Segments      []snapshotSegment `json:"segments"`
	transactional bool
}

type snapshotSegment struct {
	Base int64 `json:"base_offset"`
	Size int64 `json:"size"`
}

// snapshotFile is the name of a partition's snapshot in its folder.
const snapshotFile = "snapshot.json"

// add notes an intact batch, the next one in the order of offsets.
func (s *snapshot) add(batch []byte) {
	const (
		epochAt = 12
		attrsAt = 21
		deltaAt = 23
		firstAt = 27
		maxAt   = 35
	)
	first := int64(binary.BigEndian.Uint64(batch))
	if s.CreatedAt.IsZero() {
		s.CreatedAt = time.UnixMilli(int64(binary.BigEndian.Uint64(batch[firstAt:])))
	}
	s.End = first + int64(binary.BigEndian.Uint32(batch[deltaAt:])) + 1
	s.Epoch = int32(binary.BigEndian.Uint32(batch[epochAt:]))
	s.LatestTime = max(s.LatestTime, int64(binary.BigEndian.Uint64(batch[maxAt:])))
	s.transactional = s.transactional || batch[attrsAt+1]&0x10 != 0
}

// write writes the snapshot of a partition into its folder, unless the one that is there
// fits. It need not be durable: kfake takes one that is not whole for none. It leaves a
// partition with transactions to kfake, which alone knows how they ended.
func (s *snapshot) write(folder string) error {
	path := filepath.Join(folder, snapshotFile)
	var last snapshot
	if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &last) == nil {
		if slices.Equal(last.Segments, s.Segments) {
			return nil
		}
	}
	if s.transactional || len(s.Segments) == 0 || s.CreatedAt.IsZero() {
		return nil
	}
	s.Version, s.StableEnd = 1, s.End
	// What was deleted within a segment stays deleted. A group that waits for an event
	// which is damaged reads on behind it: its offset is not before the start.
	s.Start = min(max(s.Segments[0].Base, last.Start), s.End)
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, fileMode)
}
