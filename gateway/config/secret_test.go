package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretTable returns a table with one secret key, on which these tests run the loader.
func secretTable(at *Secret) []key {
	return append([]key{{
		path:     "store.token",
		place:    func(*Config) value { return secretValue{at} },
		expected: "a secret", example: "…",
	}}, keys...)
}

const hush = "correct-horse-battery"

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretIsReadFromEverywhere(t *testing.T) {
	inFile := secretFile(t, hush+"\r\n")
	accept := "accept: {any: true}\n"
	for name, from := range map[string]Sources{
		"file":               {File: file(t, accept+"store: {token: "+hush+"}\n")},
		"variable":           {Env: []string{"SLUICE_STORE_TOKEN=" + hush}},
		"file's file":        {File: file(t, accept+"store: {token_file: "+inFile+"}\n")},
		"variable's file":    {Env: []string{"SLUICE_STORE_TOKEN_FILE=" + inFile}},
		"variable over file": {File: file(t, accept+"store: {token: other}\n"), Env: []string{"SLUICE_STORE_TOKEN_FILE=" + inFile}},
	} {
		t.Run(name, func(t *testing.T) {
			var token Secret
			_, err := loader{table: secretTable(&token), machine: testMachine, role: ForServe}.load(from)
			if err != nil || token.Reveal() != hush {
				t.Errorf("%q, %v", token.Reveal(), err)
			}
		})
	}
}

func TestSecretProblems(t *testing.T) {
	accept := "accept: {any: true}\n"
	good := secretFile(t, hush)
	for name, c := range map[string]struct {
		from Sources
		want string
	}{
		"no file":     {Sources{Env: []string{"SLUICE_STORE_TOKEN_FILE=/none"}}, `SLUICE_STORE_TOKEN_FILE: store.token_file: got "/none" (no such file or directory): expected the path of a readable file`},
		"empty file":  {Sources{Env: []string{"SLUICE_STORE_TOKEN_FILE=" + secretFile(t, "\n")}}, "(the file is empty)"},
		"large file":  {Sources{Env: []string{"SLUICE_STORE_TOKEN_FILE=" + secretFile(t, strings.Repeat("x", maxSecret+1))}}, "(the file is longer than 64KiB)"},
		"empty":       {Sources{Env: []string{"SLUICE_STORE_TOKEN="}}, "store.token: got a value that is not shown"},
		"twice":       {Sources{Env: []string{"SLUICE_STORE_TOKEN=" + hush, "SLUICE_STORE_TOKEN_FILE=" + good}}, "(it is set at SLUICE_STORE_TOKEN too)"},
		"twice, file": {Sources{File: file(t, accept+"store:\n  token: "+hush+"\n  token_file: "+good+"\n")}, "sluice.yaml:3 too)"},
		"twice, file first": {Sources{File: file(t, accept+"store:\n  token_file: "+good+"\n  token: "+hush+"\n")},
			"sluice.yaml:3 too)"},
		"type":        {Sources{File: file(t, accept+"store: {token: [ "+hush+" ]}\n")}, "store.token: got a value that is not shown"},
		"syntax":      {Sources{File: file(t, accept+"store:\n  token: '"+hush+"\n")}, "could not find end character"},
		"not a token": {Sources{File: file(t, accept+"limits: {recipients_file: x}\n")}, "limits.recipients_file: unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			var token Secret
			_, err := loader{table: secretTable(&token), machine: testMachine, role: ForServe}.load(c.from)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), hush) {
				t.Errorf("the secret is in %s", err)
			}
		})
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	s := Secret{plain: hush}
	encoded, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "s", s, "p", &s)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "s", s, "in", struct{ S Secret }{s})
	for _, shown := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s), fmt.Sprintf("%+v %#v", struct{ S Secret }{s}, struct{ S *Secret }{&s}),
		string(encoded), logged.String(), secretValue{&s}.String(),
	} {
		if strings.Contains(shown, hush) || strings.Contains(shown, fmt.Sprintf("%x", hush)) {
			t.Errorf("shown in %s", shown)
		}
	}
	if (Secret{}).String() != "" {
		t.Error("an empty secret must be seen to be empty")
	}
}
