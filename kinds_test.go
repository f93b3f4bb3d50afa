package sluice_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const configuration = "gateway/config"

// TestKindsAreNotCompared refuses ==, != and switch on store.kind and events.kind.
// What a kind needs stands in its own files of gateway/config and gateway/adapters and
// is found by a table, so that a new one touches no other file.
func TestKindsAreNotCompared(t *testing.T) {
	var rooms []string
	for _, pattern := range []string{"gateway", "gateway/*"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			if hasProduct(t, dir) {
				rooms = append(rooms, filepath.ToSlash(dir))
			}
		}
	}
	exports := exportData(t, "./gateway/...")
	names := kindNames(typedSource(t, configuration, exports))
	if len(names) < 5 {
		t.Fatalf("only the kinds %q were found", names)
	}
	for _, dir := range rooms {
		path := "sluice/" + configuration
		if dir == configuration {
			path = configuration
		}
		for _, finding := range kindComparisons(typedSource(t, dir, exports), path, names) {
			t.Error(finding)
		}
	}
}

// TestKindComparisonCheckBites shows what is found: the lines that end in `// want`.
func TestKindComparisonCheckBites(t *testing.T) {
	const src = `package config

const KindDir, KindKafka = "dir", "kafka"

type Store struct{ Kind, Name string }

var table = map[string]int{KindDir: 1}

func f(s Store, word string) int {
	if s.Kind == word { // want
	}
	if word != KindDir { // want
	}
	if word == "kaf"+"ka" { // want
	}
	switch s.Kind { // want
	}
	switch word {
	case "", KindKafka: // want
	}
	switch {
	case s.Name == "" || s.Kind == "": // want
	}
	if s.Name == word {
	}
	return table[s.Kind]
}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i, line := range strings.Split(src, "\n") {
		if strings.HasSuffix(line, "// want") {
			want = append(want, fmt.Sprintf("p.go:%d", i+1))
		}
	}
	typed := typedSource(t, dir, nil)
	for _, finding := range kindComparisons(typed, dir, kindNames(typed)) {
		place, _, _ := strings.Cut(finding, ": ")
		got = append(got, filepath.Base(place))
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported %v\nwant     %v", got, want)
	}
}

// hasProduct reports whether a folder has Go files that are no tests.
func hasProduct(t *testing.T, dir string) bool {
	t.Helper()
	files, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
}

// kindNames returns the values of the constants Kind… of the configuration.
func kindNames(config *source) []string {
	var names []string
	scope := config.pkg.Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && strings.HasPrefix(name, "Kind") {
			names = append(names, constant.StringVal(c.Val()))
		}
	}
	return names
}

// kindComparisons returns where a package compares a field Kind of the configuration,
// or anything with the name of a kind, each as "path:line: what".
func kindComparisons(src *source, config string, names []string) []string {
	isKind := func(e ast.Expr) bool {
		if tv := src.info.Types[e]; tv.Value != nil {
			return tv.Value.Kind() == constant.String && slices.Contains(names, constant.StringVal(tv.Value))
		}
		sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
		if !ok {
			return false
		}
		field, ok := src.info.Uses[sel.Sel].(*types.Var)
		return ok && field.IsField() && field.Name() == "Kind" && field.Pkg().Path() == config
	}
	var findings []string
	report := func(n ast.Node, operands ...ast.Expr) {
		if slices.ContainsFunc(operands, isKind) {
			at := src.fset.Position(n.Pos())
			findings = append(findings, fmt.Sprintf("%s:%d: compares the kind of a store or an event log", filepath.ToSlash(at.Filename), at.Line))
		}
	}
	for _, file := range src.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					report(n, n.X, n.Y)
				}
			case *ast.SwitchStmt:
				if n.Tag != nil {
					report(n, n.Tag)
				}
			case *ast.CaseClause:
				report(n, n.List...)
			}
			return true
		})
	}
	return findings
}
