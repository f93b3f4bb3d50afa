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

// LogValue implements slog.LogValuer: all keys, redacted.
func (c *Config) LogValue() slog.Value {
	var all []slog.Attr
	for i := range keys {
		all = append(all, slog.String(keys[i].path, keys[i].place(c).String()))
	}
	return slog.GroupValue(all...)
}
