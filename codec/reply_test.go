package codec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

func TestReplyAppend(t *testing.T) {
	for _, tc := range []struct {
		reply Reply
		arg   string
		want  string
	}{
		{Reply{Code: 220, Lines: []string{"mx1.example.net ESMTP"}}, "", "220 mx1.example.net ESMTP\r\n"},
		{Reply{Code: 250, Enhanced: EnhancedCode{2, 0, 0}, Lines: []string{"Ok"}}, "id-1", "250 2.0.0 Ok id-1\r\n"},
		{Reply{Code: 250, Lines: []string{"a", "b", "c"}}, "", "250-a\r\n250-b\r\n250 c\r\n"},
		{Reply{Code: 550, Enhanced: EnhancedCode{5, 7, 1}, Lines: []string{"no", "relay"}}, "here", "550-5.7.1 no\r\n550 5.7.1 relay here\r\n"},
		{Reply{Code: 451, Enhanced: EnhancedCode{4, 10, 255}, Lines: []string{"x"}}, "", "451 4.10.255 x\r\n"},
		{Reply{Code: 451, Enhanced: EnhancedCode{4, 100, 205}, Lines: []string{"x"}}, "", "451 4.100.205 x\r\n"},
	} {
		if got := tc.reply.Append([]byte("before "), "mx1.example.net", []byte(tc.arg)); string(got) != "before "+tc.want {
			t.Errorf("%+v: %q, want %q", tc.reply, got, tc.want)
		}
	}
}

// TestReplyNamesTheHost checks that 221 and 421, and no other reply, begin with the host
// name, and that no plain reply has an enhanced code.
func TestReplyNamesTheHost(t *testing.T) {
	const host = "mx1.example.net"
	for _, r := range Replies() {
		full := string(r.Append(nil, host, nil))
		plain := string(r.AppendPlain(nil, host, nil))
		code, named := strconv.Itoa(int(r.Code)), ""
		if r.Code == 221 || r.Code == 421 {
			named = host + " "
		}
		if want := code + " " + named + r.Lines[0] + "\r\n"; len(r.Lines) == 1 && plain != want {
			t.Errorf("plain: %q, want %q", plain, want)
		}
		if r.Enhanced[0] == 0 || len(r.Lines) > 1 {
			continue
		}
		if want := code + " " + r.Enhanced.String() + " " + named + r.Lines[0] + "\r\n"; full != want {
			t.Errorf("%q, want %q", full, want)
		}
	}
}

// TestRepliesAreComplete: a reply that Replies leaves out would be counted as "other".
func TestRepliesAreComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "replies.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared, returned := map[string]bool{}, map[string]bool{}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if value, ok := spec.(*ast.ValueSpec); ok && decl.Tok == token.VAR {
					declared[value.Names[0].Name] = true
				}
			}
		case *ast.FuncDecl:
			if decl.Name.Name != "Replies" {
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					returned[id.Name] = true
				}
				return true
			})
		}
	}
	for name := range declared {
		if !returned[name] {
			t.Errorf("%s is not among Replies", name)
		}
	}
	if len(declared) < 40 {
		t.Errorf("only %d replies were found", len(declared))
	}
}

func TestReplyAppendAllocs(t *testing.T) {
	reply := Reply{Code: 250, Enhanced: EnhancedCode{2, 0, 0}, Lines: []string{"a", "b"}}
	dst, arg := make([]byte, 0, 128), []byte("id")
	if n := testing.AllocsPerRun(100, func() { dst = reply.Append(dst[:0], "mx1.example.net", arg) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
