package identity

import (
	"os"
	"strings"
	"testing"
)

// The page for operators has a line for every reason, those of tokens together.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "\n## What a refusal means\n")
	for _, reason := range Reasons() {
		if name := string(reason); !strings.HasPrefix(name, "token_") && !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/auth.md lacks %s", name)
		}
	}
	if !strings.Contains(page, "`token_…`") {
		t.Error("docs/auth.md lacks the reasons of tokens")
	}
}
