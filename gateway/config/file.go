package config

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxFile bounds the configuration file: a wrong path may be that of a device or a
// mailbox.
const maxFile = 1 << 20

// readFile applies the keys set in the file. It returns false if the file is not a
// document of keys.
func (l *loader) readFile(path string) bool {
	source, err := readConfigFile(path)
	if err != nil {
		l.problems = append(l.problems, Problem{
			Where: path, Got: "cannot be read: " + reason(err),
			Expected: "a YAML file of at most 1MiB", Hint: "name another by --config or SLUICE_CONFIG",
		})
		return false
	}
	l.lines, l.hasSecrets = strings.Split(source, "\n"), l.namesSecret(source)
	root, syntax := parseYAML(source)
	if syntax != nil {
		p := l.at(syntax.line).problem()
		p.Got, p.Expected = syntax.message, "one YAML document of keys and sections"
		p.Hint = "sluice config print shows one"
		l.problems = append(l.problems, p)
		return false
	}
	l.apply("", root)
	return true
}

// patience bounds the wait for who writes a pipe that is named as a file. A reload waits
// for it, and nobody may write it a second time.
const patience = 10 * time.Second

// readUpTo returns the content of a file, at most one byte more than most.
func readUpTo(path string, most int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer is empty
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_ = file.SetReadDeadline(time.Now().Add(patience)) // regular files have none
	return io.ReadAll(io.LimitReader(file, most+1))
}

func readConfigFile(path string) (string, error) {
	content, err := readUpTo(path, maxFile)
	if err != nil {
		return "", err
	}
	if len(content) > maxFile {
		return "", errors.New("longer than 1MiB")
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil // a byte order mark, which some editors write
}

// apply applies the keys of one section. prefix is the path of the section with a dot
// after it, or empty.
func (l *loader) apply(prefix string, w rawValue) {
	for _, field := range w.fields {
		path := prefix + field.name
		o := l.at(field.line)
		k, secret := findKey(l.table, path), l.secretOf(path)
		switch {
		case strings.Contains(field.name, "."): // YAML reads limits.recipients: 5 as one name
			l.unknown(prefix, path, o)
		case k != nil:
			l.set(k, field.value, o)
		case secret != nil:
			l.setFile(secret, field.value, o)
		case !isSection(l.table, path):
			l.unknown(prefix, path, o)
		case field.value.kind == kindMapping:
			l.apply(path+".", field.value)
		case field.value.kind != kindNone: // all keys of a section may be commented out
			p := o.problem()
			p.Key, p.Got = path, "got "+field.value.describe()
			p.Expected = "a section with the keys " + strings.Join(l.below(path+"."), ", ")
			p.Hint = "put them below it, indented"
			l.problems = append(l.problems, p)
		}
	}
}

// unknown reports an unknown key.
func (l *loader) unknown(prefix, path string, o origin) {
	p := o.problem()
	p.Key, p.Got = path, "unknown key"
	names := l.below(prefix)
	p.Expected = "one of " + strings.Join(names, ", ")
	switch near := nearest(l.table, path); {
	case near == path:
		p.Hint = "nest it: " + strings.ReplaceAll(path, ".", ": {") + ": …" + strings.Repeat("}", strings.Count(path, "."))
	case near != "":
		p.Hint = "did you mean " + near + "?"
	default:
		p.Hint = "remove it"
	}
	for _, name := range names {
		if distance(path, prefix+name) <= 2 {
			p.Hint = "did you mean " + prefix + name + "?"
		}
	}
	l.problems = append(l.problems, p)
}

// below returns the names of the keys and sections in a section.
func (l *loader) below(prefix string) []string {
	var names []string
	for _, k := range l.table {
		rest, found := strings.CutPrefix(k.path, prefix)
		if !found {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (l *loader) at(line int) origin {
	return origin{layer: byFile, name: l.config.file, line: line, quote: l.quote}
}

// quote returns a line of the file with its number. It returns "" if the file contains a
// secret, since it is unclear where the value begins and ends in a faulty file.
func (l *loader) quote(line int) string {
	if line < 1 || line > len(l.lines) || l.hasSecrets {
		return ""
	}
	number := strconv.Itoa(line)
	return strings.Repeat(" ", max(0, 6-len(number))) + number + " | " + strings.TrimRight(l.lines[line-1], "\r")
}

// namesSecret reports whether source contains the last part of a secret's path.
func (l *loader) namesSecret(source string) bool {
	for i := range l.table {
		k := &l.table[i]
		if isSecret(k) && strings.Contains(source, k.path[strings.LastIndexByte(k.path, '.')+1:]) {
			return true
		}
	}
	return false
}
