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

// TestKindsAreNotCompared refuses comparisons of store.kind and events.kind, by operator,
// switch, a function of the standard library or a table in another room, also of a copy.
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

import (
	"slices"
	"strings"
)

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
	if strings.EqualFold(s.Kind, word) || strings.HasPrefix(word, "kafka") { // want want
	}
	copied, names := strings.ToLower(s.Kind), []string{word}
	again := copied
	switch strings.TrimSpace(again) { // want
	case "kaf" + "ca":
	}
	if strings.Contains(again, "fk") || slices.Index(names, again) > 0 { // want want
	}
	if copied[0] == 'k' || len(again) == 5 { // want want
	}
	if slices.Contains(names, s.Kind) { // want
	}
	if slices.Contains([]string{word, KindDir}, word) { // want
	}
	if map[string]bool{word: true}[s.Kind] { // want
	}
	if strings.EqualFold(s.Name, word) {
	}
	print(strings.ToUpper(copied), "unknown kind "+s.Kind)
	return table[copied]
}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i, line := range strings.Split(src, "\n") {
		_, marks, _ := strings.Cut(line, "// ")
		for range strings.Count(marks, "want") {
			want = append(want, fmt.Sprintf("p.go:%d", i+1))
		}
	}
	typed := typedSource(t, dir, exportData(t, "slices", "strings"))
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

// kindCheck finds comparisons of kinds in one package.
type kindCheck struct {
	*source
	config   string   // the configuration's path, as this package imports it
	names    []string // of all kinds
	copies   map[types.Object]bool
	findings []string
}

// kindComparisons returns where a package compares a field Kind of the configuration, a
// copy of one or anything with the name of a kind, each as "path:line: what".
func kindComparisons(src *source, config string, names []string) []string {
	c := &kindCheck{source: src, config: config, names: names, copies: map[types.Object]bool{}}
	for known := -1; known < len(c.copies); { // copies of copies
		known = len(c.copies)
		c.inspect(c.findCopies)
	}
	c.inspect(c.findComparisons)
	return c.findings
}

func (c *kindCheck) inspect(visit func(ast.Node)) {
	for _, file := range c.files {
		ast.Inspect(file, func(n ast.Node) bool {
			visit(n)
			return true
		})
	}
}

// findCopies learns the variables that a kind is assigned to.
func (c *kindCheck) findCopies(n ast.Node) {
	assign := func(to, from ast.Expr) {
		if id, ok := to.(*ast.Ident); ok && c.fromField(from) {
			if object := c.info.ObjectOf(id); object != nil {
				c.copies[object] = true
			}
		}
	}
	switch n := n.(type) {
	case *ast.AssignStmt:
		for i := range n.Lhs {
			if len(n.Lhs) == len(n.Rhs) {
				assign(n.Lhs[i], n.Rhs[i])
			}
		}
	case *ast.ValueSpec:
		for i := range n.Values {
			if len(n.Names) == len(n.Values) {
				assign(n.Names[i], n.Values[i])
			}
		}
	}
}

// fromField reports whether an expression is a field Kind of the configuration or is made
// of one: a copy, a piece, its length, or what the standard library makes of it.
func (c *kindCheck) fromField(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		field, ok := c.info.Uses[e.Sel].(*types.Var)
		return ok && field.IsField() && field.Name() == "Kind" && field.Pkg().Path() == c.config
	case *ast.Ident:
		return c.copies[c.info.ObjectOf(e)]
	case *ast.IndexExpr:
		return c.fromField(e.X)
	case *ast.SliceExpr:
		return c.fromField(e.X)
	case *ast.CallExpr:
		return c.computes(e) && slices.ContainsFunc(e.Args, c.fromField)
	}
	return false
}

// isKind reports whether an expression is made of a field Kind, or is a constant or a list
// with the name of a kind.
func (c *kindCheck) isKind(e ast.Expr) bool {
	if tv := c.info.Types[e]; tv.Value != nil {
		return tv.Value.Kind() == constant.String && slices.Contains(c.names, constant.StringVal(tv.Value))
	}
	if list, ok := ast.Unparen(e).(*ast.CompositeLit); ok {
		return slices.ContainsFunc(list.Elts, c.isKind)
	}
	return c.fromField(e)
}

// computes reports whether a call is a conversion or of a function that is built in or of
// a package that compares and changes texts.
func (c *kindCheck) computes(call *ast.CallExpr) bool {
	if c.info.Types[call.Fun].IsType() {
		return true
	}
	var name *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		name = fun
	case *ast.SelectorExpr:
		name = fun.Sel
	default:
		return false
	}
	switch fn := c.info.Uses[name].(type) {
	case *types.Builtin:
		return fn.Name() == "len"
	case *types.Func:
		return fn.Pkg() != nil && slices.Contains([]string{"bytes", "cmp", "regexp", "slices", "strings"}, fn.Pkg().Path())
	}
	return false
}

func (c *kindCheck) findComparisons(n ast.Node) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op != token.ADD && n.Op != token.LAND && n.Op != token.LOR {
			c.report(n, n.X, n.Y)
		}
	case *ast.SwitchStmt:
		if n.Tag != nil {
			c.report(n, n.Tag)
		}
	case *ast.CaseClause:
		c.report(n, n.List...)
	case *ast.CallExpr:
		if result, ok := c.info.TypeOf(n).(*types.Basic); ok && result.Info()&types.IsBoolean != 0 && c.computes(n) {
			c.report(n, n.Args...)
		}
	case *ast.IndexExpr:
		if _, ok := ast.Unparen(n.X).(*ast.CompositeLit); ok {
			c.report(n, n.Index)
		}
	}
}

// report adds a finding if one of the operands is a kind.
func (c *kindCheck) report(n ast.Node, operands ...ast.Expr) {
	if slices.ContainsFunc(operands, c.isKind) {
		at := c.fset.Position(n.Pos())
		c.findings = append(c.findings, fmt.Sprintf("%s:%d: compares the kind of a store or an event log; what differs "+
			"between kinds belongs into a field of kind (gateway/config/kind.go), set in the kind's own file, or into a "+
			"table of gateway/adapters", filepath.ToSlash(at.Filename), at.Line))
	}
}
