package sluice_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// retired maps words that this code once had of its own to the field's words. They are
// found in any case and inside of identifiers. Words that also mean something else are
// not among them.
var retired = map[string]string{
	"askhome": "onCredit", "astruth": "kindBool", "courtesy": "background limiter",
	"crawlers": "slowloris", "creditdesk": "creditPool", "fastenough": "meetsMinRate", "forsake": "detach",
	"letgo": "release", "lookahead": "reserveAhead", "notpaused": "pauseFailed", "nudge": "notify",
	"parcel": "task", "parthome": "onPart", "processor time": "CPU time",
	"sleepers": "idle sessions", "stepdone": "StageDone",
	"turnstile": "limiter gate", "uncarry": "releaseCarried", "under way": "in flight",
	"unstarve": "resumeBody", "vanishers": "connection churn", "wholenumber": "integer",
}

// kept are texts with retired words that were promised.
var kept = []string{"A transaction is already under way"}

// TestRetiredWords refuses words of another time in Go files and pages, and octets in
// what operators read.
func TestRetiredWords(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir() || path == "retired_test.go" || !slices.Contains([]string{".go", ".md"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		findings := retiredWords(path, string(text))
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "codec/") {
			findings = append(findings, octets(t, path, text)...)
		}
		for _, finding := range findings {
			t.Error(finding)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRetiredWordCheckBites shows what is found, and what is not.
func TestRetiredWordCheckBites(t *testing.T) {
	const src = `package p

// A parcel is under way.
func newTurnstile() {
	print("A transaction is already under way", "octets", "a loctet")
	print("more octets than that", "one octet")
}
`
	want := []string{"p.go:3: parcel", "p.go:3: under way", "p.go:4: turnstile", "p.go:6: octets", "p.go:6: octets"}
	var got []string
	for _, finding := range append(retiredWords("p.go", src), octets(t, "p.go", []byte(src))...) {
		place, _, _ := strings.Cut(finding, " is now ")
		got = append(got, place)
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported %q\nwant     %q", got, want)
	}
}

// retiredWords returns where a text has such words, each as "path:line: word is now …".
func retiredWords(path, text string) []string {
	var findings []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		for _, promised := range kept {
			line = strings.ReplaceAll(line, promised, "")
		}
		line = strings.ToLower(line)
		var found []string
		for word, now := range retired {
			if strings.Contains(line, word) {
				found = append(found, fmt.Sprintf("%s:%d: %s is now %s", path, number, word, now))
			}
		}
		slices.Sort(found)
		findings = append(findings, found...)
	}
	return findings
}

// octets returns where a literal of a Go file speaks of octets. The single word may be
// the name of an attribute, and application/octet-stream is a type.
func octets(t *testing.T, path string, text []byte) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var findings []string
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || lit.Value == `"octets"` {
			return true
		}
		value := strings.ReplaceAll(strings.ToLower(lit.Value), "octet-stream", "")
		words := strings.FieldsFunc(value, func(r rune) bool { return r < 'a' || r > 'z' })
		if slices.Contains(words, "octets") || slices.Contains(words, "octet") {
			at := fset.Position(lit.Pos())
			findings = append(findings, fmt.Sprintf("%s:%d: octets is now bytes, outside of codec", path, at.Line))
		}
		return true
	})
	return findings
}
