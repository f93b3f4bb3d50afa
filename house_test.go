// Package sluice_test holds the rules of the house that a linter cannot see.
package sluice_test

import (
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

// deterministic names the packages that a simulator must be able to replay:
// whatever they do follows from what they are handed. Their sub-folders
// (adapters, transcripts) are not among them.
var deterministic = []string{"codec", "pipeline", "gateway/session", "gateway/driver", "gateway/pressure"}

// TestDeterministicPackages refuses, outside of tests, in the packages above:
//
//   - go statements, select, sending, receiving, closing, ranging over channels,
//     and channel types;
//   - importing sync, context, math/rand, crypto/rand (sync/atomic is allowed);
//   - the clock: time.Now, Since, Until, Sleep, After, AfterFunc, Tick, NewTimer,
//     NewTicker;
//   - what follows the order of a map: ranging over one, maps.Keys, Values and
//     All. Where the order cannot show, say why: `// any order: …` on that line
//     or the line above; slices.Sorted around maps.Keys needs no word.
func TestDeterministicPackages(t *testing.T) {
	packages := make([]string, 0, len(deterministic))
	for _, dir := range deterministic {
		packages = append(packages, "./"+dir)
	}
	exports := exportData(t, packages...)
	for _, dir := range deterministic {
		for _, finding := range checkDeterminism(t, dir, exports) {
			t.Error(finding)
		}
	}
}

// TestDeterminismCheckBites shows that every rule finds its violation: each line
// of the file below that ends in `// want` must be reported, and no other.
func TestDeterminismCheckBites(t *testing.T) {
	const src = `package p

import (
	"context" // want
	"maps"
	"math/rand" // want
	"slices"
	"sync" // want
	"sync/atomic"
	"time"
)

var mu sync.Mutex
var n atomic.Int64
var c = make(chan int) // want

func f(m map[string]int, ctx context.Context) {
	go f(m, ctx) // want
	select {} // want
	c <- 1 // want
	<-c // want
	close(c) // want
	for range c { // want
	}
	for range m { // want
	}
	// any order: a sum
	for range m {
	}
	for range slices.Sorted(maps.Keys(m)) {
	}
	for range maps.Keys(m) { // want
	}
	_ = time.Now() // want
	now := time.Now // want
	_ = now().Add(time.Second)
	_ = rand.Int()
	_ = time.Since(time.Time{}) // want
}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, line := range strings.Split(src, "\n") {
		if strings.HasSuffix(line, "// want") {
			want = append(want, fmt.Sprintf("p.go:%02d", i+1))
		}
	}
	exports := exportData(t, "context", "maps", "math/rand", "slices", "sync", "sync/atomic", "time")
	var got []string
	for _, finding := range checkDeterminism(t, dir, exports) {
		place, _, _ := strings.Cut(finding, ": ")
		got = append(got, filepath.Base(place))
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("reported %v\nwant     %v", got, want)
	}
}

// checkDeterminism reads and types the files of one folder and returns what it
// finds there, each as "path:line: what".
func checkDeterminism(t *testing.T, dir string, exports map[string]string) []string {
	t.Helper()
	src := typedSource(t, dir, exports)
	c := &determinism{fset: src.fset, info: src.info}
	for _, file := range src.files {
		c.file(file)
	}
	return c.findings
}

// determinism gathers the findings in one package.
type determinism struct {
	fset     *token.FileSet
	info     *types.Info
	excused  map[int]bool // lines covered by an "any order:" comment, in the present file
	sorted   map[ast.Node]bool
	findings []string
}

func (c *determinism) report(n ast.Node, what string) {
	at := c.fset.Position(n.Pos())
	c.findings = append(c.findings, fmt.Sprintf("%s:%02d: %s", at.Filename, at.Line, what))
}

func (c *determinism) file(file *ast.File) {
	c.excused, c.sorted = map[int]bool{}, map[ast.Node]bool{}
	for _, group := range file.Comments {
		if strings.Contains(group.Text(), "any order: ") {
			last := c.fset.Position(group.End()).Line
			c.excused[last], c.excused[last+1] = true, true
		}
	}
	for _, spec := range file.Imports {
		switch path := strings.Trim(spec.Path.Value, `"`); path {
		case "sync", "context", "math/rand", "math/rand/v2", "crypto/rand":
			c.report(spec, "imports "+path)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		c.node(n)
		return true
	})
}

func (c *determinism) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n, "go statement")
	case *ast.SelectStmt:
		c.report(n, "select")
	case *ast.SendStmt:
		c.report(n, "send on a channel")
	case *ast.ChanType:
		c.report(n, "channel type")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n, "receive from a channel")
		}
	case *ast.RangeStmt:
		c.rangeOver(n)
	case *ast.CallExpr:
		c.call(n)
	case *ast.Ident:
		c.use(n)
	}
}

func (c *determinism) rangeOver(n *ast.RangeStmt) {
	switch c.info.TypeOf(n.X).Underlying().(type) {
	case *types.Chan:
		c.report(n, "range over a channel")
	case *types.Map:
		if !c.excused[c.fset.Position(n.Pos()).Line] {
			c.report(n, "range over a map")
		}
	}
}

func (c *determinism) call(n *ast.CallExpr) {
	switch fun := c.callee(n); fun {
	case "close":
		c.report(n, "close of a channel")
	case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc":
		if len(n.Args) > 0 {
			c.sorted[n.Args[0]] = true
		}
	case "maps.Keys", "maps.Values", "maps.All":
		if !c.sorted[n] && !c.excused[c.fset.Position(n.Pos()).Line] {
			c.report(n, fun+" without sorting")
		}
	}
}

// callee names a called function: "close" for a built-in one, else "package.Name".
func (c *determinism) callee(n *ast.CallExpr) string {
	var id *ast.Ident
	switch fun := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return ""
	}
	switch object := c.info.Uses[id].(type) {
	case *types.Builtin:
		return object.Name()
	case *types.Func:
		if object.Pkg() != nil {
			return object.Pkg().Path() + "." + object.Name()
		}
	}
	return ""
}

// use reports the clock however it is named: called, or taken as a value.
func (c *determinism) use(id *ast.Ident) {
	object, ok := c.info.Uses[id].(*types.Func)
	if !ok || object.Pkg() == nil || object.Pkg().Path() != "time" || object.Signature().Recv() != nil {
		return
	}
	switch object.Name() {
	case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
		c.report(id, "time."+object.Name())
	}
}
