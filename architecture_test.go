package sluice_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pathLike matches what a page names in backticks and looks like a path of this
// repository.
var pathLike = regexp.MustCompile("`([a-z.][A-Za-z0-9_./-]*/[A-Za-z0-9_./-]*|[A-Za-z0-9_.-]+\\.(?:go|md|yml|golden))`")

// TestMapNamesWhatExists checks that every path exists which the pages name.
func TestMapNamesWhatExists(t *testing.T) {
	found := 0
	for _, page := range []string{"ARCHITECTURE.md", "README.md", "docs/contributing.md", "docs/decisions.md", "docs/measurements.md"} {
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

// citation matches a reference of a comment to a heading of a page, such as
// (docs/decisions.md, Credit before 354).
var citation = regexp.MustCompile(`\((docs/[a-z]+\.md), ([^)]+)\)`)

// TestCommentsCiteHeadings checks that the page has a heading that begins with the words
// which a comment cites.
func TestCommentsCiteHeadings(t *testing.T) {
	joined, found := regexp.MustCompile(`\n\s*// ?`), 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || path == "architecture_test.go":
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, cited := range citation.FindAllStringSubmatch(joined.ReplaceAllString(string(code), " "), -1) {
			found++
			page, err := os.ReadFile(cited[1])
			if err != nil {
				return err
			}
			heading := regexp.MustCompile(`(?m)^(#+ |\*\*)` + regexp.QuoteMeta(cited[2]))
			if !heading.Match(page) {
				t.Errorf("%s cites %s, which has no such heading", path, cited[0])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("only %d citations were found: does the pattern still match?", found)
	}
}

// goTest matches a command of go test that a page gives: its flag, the name behind it,
// and the package.
var goTest = regexp.MustCompile("`go test (?:-run '\\^\\$' )?-(run|bench) ([A-Z][A-Za-z]*) \\./([a-z0-9/]+)(?: -[a-z]+ [0-9]+)?`")

// TestMeasurementsCanBeRepeated checks that the tests and benchmarks exist which
// docs/measurements.md names.
func TestMeasurementsCanBeRepeated(t *testing.T) {
	text, err := os.ReadFile("docs/measurements.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := goTest.FindAllStringSubmatch(string(text), -1)
	if given := strings.Count(string(text), "`go test "); len(commands) != given || given == 0 {
		t.Errorf("%d of %d commands were understood", len(commands), given)
	}
	for _, c := range commands {
		kind := map[string]string{"run": "Test", "bench": "Benchmark"}[c[1]]
		wanted := regexp.MustCompile(`(?m)^func ` + kind + `\w*` + strings.TrimPrefix(c[2], kind))
		if !slices.ContainsFunc(testFiles(t, c[3]), wanted.MatchString) {
			t.Errorf("%s: there is no such %s", c[0], kind)
		}
	}
}

// testFiles returns the texts of the test files of a package.
func testFiles(t *testing.T, dir string) (texts []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}
