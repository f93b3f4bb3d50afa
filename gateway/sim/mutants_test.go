package sim

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutants compiles the mutations. All that stand in a function are compiled at once: the
// function begins with a copy of itself for each, and the process is told by mutantEnv
// which one it shall be. Any other mutation is compiled alone.
type mutants struct {
	root  string
	files map[string]*mutantFile
	all   string // the test binary
}

// mutantEnv names the mutation that a process is, counted from 1.
const mutantEnv = "SIM_MUTANT"

// mutantFile is a file of the product.
type mutantFile struct {
	path, text string
	syntax     *ast.File
	inserted   map[int]string // by offset
}

func newMutants(t *testing.T) *mutants {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	m := &mutants{root: root, files: map[string]*mutantFile{}}
	replaced := map[string]string{}
	for n := range mutations {
		f := m.file(t, mutations[n].file)
		if f.insert(n) {
			replaced[f.path] = f.mutated()
			replaced[filepath.Join(filepath.Dir(f.path), "mutant.go")] = fmt.Sprintf("package %s\n\n"+
				"import (\n\t\"os\"\n\t\"strconv\"\n)\n\n"+
				"var mutant, _ = strconv.Atoi(os.Getenv(%q))\n", f.syntax.Name, mutantEnv)
		}
	}
	m.all = m.compile(t, replaced)
	return m
}

// file returns a file of the product, which is read once.
func (m *mutants) file(t *testing.T, name string) *mutantFile {
	t.Helper()
	if f := m.files[name]; f != nil {
		return f
	}
	f := &mutantFile{path: filepath.Join(m.root, name), inserted: map[int]string{}}
	text, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	f.text = string(text)
	if f.syntax, err = parser.ParseFile(token.NewFileSet(), f.path, text, parser.SkipObjectResolution); err != nil {
		t.Fatal(err)
	}
	m.files[name] = f
	return f
}

// find lives worlds until one shows the mutation.
func (m *mutants) find(t *testing.T, n int) {
	t.Helper()
	mutation, f := &mutations[n], m.file(t, mutations[n].file)
	if n := strings.Count(f.text, mutation.old); n != 1 {
		t.Fatalf("%q stands %d times in %s", mutation.old, n, mutation.file)
	}
	binary := m.all
	if f.function(n) == nil {
		binary = m.compile(t, map[string]string{f.path: strings.Replace(f.text, mutation.old, mutation.new, 1)})
	}
	search := exec.CommandContext(t.Context(), binary, "-test.run=^TestSeeds$", "-sim.seeds=20000",
		fmt.Sprint("-sim.first=", max(firstSeeds[mutation.name], 1)))
	search.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprint(mutantEnv, "=", n+1)) // always the same world first
	out, err := search.CombinedOutput()
	if err == nil {
		t.Fatalf("not found in 20,000 worlds")
	}
	seed := ""
	for line := range strings.Lines(string(out)) {
		if _, after, ok := strings.Cut(line, ": seed "); ok {
			seed, _, _ = strings.Cut(after, ":")
		}
		if strings.Contains(line, "VIOLATION") {
			if !slices.ContainsFunc(strings.Split(mutation.found, "|"), func(s string) bool { return strings.Contains(line, s) }) {
				t.Errorf("found for another reason: %s", line)
			}
			t.Logf("seed %s: %s", seed, strings.TrimSpace(line))
			return
		}
	}
	t.Errorf("it failed otherwise: %s", out)
}

// compile makes this package's test with files of the product replaced.
func (m *mutants) compile(t *testing.T, replaced map[string]string) (binary string) {
	t.Helper()
	dir, replace := t.TempDir(), map[string]string{}
	for path, text := range replaced {
		replace[path] = filepath.Join(dir, fmt.Sprint(len(replace), ".go"))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "sim.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./gateway/sim")
	build.Dir = m.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// function returns the function in which a mutation stands, nil if it is in none.
func (f *mutantFile) function(n int) *ast.FuncDecl {
	at := strings.Index(f.text, mutations[n].old)
	for _, d := range f.syntax.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil && at >= f.offset(d.Body.Lbrace) && at < f.offset(d.Body.Rbrace) {
			return d
		}
	}
	return nil
}

func (f *mutantFile) offset(p token.Pos) int { return int(p - f.syntax.FileStart) }

// insert puts a copy of its function with a mutation in it at the function's beginning. It
// reports whether the mutation is in a function.
func (f *mutantFile) insert(n int) bool {
	d := f.function(n)
	if d == nil {
		return false
	}
	begin, end := f.offset(d.Body.Lbrace)+1, f.offset(d.Body.Rbrace)
	body := strings.Replace(f.text[begin:end], mutations[n].old, mutations[n].new, 1)
	if d.Type.Results == nil {
		body += "\nreturn\n"
	}
	// The compiler complains of a line of the mutation.
	f.inserted[begin] += fmt.Sprintf("\nif mutant == %d {\n//line %q:1\n%s}\n//line %s:%d\n", n+1, mutations[n].name, body,
		f.path, strings.Count(f.text[:begin], "\n")+1)
	return true
}

// mutated returns the text with the copies.
func (f *mutantFile) mutated() string {
	var out strings.Builder
	from := 0
	offsets := slices.Sorted(maps.Keys(f.inserted))
	for _, at := range offsets {
		out.WriteString(f.text[from:at] + f.inserted[at])
		from = at
	}
	return out.String() + f.text[from:]
}
