package config

import "strings"

// Sources are the sources of a configuration. Each overrides the one before: the
// defaults, the file, the environment, the flags.
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

// Role is the purpose for which a process uses its configuration. It selects the checks
// that the configuration must pass.
type Role uint8

// The roles of a process.
const (
	ForServe Role = 1 << iota // a gateway that receives mail
	ForIndex                  // a consumer of the events that reads the store
	ForRead                   // a command that reads the store, the index or the event log

	forAll = ForServe | ForIndex | ForRead
)

// Load reads the configuration and validates it for role. Its error is Problems: all that
// were found.
func Load(from Sources, role Role) (Config, error) { return LoadOn(ThisMachine(), from, role) }

// LoadOn is Load for the machine m.
func LoadOn(m Machine, from Sources, role Role) (Config, error) {
	return loader{table: keys, machine: m, role: role}.load(from)
}

// loader applies the sources to the defaults.
type loader struct {
	table   []key
	machine Machine
	role    Role

	config     Config
	lines      []string
	hasSecrets bool // the lines must not be quoted
	problems   Problems
	invalid    map[string]bool // keys that already have a problem
}

func (l loader) load(from Sources) (Config, error) {
	l.config = DefaultOn(l.machine)
	l.config.origins, l.config.file = make(map[string]origin), from.File
	l.invalid = make(map[string]bool)
	if from.File != "" {
		// A configuration file must say for which domains mail is accepted.
		l.config.Accept.Any = false
		if !l.readFile(from.File) { // further problems would only concern defaults
			return l.config, l.problems.err()
		}
	}
	l.readEnv(from.Env)
	for _, flag := range from.Flags {
		k := findKey(l.table, flag.Path)
		l.set(k, rawValue{kind: kindUntyped, text: flag.Value}, origin{layer: byFlag, name: flag.Name})
	}
	_, anySet := l.config.origins["accept.any"]
	if _, set := l.config.origins["accept.domains"]; set && !anySet {
		l.config.Accept.Any = false
	}
	l.config.leaveIndexOff()
	for _, p := range l.config.check(l.table, l.role) {
		// Checks of an invalid key would concern its default, not its value.
		if path, _, _ := strings.Cut(p.Key, "["); !l.invalid[path] && (path != "accept.domains" || !l.invalid["accept.any"]) {
			l.problems = append(l.problems, p)
		}
	}
	return l.config, l.problems.err()
}

// set sets the key k to w.
func (l *loader) set(k *key, w rawValue, o origin) {
	l.put(k, w, o, k.place(&l.config).read)
}

// setFile sets the secret k to the content of the file that w names.
func (l *loader) setFile(k *key, w rawValue, o origin) {
	named := *k
	named.path, named.expected = k.path+fileSuffix, "the path of a readable file that holds the secret"
	named.example = "/run/secrets/" + k.path[strings.LastIndexByte(k.path, '.')+1:]
	l.put(&named, w, o, k.place(&l.config).(fileValue).readFile)
}

func (l *loader) put(k *key, w rawValue, o origin, read func(rawValue) *valueError) {
	o.got = w.describe()
	for _, item := range w.items {
		o.items = append(o.items, item.line)
	}
	path := k.path
	if secret := l.secretOf(path); secret != nil { // one field, two keys
		path = secret.path
	}
	f := read(w)
	if before, set := l.config.origins[path]; set && before.layer == o.layer {
		f = &valueError{got: "a second value", why: "it is set at " + before.String() + " too"}
	}
	if f != nil {
		l.fail(k, f, o)
		return
	}
	l.config.origins[path] = o
}

func (l *loader) fail(k *key, f *valueError, o origin) {
	l.invalid[k.path] = true
	l.problems = append(l.problems, k.problem(f, o))
}

// secretOf returns the key whose file path names, nil if it names none.
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

// hasFile reports whether the value of k may be read from a file.
func hasFile(k *key) bool {
	_, has := k.place(new(Config)).(fileValue)
	return has
}

func isSecret(k *key) bool {
	_, secret := k.place(new(Config)).(secretValue)
	return secret
}
