package config

import (
	"regexp"
	"slices"
	"strings"
)

// envPrefix begins the environment variable of every key: SLUICE_ and the key's path in
// upper case, with underscores for dots, so limits.message_size is
// SLUICE_LIMITS_MESSAGE_SIZE. Lists are written with commas. An empty variable is the
// empty list, and an error for any other key. A secret may also be in a file, which
// SLUICE_<KEY>_FILE names.
//
// Variables override the file, and flags override variables. A variable with this prefix
// that belongs to no key prevents the start, because it is most likely misspelt.
const envPrefix = "SLUICE_"

// EnvConfig names the variable with the path of the configuration file, which is not a
// key.
const EnvConfig = envPrefix + "CONFIG"

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// serviceLink matches the variables that Kubernetes sets in every container of a
// namespace with a Service named sluice, or sluice-something (enableServiceLinks). They
// are not settings.
var serviceLink = regexp.MustCompile(
	`^SLUICE_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// readEnv applies the keys set in the environment.
func (l *loader) readEnv(environ []string) {
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || name == EnvConfig {
			continue
		}
		k, file := l.keyOfEnv(name)
		w, o := rawValue{kind: kindUntyped, text: value}, origin{layer: byEnv, name: name}
		switch {
		case k == nil && serviceLink.MatchString(name):
		case k == nil:
			l.problems = append(l.problems, l.unknownEnv(name))
		case file:
			l.setFile(k, w, o)
		default:
			l.set(k, w, o)
		}
	}
}

// keyOfEnv returns the key of the variable name; file reports whether the variable names
// the file of a secret.
func (l *loader) keyOfEnv(name string) (k *key, file bool) {
	for i := range l.table {
		k = &l.table[i]
		switch {
		case k.env() == name:
			return k, false
		case hasFile(k) && envName(k.path+fileSuffix) == name:
			return k, true
		}
	}
	return nil, false
}

func (l *loader) unknownEnv(name string) Problem {
	p := Problem{
		Where: name, Got: "unknown variable",
		Expected: "SLUICE_ and a key in upper case, with underscores for dots", Hint: "unset it, or see sluice config print",
	}
	best, least := "", 4
	for _, k := range l.table {
		if d := distance(name, k.env()); d < least {
			best, least = k.env(), d
		}
	}
	if best != "" {
		p.Hint = "did you mean " + best + "?"
	}
	return p
}
