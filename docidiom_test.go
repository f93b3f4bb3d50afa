package sluice_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocIdiom holds the comments of functions, methods and types to Go's idiom, as
// readers and tools expect it (go.dev/doc/comment):
//
//   - a comment begins with the name of what it describes, that of a type perhaps
//     with an article before it;
//   - a function "returns" its result, it does not give it;
//   - it "reports whether" something holds, which "says whether", "is whether" and
//     "returns true if" mean too.
func TestDocIdiom(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, finding := range checkDocs(t, path, text) {
			t.Error(finding)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDocIdiomCheckBites shows which comments are refused: those above a line that
// ends in `// want`.
func TestDocIdiomCheckBites(t *testing.T) {
	const src = `package p

// gone gives the time at which it was seen last.
func gone() int { return 0 } // want

// keep gives way to whoever is in a hurry.
func keep() {}

// Open says whether it is open.
func Open() bool { return true } // want

// wide tells, for
// once, whether it is.
func wide() bool { return true }

// tall ends it, and says if it was there.
func tall() bool { return true } // want

// deep is whether it is deep.
func deep() bool { return true } // want

// good says that it is good.
func good() bool { return true } // want

// read reads it and gives its length.
func read() int { return 0 } // want

// tell says that it is open.
func tell() {}

// even returns true if n is even.
func even(n int) bool { return true } // want

// odd reports whether n is odd. It says whether so.
func odd(n int) bool { return true }

// What is left.
func rest() int { return 0 } // want

// Deprecated: use rest.
func old() {}

//go:noinline
func silent() {}

// All shapes there are.
type shape struct{} // want

// A Size is one.
type Size int

// Reader reads.
type Reader interface {
	// Read gives what there is.
	Read() int // want
	// Done reports whether that was all.
	Done() bool
}

type (
	// Another one.
	one int // want
	// two is the other.
	two int
)
`
	var want, got []string
	for i, line := range strings.Split(src, "\n") {
		if strings.HasSuffix(line, "// want") {
			want = append(want, fmt.Sprintf("p.go:%d", i+1))
		}
	}
	for _, finding := range checkDocs(t, "p.go", []byte(src)) {
		place, _, _ := strings.Cut(finding, ": ")
		got = append(got, place)
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported %v\nwant     %v", got, want)
	}
}

// docCheck gathers what is wrong with the comments of one file.
type docCheck struct {
	fset     *token.FileSet
	findings []string
}

// checkDocs returns what is wrong with the comments of a file, each as
// "path:line: what", by the line of the declaration.
func checkDocs(t *testing.T, path string, text []byte) []string {
	t.Helper()
	c := &docCheck{fset: token.NewFileSet()}
	file, err := parser.ParseFile(c.fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			c.function(n.Name, n.Doc, n.Type)
		case *ast.InterfaceType:
			for _, method := range n.Methods.List {
				if fn, ok := method.Type.(*ast.FuncType); ok && len(method.Names) == 1 {
					c.function(method.Names[0], method.Doc, fn)
				}
			}
		case *ast.GenDecl:
			c.types(n)
		}
		return true
	})
	return c.findings
}

func (c *docCheck) types(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		spec, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		comment := spec.Doc
		if comment == nil && !decl.Lparen.IsValid() {
			comment = decl.Doc
		}
		if sentence := firstSentence(comment); sentence != "" {
			for _, article := range []string{"A ", "An ", "The "} {
				sentence = strings.TrimPrefix(sentence, article)
			}
			c.begins(spec.Name, sentence)
		}
	}
}

var (
	asksWhether = regexp.MustCompile(`\b(says?|tells?) (whether|if)\b`)
	isWhether   = regexp.MustCompile(`^\S+ (is|are|returns|returns true|returns false) (whether|if|when)\b`)
	saysThat    = regexp.MustCompile(`^\S+ (says|tells) that\b`)
	gives       = regexp.MustCompile(`^\S+ gives\b|\b(and|or) gives (the|what|its|their|those)\b`)
)

func (c *docCheck) function(name *ast.Ident, comment *ast.CommentGroup, fn *ast.FuncType) {
	sentence := firstSentence(comment)
	switch {
	case sentence == "":
	case asksWhether.MatchString(sentence) || isWhether.MatchString(sentence) ||
		saysThat.MatchString(sentence) && returnsBool(fn):
		c.report(name, "should be “reports whether”", sentence)
	case gives.MatchString(sentence) && fn.Results != nil:
		c.report(name, "should be “returns”", sentence)
	default:
		c.begins(name, sentence)
	}
}

func returnsBool(fn *ast.FuncType) bool {
	if fn.Results == nil {
		return false
	}
	return slices.ContainsFunc(fn.Results.List, func(result *ast.Field) bool {
		id, ok := result.Type.(*ast.Ident)
		return ok && id.Name == "bool"
	})
}

// begins refuses a sentence that does not have the name as its first word.
func (c *docCheck) begins(name *ast.Ident, sentence string) {
	word, _, _ := strings.Cut(sentence, " ")
	if word = strings.TrimRight(word, ",:"); word != name.Name && word != "Deprecated" {
		c.report(name, "should begin with "+name.Name, sentence)
	}
}

func (c *docCheck) report(name *ast.Ident, what, sentence string) {
	at := c.fset.Position(name.Pos())
	c.findings = append(c.findings, fmt.Sprintf("%s:%d: %s: %q", at.Filename, at.Line, what, sentence))
}

// firstSentence returns that of a comment, on one line and without directives.
func firstSentence(comment *ast.CommentGroup) string {
	return new(doc.Package).Synopsis(comment.Text())
}
