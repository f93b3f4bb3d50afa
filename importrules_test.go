package sluice_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// onlyForTests are packages of tests, which may import anything.
var onlyForTests = []string{
	"gateway/config/configtest", "gateway/sim", "internal/testkit", "internal/testkit/dnstest", "internal/testkit/kafkatest",
}

// TestEveryPackageHasImportRules requires a strict list of what each package may import
// in .golangci.yml. The linter is silent about a package that no list names.
func TestEveryPackageHasImportRules(t *testing.T) {
	text, err := os.ReadFile(".golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Mode  string   `yaml:"list-mode"`
						Files []string `yaml:"files"`
					} `yaml:"rules"`
				} `yaml:"depguard"`
			} `yaml:"settings"`
		} `yaml:"linters"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, rule := range config.Linters.Settings.Depguard.Rules {
		if rule.Mode == "strict" {
			patterns = append(patterns, rule.Files...)
		}
	}
	list := exec.Command("go", "list", "-f", "{{if .GoFiles}}{{.ImportPath}}{{end}}", "./...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		dir := strings.TrimPrefix(path, "sluice/")
		ruled := slices.ContainsFunc(patterns, func(p string) bool { return covers(p, dir) })
		switch exempt := slices.Contains(onlyForTests, dir) || dir == "sluice"; {
		case !ruled && !exempt:
			t.Errorf("%s: no strict list of depguard in .golangci.yml names its files: add one", dir)
		case ruled && exempt:
			t.Errorf("%s has import rules: take it off onlyForTests", dir)
		}
	}
}

// covers reports whether a pattern of files matches those of a folder: **/dir/*.go those
// in it, **/dir/**/*.go those of the folders below.
func covers(pattern, dir string) bool {
	if below, found := strings.CutSuffix(pattern, "/**/*.go"); found {
		return strings.HasPrefix(dir, strings.TrimPrefix(below, "**/")+"/")
	}
	return pattern == "**/"+dir+"/*.go"
}
