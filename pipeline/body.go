package pipeline

import "io"

// Body is the text of a message as received, dot-unstuffed, in slabs. While DATA arrives
// it belongs to the event loop. Between Put and Stored the object store reads it. Then
// its slabs go back to the loop's pool.
type Body struct {
	slabs [][]byte // each as long as what it holds, within its capacity
	size  int64
	held  int64 // capacity of all slabs
}

// Size returns the number of bytes written.
func (b *Body) Size() int64 { return b.size }

// Held returns the capacity of the slabs taken, in bytes.
func (b *Body) Held() int64 { return b.held }

// Room returns the unwritten rest of the last slab, nil when a new slab is needed.
func (b *Body) Room() []byte {
	if len(b.slabs) == 0 {
		return nil
	}
	last := b.slabs[len(b.slabs)-1]
	return last[len(last):cap(last)]
}

// Wrote adds the first n bytes of Room, which the caller has written, to the body.
func (b *Body) Wrote(n int) {
	last := &b.slabs[len(b.slabs)-1]
	*last = (*last)[:len(*last)+n]
	b.size += int64(n)
}

// Need returns the size of the slab that Grow would take next.
func (b *Body) Need() int64 { return nextSlab(b.held) }

// Grow adds an empty slab.
func (b *Body) Grow(pool *SlabPool) {
	size := b.Need()
	b.slabs = append(b.slabs, pool.take(size)[:0])
	b.held += size
}

// Release puts all slabs back into the pool.
func (b *Body) Release(pool *SlabPool) {
	for i, slab := range b.slabs {
		pool.give(slab)
		b.slabs[i] = nil
	}
	b.slabs, b.size, b.held = b.slabs[:0], 0, 0
}

// Chunks returns the bytes in order, to be read only.
func (b *Body) Chunks() [][]byte { return b.slabs }

// WriteTo writes the bytes to w.
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
