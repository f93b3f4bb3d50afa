package config

import (
	"regexp"
	"slices"
	"strings"
)

// Every key has an environment variable: SLUICE_ and its path in upper case,
// with underscores for dots, so limits.message_size is
// SLUICE_LIMITS_MESSAGE_SIZE. Lists are written with commas; an empty
// variable is the empty list, and an error for any other key. A secret may
// also be in a file, which SLUICE_<KEY>_FILE names. Variables override the
// file, flags override variables. A variable that begins with SLUICE_ and
// belongs to no key stops the start, because it is most likely misspelt.
const envPrefix = "SLUICE_"

// envConfig names the configuration file and is no key.
const EnvConfig = envPrefix + "CONFIG"

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// serviceLink matches what Kubernetes puts into every container of a namespace
// that has a Service named sluice, or sluice-something (enableServiceLinks).
// Those are nobody's settings.
var serviceLink = regexp.MustCompile(
	`^SLUICE_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// readEnv puts the environment's keys over the configuration.
func (l *loader) readEnv(environ []string) {
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || name == EnvConfig {
			continue
		}
		k, file := l.keyOfEnv(name)
		w, o := written{kind: asPlain, text: value}, origin{layer: byEnv, name: name}
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

// keyOfEnv gives a variable's key, and whether the variable names the file of
// a secret.
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
		Expected: "SLUICE_ and a key in upper case, with underscores for dots", Mend: "unset it, or see sluice config print",
	}
	best, least := "", 4
	for _, k := range l.table {
		if d := distance(name, k.env()); d < least {
			best, least = k.env(), d
		}
	}
	if best != "" {
		p.Mend = "did you mean " + best + "?"
	}
	return p
}
