package pipeline

// Slab sizes. A message of 4 KiB or less takes one small slab. Up to 68 KiB at most
// 16 KiB stand empty, beyond that at most 64 KiB.
const (
	slabSmall  = 4 << 10
	slabMedium = 16 << 10
	slabLarge  = 64 << 10
	// slabsLarge is the number of bytes held when large slabs begin.
	slabsLarge = slabSmall + 4*slabMedium
)

// nextSlab returns the size of the slab that follows held bytes of slabs.
func nextSlab(held int64) int64 {
	switch {
	case held == 0:
		return slabSmall
	case held < slabsLarge:
		return slabMedium
	default:
		return slabLarge
	}
}

// SlabBytes returns the bytes of slabs that a body of size bytes takes.
func SlabBytes(size int64) int64 {
	held := int64(slabSmall)
	for held < size && held < slabsLarge {
		held += slabMedium
	}
	if held < size {
		held += (size - held + slabLarge - 1) / slabLarge * slabLarge
	}
	return held
}

// SlabPool keeps free slabs for one event loop. It is not safe for concurrent use. The
// message that holds a slab pays for it from the Budget; the free slabs that the pool
// keeps are bounded by its limit.
type SlabPool struct {
	free  [3][][]byte
	kept  int64
	limit int64
}

// NewSlabPool returns a pool that keeps at most limit bytes of free slabs.
func NewSlabPool(limit int64) *SlabPool { return &SlabPool{limit: limit} }

// Kept returns the bytes of free slabs.
func (p *SlabPool) Kept() int64 { return p.kept }

func slabClass(size int) int {
	switch size {
	case slabSmall:
		return 0
	case slabMedium:
		return 1
	default:
		return 2
	}
}

func (p *SlabPool) take(size int64) []byte {
	free := &p.free[slabClass(int(size))]
	if n := len(*free); n > 0 {
		slab := (*free)[n-1]
		*free = (*free)[:n-1]
		p.kept -= size
		return slab
	}
	return make([]byte, size)
}

func (p *SlabPool) give(slab []byte) {
	size := int64(cap(slab))
	if p.kept+size > p.limit {
		return // the garbage collector takes it
	}
	free := &p.free[slabClass(int(size))]
	*free = append(*free, slab[:size])
	p.kept += size
}
