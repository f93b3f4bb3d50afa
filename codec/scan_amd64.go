package codec

// scanLines copies plain text of lines from src to dst and examines it on the way. n is
// the number of octets, a multiple of scanBlock. It stops before the first octet that is
// not plain: an LF without a CR before it, any octet other than LF after a CR, or a dot
// after an LF. The octet before src must be readable and be the one that precedes it in
// the message. It returns the number of octets done. After them it may leave anything in
// dst, up to n.
//
// It pays because it sees everything in one pass without a branch for each line:
// BenchmarkBody compares it with the portable code.
//
//go:noescape
func scanLines(dst, src *byte, n int, s *lineScan) (scanned int)

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

func xgetbv() (eax uint32)

// canScan reports whether scanLines can run here. The processor needs AVX2, BMI1 and
// LZCNT, and the operating system must save the wide registers. Package internal/cpu has
// this information but cannot be imported.
var canScan = func() bool {
	const (
		extended = 0x80000001
		osxsave  = 1 << 27 // leaf 1, ECX
		avx      = 1 << 28 // leaf 1, ECX
		bmi1     = 1 << 3  // leaf 7, EBX
		avx2     = 1 << 5  // leaf 7, EBX
		lzcnt    = 1 << 5  // extended leaf, ECX
		xmmYmm   = 1<<1 | 1<<2
	)
	has := func(bits, want uint32) bool { return bits&want == want }
	if leaves, _, _, _ := cpuid(0, 0); leaves < 7 {
		return false
	}
	if leaves, _, _, _ := cpuid(extended-1, 0); leaves < extended {
		return false
	}
	_, _, ecx1, _ := cpuid(1, 0)
	if !has(ecx1, osxsave|avx) || !has(xgetbv(), xmmYmm) {
		return false
	}
	_, ebx7, _, _ := cpuid(7, 0)
	_, _, ecxExtended, _ := cpuid(extended, 0)
	return has(ebx7, bmi1|avx2) && has(ecxExtended, lzcnt)
}()
