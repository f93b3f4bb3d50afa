package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestBadFilesSayWhatIsWrong(t *testing.T) {
	t.Chdir("testdata/bad") // messages begin with the name as given
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no bad files", err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			_, err := loadOn(testMachine, Sources{File: name})
			if err == nil {
				t.Fatal("no error")
			}
			expected := strings.TrimSuffix(name, ".yaml") + ".txt"
			if *updateBad {
				if err := os.WriteFile(expected, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(expected)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	folder := t.TempDir()
	large := file(t, strings.Repeat("# padding\n", maxFile/10+1))
	for path, why := range map[string]string{
		filepath.Join(folder, "none.yaml"): "no such file or directory",
		folder:                             "is a directory",
		large:                              "longer than 1MiB",
	} {
		_, err := loadOn(testMachine, Sources{File: path})
		want := path + ": cannot be read: " + why + ": expected a YAML file of at most 1MiB; name another by --config or SLUICE_CONFIG"
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestFilesAsEditorsWriteThem(t *testing.T) {
	for _, content := range []string{
		"\ufeffaccept: {any: true}\nhostname: mx1.example.net\n",
		"accept: {any: true}\r\nhostname: mx1.example.net\r\n",
		"# comment\n---\naccept:\n  any: True\nhostname: 'mx1.example.net'\nlimits:\n  # all commented out\n",
	} {
		c, err := loadOn(testMachine, Sources{File: file(t, content)})
		if err != nil || c.Hostname != "mx1.example.net" || !c.Accept.Any {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// FuzzFile checks that any file yields either problems, or a configuration that prints
// and reads the same.
func FuzzFile(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Fuzz(func(t *testing.T, content string) {
		c, err := loadOn(testMachine, Sources{File: file(t, content)})
		if err != nil {
			if _, ok := errors.AsType[Problems](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var printed strings.Builder
		if err := c.Print(&printed); err != nil {
			t.Fatal(err)
		}
		again, err := loadOn(testMachine, Sources{File: file(t, printed.String())})
		if err != nil || !reflect.DeepEqual(plainConfig(again), plainConfig(c)) {
			t.Errorf("%v\n%+v\n%+v", err, again, c)
		}
	})
}
