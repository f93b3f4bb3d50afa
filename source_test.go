package sluice_test

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// source is the product's code of one package, parsed and typed.
type source struct {
	fset  *token.FileSet
	files []*ast.File
	pkg   *types.Package
	info  *types.Info
}

// typedSource reads and types the files of one folder, without its tests.
func typedSource(t *testing.T, dir string, exports map[string]string) *source {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	src := &source{fset: token.NewFileSet(), info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{},
		Defs:  map[*ast.Ident]types.Object{},
		Uses:  map[*ast.Ident]types.Object{},
	}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		// A file for another architecture declares the same names again.
		if ours, err := build.Default.MatchFile(filepath.Split(path)); err != nil || !ours {
			continue
		}
		file, err := parser.ParseFile(src.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		src.files = append(src.files, file)
	}
	if len(src.files) == 0 {
		t.Fatalf("%s: no Go files", dir)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	conf := types.Config{Importer: importer.ForCompiler(src.fset, "gc", lookup)}
	if src.pkg, err = conf.Check(dir, src.fset, src.files, src.info); err != nil {
		t.Fatal(err)
	}
	return src
}

// exportData maps the import path of every package that the named ones are made
// of to its file of types, as the compiler left it in the build cache.
func exportData(t *testing.T, packages ...string) map[string]string {
	t.Helper()
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, packages...)
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[path] = file
	}
	return exports
}
