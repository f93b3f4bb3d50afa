package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Print writes the whole configuration as YAML, with every key's origin as a
// comment. Secrets are redacted; all else, read again, gives the same
// configuration.
func (c *Config) Print(w io.Writer) error {
	out := bufio.NewWriter(w)
	var open []string // the sections that the last key stood in
	for i := range keys {
		k := &keys[i]
		path := strings.Split(k.path, ".")
		sections, name := path[:len(path)-1], path[len(path)-1]
		same := 0
		for same < min(len(open), len(sections)) && open[same] == sections[same] {
			same++
		}
		for depth := same; depth < len(sections); depth++ {
			fmt.Fprintf(out, "%s%s:\n", strings.Repeat("  ", depth), sections[depth])
		}
		open = sections
		fmt.Fprintf(out, "%s%s: %s # %s\n", strings.Repeat("  ", len(sections)), name, k.place(c), c.origins[k.path])
	}
	return out.Flush()
}

// LogValue implements slog.LogValuer: the keys that are not left at their
// default, redacted.
func (c *Config) LogValue() slog.Value {
	var set []slog.Attr
	for i := range keys {
		if k := &keys[i]; c.origins[k.path].layer != byDefault {
			set = append(set, slog.String(k.path, k.place(c).String()))
		}
	}
	return slog.GroupValue(set...)
}
