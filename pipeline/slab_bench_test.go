package pipeline

import (
	"syscall"
	"testing"
)

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
