package smtptest

import (
	"embed"
	"io/fs"
)

//go:embed dialogs
var embedded embed.FS

// Dialogs returns the transcripts that specify the server: the directory dialogs.
func Dialogs() fs.FS {
	dialogs, err := fs.Sub(embedded, "dialogs")
	if err != nil {
		panic(err) // the directory name is a constant and valid
	}
	return dialogs
}

// Load parses every *.smtp file at the top of fsys, sorted by name.
func Load(fsys fs.FS) ([]*Script, error) {
	names, err := fs.Glob(fsys, "*.smtp")
	if err != nil {
		return nil, err
	}
	scripts := make([]*Script, 0, len(names))
	for _, name := range names {
		script, err := loadOne(fsys, name)
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, script)
	}
	return scripts, nil
}

func loadOne(fsys fs.FS, name string) (*Script, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return Parse(name, file)
}
