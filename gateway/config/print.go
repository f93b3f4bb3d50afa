package config

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/goccy/go-yaml"
)

// Print writes the whole configuration as YAML, with the origin of every key as a
// comment. Secrets are redacted. All other keys, read again, yield the same
// configuration.
func (c *Config) Print(w io.Writer) error {
	out := bufio.NewWriter(w)
	var open []string // the sections of the last key
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

// LogValue implements slog.LogValuer. The value holds the keys that are not at their
// default, redacted: in JSON as objects nested as in the file, in text as a line of YAML
// each.
func (c *Config) LogValue() slog.Value {
	whole := &group{}
	for i := range keys {
		k := &keys[i]
		if c.origins[k.path].layer == byDefault {
			continue
		}
		text := k.place(c).String()
		if c.Log.Format != FormatJSON {
			whole.values = append(whole.values, slog.String(k.path, text))
			continue
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			value = text // not what Print writes, but better than nothing
		}
		whole.put(strings.Split(k.path, "."), value)
	}
	return whole.value()
}

// group is an object under construction for the log.
type group struct {
	values []slog.Attr
	names  []string
	within map[string]*group
}

// put sets the value at path.
func (g *group) put(path []string, value any) {
	if len(path) == 1 {
		g.values = append(g.values, slog.Any(path[0], value))
		return
	}
	if g.within[path[0]] == nil {
		if g.within == nil {
			g.within = make(map[string]*group)
		}
		g.within[path[0]] = &group{}
		g.names = append(g.names, path[0])
	}
	g.within[path[0]].put(path[1:], value)
}

func (g *group) value() slog.Value {
	all := g.values
	for _, name := range g.names {
		all = append(all, slog.Attr{Key: name, Value: g.within[name].value()})
	}
	return slog.GroupValue(all...)
}
