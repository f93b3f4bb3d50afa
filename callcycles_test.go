package sluice_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNoCallCycles refuses functions of a deterministic package that reach each
// other: with a → b → a, neither can be read without the other, and nothing says
// how deep a turn may go. A function that calls itself is no cycle. Named without
// being called counts as called, because it may be.
func TestNoCallCycles(t *testing.T) {
	packages := make([]string, 0, len(deterministic))
	for _, dir := range deterministic {
		packages = append(packages, "./"+dir)
	}
	exports := exportData(t, packages...)
	for _, dir := range deterministic {
		for _, cycle := range callCycles(typedSource(t, dir, exports)) {
			t.Errorf("%s: these call each other: %s", dir, cycle)
		}
	}
}

// TestCallCyclesCheckBites shows which functions are reported, and which are not.
func TestCallCyclesCheckBites(t *testing.T) {
	const src = `package p

type loop struct{ next func() }

func (l *loop) turn()  { l.pump(); leaf() }
func (l *loop) pump()  { l.next = l.flush }
func (l *loop) flush() { defer func() { l.turn() }() }

func ping(n int) { if n > 0 { pong[int](n) } }
func pong[T any](n int) { ping(n - 1) }

type list[T any] struct{}

func (l list[T]) each() { l.one() }
func (l list[T]) one()  { l.each() }

func leaf() {}
func itself(n int) { if n > 0 { itself(n - 1) } }
func above() { leaf(); itself(1); (&loop{}).turn(); ping(1) }
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"flush pump turn (3 in p.go)", "ping pong (2 in p.go)", "each one (2 in p.go)"}
	if got := callCycles(typedSource(t, dir, nil)); !slices.Equal(got, want) {
		t.Errorf("reported %q\nwant     %q", got, want)
	}
}

// callCycles returns the strongly connected components of more than one function
// in the graph of the package's references, by Tarjan's algorithm, each as
// "names (count in files)".
func callCycles(src *source) []string {
	g := &callGraph{calls: map[*types.Func][]*types.Func{}, index: map[*types.Func]int{}, low: map[*types.Func]int{}}
	for _, file := range src.files {
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				g.add(src.info, fn)
			}
		}
	}
	for _, f := range g.functions {
		if g.index[f] == 0 {
			g.visit(f)
		}
	}
	slices.SortFunc(g.cycles, func(a, b []*types.Func) int { return cmp.Compare(a[0].Pos(), b[0].Pos()) })
	found := make([]string, 0, len(g.cycles))
	for _, cycle := range g.cycles {
		found = append(found, describeCycle(src.fset, cycle))
	}
	return found
}

func describeCycle(fset *token.FileSet, cycle []*types.Func) string {
	var names, files []string
	for _, f := range cycle {
		names = append(names, f.Name())
		files = append(files, filepath.Base(fset.Position(f.Pos()).Filename))
	}
	slices.Sort(names)
	slices.Sort(files)
	return fmt.Sprintf("%s (%d in %s)", strings.Join(names, " "), len(cycle), strings.Join(slices.Compact(files), ", "))
}

// callGraph is a package's functions with those that each of them names, and the
// state of Tarjan's algorithm on it.
type callGraph struct {
	functions  []*types.Func // in the order of the source
	calls      map[*types.Func][]*types.Func
	index, low map[*types.Func]int
	stack      []*types.Func
	cycles     [][]*types.Func
}

// add takes a function in, with all functions that its body names.
func (g *callGraph) add(info *types.Info, fn *ast.FuncDecl) {
	f, ok := info.Defs[fn.Name].(*types.Func)
	if !ok || fn.Body == nil {
		return
	}
	g.functions = append(g.functions, f)
	g.calls[f] = nil
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if called, ok := info.Uses[id].(*types.Func); ok {
				g.calls[f] = append(g.calls[f], called.Origin())
			}
		}
		return true
	})
}

func (g *callGraph) visit(f *types.Func) {
	g.index[f] = len(g.index) + 1
	g.low[f] = g.index[f]
	g.stack = append(g.stack, f)
	for _, called := range g.calls[f] {
		if _, ours := g.calls[called]; !ours {
			continue
		}
		if g.index[called] == 0 {
			g.visit(called)
			g.low[f] = min(g.low[f], g.low[called])
		} else if slices.Contains(g.stack, called) {
			g.low[f] = min(g.low[f], g.index[called])
		}
	}
	if g.low[f] < g.index[f] {
		return
	}
	from := slices.Index(g.stack, f)
	component := slices.Clone(g.stack[from:])
	g.stack = g.stack[:from]
	if len(component) > 1 {
		slices.SortFunc(component, func(a, b *types.Func) int { return cmp.Compare(a.Pos(), b.Pos()) })
		g.cycles = append(g.cycles, component)
	}
}
