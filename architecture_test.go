package sluice_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pathLike matches what ARCHITECTURE.md and README.md name in backticks and
// looks like a path of this repository.
var pathLike = regexp.MustCompile("`([a-z.][A-Za-z0-9_./-]*/[A-Za-z0-9_./-]*|[A-Za-z0-9_.-]+\\.(?:go|md|yml|golden))`")

// The map is tested: every path that it names exists.
func TestMapNamesWhatExists(t *testing.T) {
	found := 0
	for _, page := range []string{"ARCHITECTURE.md", "README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pathLike.FindAllStringSubmatch(string(text), -1) {
			path := strings.TrimSuffix(m[1], "/")
			top, _, _ := strings.Cut(path, "/")
			if _, err := os.Stat(top); err != nil && strings.Contains(path, "/") {
				continue // not a path of ours, such as application/json
			}
			found++
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s: %v", page, path, err)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d paths were found: does the pattern still match?", found)
	}
}

// Every package has its place on the map.
func TestEveryPackageIsOnTheMap(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || !strings.Contains(path, "/"):
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if strings.HasPrefix(dir, "loadtest/") {
			dir = "loadtest" // one room, its folders are its own business
		}
		if !strings.Contains(string(text), "`"+dir+"/`") {
			t.Errorf("ARCHITECTURE.md does not name %s/", dir)
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
