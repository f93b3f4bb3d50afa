package config

import "strings"

// Sources says where a configuration comes from. Each overrides the one
// before: the defaults, the file, the environment, the flags.
type Sources struct {
	File  string   // path; "" for none
	Env   []string // as os.Environ
	Flags []Flag
}

// Flag is a key set on the command line.
type Flag struct {
	Name  string // --listen
	Path  string // listeners
	Value string // lists with commas
}

// Role is what a process does with its configuration, and thus what the configuration
// must be good for.
type Role uint8

// The roles of a process.
const (
	ForServe Role = 1 << iota // a gateway that takes mail
	ForIndex                  // a consumer of the events, which reads the store

	forAll = ForServe | ForIndex
)

// Load reads the configuration and validates it for a role. Its error is Problems: all
// that were found.
func Load(from Sources, role Role) (Config, error) { return LoadOn(ThisMachine(), from, role) }

// LoadOn is Load on a machine other than this one.
func LoadOn(m Machine, from Sources, role Role) (Config, error) {
	return loader{table: keys, machine: m, role: role}.load(from)
}

// loader puts the sources over the defaults.
type loader struct {
	table   []key
	machine Machine
	role    Role

	config   Config
	lines    []string
	hides    bool // the lines are not to be quoted
	problems Problems
	faulty   map[string]bool // keys that already have a problem
}

func (l loader) load(from Sources) (Config, error) {
	l.config = DefaultOn(l.machine)
	l.config.origins, l.config.file = make(map[string]origin), from.File
	l.faulty = make(map[string]bool)
	if from.File != "" {
		// Who writes a file says whose mail is taken.
		l.config.Accept.Any = false
		if !l.readFile(from.File) { // the rest would be complaints about defaults
			return l.config, l.problems.err()
		}
	}
	l.readEnv(from.Env)
	for _, flag := range from.Flags {
		k := findKey(l.table, flag.Path)
		l.set(k, written{kind: asPlain, text: flag.Value}, origin{layer: byFlag, name: flag.Name})
	}
	_, anySet := l.config.origins["accept.any"]
	if _, set := l.config.origins["accept.domains"]; set && !anySet {
		l.config.Accept.Any = false
	}
	for _, p := range l.config.check(l.table, l.role) {
		// What a faulty key has in place of its value says nothing.
		if path, _, _ := strings.Cut(p.Key, "["); !l.faulty[path] && (path != "accept.domains" || !l.faulty["accept.any"]) {
			l.problems = append(l.problems, p)
		}
	}
	return l.config, l.problems.err()
}

// set gives a key the value that was written.
func (l *loader) set(k *key, w written, o origin) {
	l.put(k, w, o, k.place(&l.config).read)
}

// setFile gives a secret the content of the file that was named.
func (l *loader) setFile(k *key, w written, o origin) {
	named := *k
	named.path, named.expected = k.path+fileSuffix, "the path of a readable file that holds the secret"
	named.example = "/run/secrets/" + k.path[strings.LastIndexByte(k.path, '.')+1:]
	l.put(&named, w, o, k.place(&l.config).(filed).readFile)
}

func (l *loader) put(k *key, w written, o origin, read func(written) *fault) {
	o.got = w.show()
	for _, item := range w.items {
		o.items = append(o.items, item.line)
	}
	path := k.path
	if secret := l.secretOf(path); secret != nil { // one place, two keys
		path = secret.path
	}
	f := read(w)
	if before, set := l.config.origins[path]; set && before.layer == o.layer {
		f = &fault{got: "a second value", why: "it is set at " + before.String() + " too"}
	}
	if f != nil {
		l.fail(k, f, o)
		return
	}
	l.config.origins[path] = o
}

func (l *loader) fail(k *key, f *fault, o origin) {
	l.faulty[k.path] = true
	l.problems = append(l.problems, k.problem(f, o))
}

// secretOf returns the key whose file a path names, nil when it names none.
func (l *loader) secretOf(path string) *key {
	base, found := strings.CutSuffix(path, fileSuffix)
	if !found {
		return nil
	}
	if k := findKey(l.table, base); k != nil && hasFile(k) {
		return k
	}
	return nil
}

// hasFile reports whether a key's value may be read from a file.
func hasFile(k *key) bool {
	_, has := k.place(new(Config)).(filed)
	return has
}

func isSecret(k *key) bool {
	_, secret := k.place(new(Config)).(hidden)
	return secret
}
