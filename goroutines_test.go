package sluice_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoroutinesRecover requires that each goroutine that the product starts goes through
// package panics: a panic in any other would end the process.
func TestGoroutinesRecover(t *testing.T) {
	files := token.NewFileSet()
	started := 0
	check := func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path == "pipeline/porttest" || path == "index/indextest" || path == "internal/testkit") {
			return filepath.SkipDir // for tests
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if !startsGoroutine(n) {
				return true
			}
			started++
			if !usesPanics(n) {
				t.Errorf("%s: start it with panics.Keep, panics.Try or panics.Recover", files.Position(n.Pos()))
			}
			return true
		})
		return nil
	}
	for _, root := range []string{"codec", "gateway", "index", "internal", "metrics", "pipeline"} {
		if err := filepath.WalkDir(root, check); err != nil {
			t.Fatal(err)
		}
	}
	if started < 20 {
		t.Errorf("%d goroutines found", started)
	}
}

// startsGoroutine reports whether n is a go statement or a call of sync.WaitGroup.Go.
func startsGoroutine(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		called, ok := n.Fun.(*ast.SelectorExpr)
		return ok && called.Sel.Name == "Go" && len(n.Args) == 1
	}
	return false
}

func usesPanics(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && name.Name == "panics" {
			found = true
		}
		return !found
	})
	return found
}
