package pipeline

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"
)

// fill writes bytes into a body in pieces of at most step.
func fill(b *Body, pool *SlabPool, octets []byte, step int) {
	for len(octets) > 0 {
		if len(b.Room()) == 0 {
			b.Grow(pool)
		}
		n := copy(b.Room(), octets[:min(step, len(octets))])
		b.Wrote(n)
		octets = octets[n:]
	}
}

var bodySizes = []int{
	0, 1, 4<<10 - 1, 4 << 10, 4<<10 + 1, 20<<10 - 1, 20 << 10, 20<<10 + 1,
	68<<10 - 1, 68 << 10, 68<<10 + 1, 132 << 10, 132<<10 + 1, 1<<20 + 7,
}

// TestBody writes and reads back, and shows that SlabBytes says beforehand what
// a body will hold.
func TestBody(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	pool := NewSlabPool(1 << 20)
	for _, size := range bodySizes {
		octets := make([]byte, size)
		_, _ = random.Read(octets)
		for _, step := range []int{1000, 1 << 20} {
			var b Body
			b.Grow(pool) // as a session does before 354
			fill(&b, pool, octets, step)
			var got bytes.Buffer
			n, err := b.WriteTo(&got)
			if err != nil || n != int64(size) || b.Size() != int64(size) || !bytes.Equal(got.Bytes(), octets) {
				t.Errorf("%d bytes by %d: %d written, size %d, %v", size, step, n, b.Size(), err)
			}
			if !bytes.Equal(bytes.Join(b.Chunks(), nil), octets) {
				t.Errorf("%d bytes by %d: the chunks differ", size, step)
			}
			if b.Held() != SlabBytes(int64(size)) {
				t.Errorf("%d bytes hold %d, SlabBytes says %d", size, b.Held(), SlabBytes(int64(size)))
			}
			b.Release(pool)
			if b.Size() != 0 || b.Held() != 0 || b.Room() != nil || len(b.Chunks()) != 0 {
				t.Errorf("after Release: %d bytes, %d held", b.Size(), b.Held())
			}
		}
	}
}

// TestSlabPool shows that slabs are used again, clean of their length, and that
// the pool keeps no more than its limit.
func TestSlabPool(t *testing.T) {
	const limit = 4<<10 + 4*16<<10 + 64<<10
	pool := NewSlabPool(limit)
	var b Body
	fill(&b, pool, make([]byte, 300<<10), 1<<20)
	first := &b.slabs[0][0]
	b.Release(pool)
	if kept := pool.Kept(); kept != limit {
		t.Errorf("kept %d, want %d", kept, limit)
	}
	b.Grow(pool)
	if kept := pool.Kept(); kept != limit-4<<10 {
		t.Errorf("kept %d after a take", kept)
	}
	if len(b.Room()) != 4<<10 || &b.Room()[0] != first {
		t.Errorf("room of %d bytes, not the slab that was given back", len(b.Room()))
	}
	b.Release(pool)
	if allocs := testing.AllocsPerRun(100, func() {
		fill(&b, pool, make([]byte, 1), 1)
		b.Release(pool)
	}); allocs > 0 {
		t.Errorf("%v allocations a message", allocs)
	}
}

// BenchmarkFreshSlab takes a slab that no pool kept, writes it and lets it go: on
// the heap, as SlabPool does, and in mapped memory outside of it, which would
// have the resident set follow the budget more closely. 16 MiB live meanwhile.
func BenchmarkFreshSlab(b *testing.B) {
	const live = 256
	for _, way := range []struct {
		name string
		take func() []byte
		give func([]byte)
	}{
		{"heap", func() []byte { return make([]byte, slabLarge) }, func([]byte) {}},
		{"mmap", func() []byte {
			slab, err := syscall.Mmap(-1, 0, slabLarge, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
			if err != nil {
				b.Fatal(err)
			}
			return slab
		}, func(slab []byte) {
			if err := syscall.Munmap(slab); err != nil {
				b.Fatal(err)
			}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var slabs [live][]byte
			for i := 0; b.Loop(); i++ {
				if old := slabs[i%live]; old != nil {
					way.give(old)
				}
				slab := way.take()
				for at := 0; at < len(slab); at += 64 {
					slab[at] = 1
				}
				slabs[i%live] = slab
			}
			b.SetBytes(slabLarge)
		})
	}
}
