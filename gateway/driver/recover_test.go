package driver

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPanicPlaces finds the name of each place in the code among PanicPlaces.
func TestPanicPlaces(t *testing.T) {
	named := regexp.MustCompile(`(?:l\.turn\([^,]+, |takeResult\(|recoverLoop\()"(\w+)"`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllSubmatch(source, -1) {
			found[string(m[1])] = true
			if !slices.Contains(PanicPlaces(), string(m[1])) {
				t.Errorf("%s: %s is not among PanicPlaces", file, m[1])
			}
		}
	}
	if len(found) != len(PanicPlaces()) {
		t.Errorf("the code has %v, PanicPlaces %v", found, PanicPlaces())
	}
}
