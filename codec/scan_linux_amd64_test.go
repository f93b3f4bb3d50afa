package codec

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestCanScanIsWhatTheKernelSays compares canScan with the kernel's flags: a wrong false
// would be a silent loss of speed, a wrong true a crash.
func TestCanScanIsWhatTheKernelSays(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip(err)
	}
	_, flags, _ := strings.Cut(string(info), "\nflags")
	flags, _, _ = strings.Cut(flags, "\n")
	list := strings.Fields(flags)
	// The kernel calls LZCNT abm.
	want := slices.Contains(list, "avx2") && slices.Contains(list, "bmi1") && slices.Contains(list, "abm")
	if canScan != want {
		t.Errorf("canScan is %t, the kernel's flags say %t", canScan, want)
	}
}

// guarded returns n octets that are followed by inaccessible memory.
func guarded(t *testing.T, n int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mprotect(memory[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return memory[size-n : size : size]
}

// TestScanStaysInside decodes between two inaccessible pages: an octet too many, read or
// written, ends the test run.
func TestScanStaysInside(t *testing.T) {
	if !canScan {
		t.Skip("no scanLines on this processor")
	}
	text := bytes.Repeat([]byte("plain text and no dots at all in forty-odd\r\n"), 8)
	for n := 1; n <= 300; n++ {
		src, dst := guarded(t, n), guarded(t, n+1)
		copy(src, text)
		var d BodyDecoder
		nd, ns, _ := d.Decode(dst, src)
		if ns != n || !bytes.Equal(dst[:nd], text[:n]) {
			t.Fatalf("%d octets: %d consumed, %q", n, ns, dst[:nd])
		}
	}
}

// TestScanLinesStops pins where scanLines stops and what it counts.
func TestScanLinesStops(t *testing.T) {
	if !canScan {
		t.Skip("no scanLines on this processor")
	}
	line := strings.Repeat("x", 40) + "\r\n"
	for _, tc := range []struct {
		name, odd string
		back      int // distance of the stop from the end of the odd octets
	}{
		{"nothing odd", "", 0},
		{"bare LF", "y\n", 1},
		{"bare CR", "\ry", 1},
		{"dot", "\r\n.", 1},
		{"two CR", "\r\r\n", 2},
	} {
		for at := 1; at < 128; at++ {
			src := []byte((strings.Repeat(line, 5))[:at] + tc.odd + strings.Repeat(line, 5))[:193]
			if strings.HasSuffix(string(src[:at]), "\r") {
				continue // that would be another case
			}
			want := 192
			if tc.back > 0 {
				want = at + len(tc.odd) - tc.back - 1
			}
			dst := make([]byte, 192)
			s := lineScan{line: 1} // src[0]
			got := scanLines(&dst[0], &src[1], 192, &s)
			if got != want {
				t.Fatalf("%s at %d: stopped at %d, want %d", tc.name, at, got, want)
			}
			done := string(src[:1+got])
			if string(dst[:got]) != done[1:] {
				t.Fatalf("%s at %d: copied %q", tc.name, at, dst[:got])
			}
			longest, rest := 0, done
			for {
				text, behind, ok := strings.Cut(rest, "\r\n")
				if !ok {
					break
				}
				longest, rest = max(longest, len(text)), behind
			}
			if s.longest != longest || s.line != len(rest) || s.odd {
				t.Fatalf("%s at %d: %+v, want longest %d, line %d", tc.name, at, s, longest, len(rest))
			}
		}
	}
}
