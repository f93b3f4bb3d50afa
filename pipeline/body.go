package pipeline

import "io"

// Body is a message's octets as received, dot-unstuffed, in slabs. While DATA
// arrives it belongs to the event loop; between Put and Stored the object store
// reads it; then its slabs go back to the loop's pool.
type Body struct {
	slabs [][]byte // each as long as what it holds, within its capacity
	size  int64
	held  int64 // capacity of all slabs
}

// Size gives the octets written.
func (b *Body) Size() int64 { return b.size }

// Held gives the octets of slabs taken.
func (b *Body) Held() int64 { return b.held }

// Room gives the unwritten rest of the last slab, nil when a new slab is needed.
func (b *Body) Room() []byte {
	if len(b.slabs) == 0 {
		return nil
	}
	last := b.slabs[len(b.slabs)-1]
	return last[len(last):cap(last)]
}

// Wrote says that n octets of Room were written.
func (b *Body) Wrote(n int) {
	last := &b.slabs[len(b.slabs)-1]
	*last = (*last)[:len(*last)+n]
	b.size += int64(n)
}

// Need gives the size of the slab that Grow would take next.
func (b *Body) Need() int64 { return nextSlab(b.held) }

// Grow adds an empty slab.
func (b *Body) Grow(pool *SlabPool) {
	size := b.Need()
	b.slabs = append(b.slabs, pool.take(size)[:0])
	b.held += size
}

// Release gives all slabs back to the pool.
func (b *Body) Release(pool *SlabPool) {
	for i, slab := range b.slabs {
		pool.give(slab)
		b.slabs[i] = nil
	}
	b.slabs, b.size, b.held = b.slabs[:0], 0, 0
}

// Chunks gives the octets in order, to be read only.
func (b *Body) Chunks() [][]byte { return b.slabs }

// WriteTo writes the octets to w.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for _, slab := range b.slabs {
		n, err := w.Write(slab)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
