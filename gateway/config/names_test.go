package config

import (
	"strings"
	"testing"
)

func TestDomains(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]bool{
		"example.net": true, "localhost": true, "xn--bcher-kva.example": true, "3com.example": true, "a-b.c": true, long + ".example": true,
		"": false, ".": false, "example.net.": false, ".example.net": false, "a..b": false, "-a.b": false, "a-.b": false, "a_b.c": false,
		"Example.net": false, "bücher.example": false, "192.0.2.1": false, "::1": false, "[192.0.2.1]": false, "a b": false,
		long + "a.example": false, strings.Repeat("abc.", 63) + "ab": false,
	} {
		if got := isDomain(name); got != want {
			t.Errorf("isDomain(%q) = %v", name, got)
		}
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:25": true, "127.9.9.9:25": true, "[::1]:25": true, "localhost:25": true, "[::ffff:127.0.0.1]:25": true,
		":25": false, "0.0.0.0:25": false, "[::]:25": false, "192.0.2.1:25": false, "nonsense": false,
	} {
		if got := isLoopback(address); got != want {
			t.Errorf("isLoopback(%q) = %v", address, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{":25", "127.0.0.1:25", true},
		{":25", "[::1]:25", true},
		{":25", ":26", false},
		{":0", ":0", false},
		{"0.0.0.0:25", "[::]:25", false},
		{"0.0.0.0:25", "192.0.2.1:25", true},
		{"0.0.0.0:25", "[2001:db8::1]:25", false},
		{"[::]:25", "[2001:db8::1]:25", true},
		{"127.0.0.1:25", "127.0.0.2:25", false},
		{"localhost:25", "127.0.0.1:25", true},
		{"[::ffff:127.0.0.1]:25", "127.0.0.1:25", true},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("%s and %s overlap: want %v", c.a, c.b, c.want)
		}
	}
}
