package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/gateway/pressure"
)

// classes is a list of mappings. The environment writes it as the file does, in YAML on
// one line.
type classes struct{ at *[]ClassConfig }

func (v classes) read(w rawValue) *valueError {
	w, f := inlineYAML(w)
	if f != nil {
		return f
	}
	items, f := listItems(w)
	if f != nil {
		return f
	}
	*v.at = nil
	for i, item := range items {
		var c ClassConfig
		if f := readClass(item, &c); f != nil {
			f.at = itemAt(i) + f.at
			return f
		}
		*v.at = append(*v.at, c)
	}
	return nil
}

// keys returns the keys of a class.
func (c *ClassConfig) keys() []key {
	place := func(v value) func(*Config) value { return func(*Config) value { return v } }
	low, high := findKey(pressureKeys, "pressure.lag.low_records"), findKey(pressureKeys, "pressure.lag.high_records")
	lowAge, highAge := findKey(pressureKeys, "pressure.lag.low_age"), findKey(pressureKeys, "pressure.lag.high_age")
	most := low.place(new(Config)).(integer).max
	return []key{
		{"name", place(text{&c.Name, isClassName}), "a word of lower-case letters, digits and underscores", ""},
		{"networks", place(networks{&c.Networks}), "a list of IP addresses and prefixes", ""},
		{"authenticated", place(boolean{&c.Authenticated}), trueOrFalse, ""},
		{"low_records", place(integer{&c.LowRecords, 0, most}), low.expected, ""},
		{"high_records", place(integer{&c.HighRecords, 0, most}), high.expected, ""},
		{"low_age", place(duration{&c.LowAge, 0, maxAge}), lowAge.expected, ""},
		{"high_age", place(duration{&c.HighAge, 0, maxAge}), highAge.expected, ""},
	}
}

func readClass(w rawValue, c *ClassConfig) *valueError {
	if w.kind != kindMapping {
		f := w.typeError()
		f.why = `write it as {name: "partners", networks: ["192.0.2.0/24"], high_age: 15m, low_age: 5m}`
		return f
	}
	table := c.keys()
	seen := map[string]bool{}
	for _, field := range w.fields {
		k := findKey(table, field.name)
		why := "no key of a class"
		if seen[field.name] {
			why = "duplicate"
		}
		if k == nil || seen[field.name] {
			return &valueError{got: strconv.Quote(field.name), at: "." + field.name, line: field.line, why: why}
		}
		seen[field.name] = true
		if f := k.place(nil).read(field.value); f != nil {
			if f.at = "." + field.name + f.at; f.line == 0 {
				f.line = field.line
			}
			if f.why == "" {
				f.why = "expected is " + k.expected
			}
			return f
		}
	}
	return nil
}

func (v classes) check() *valueError {
	if len(*v.at) > maxClasses {
		return outOfRange(fmt.Sprintf("%d classes, more than %d", len(*v.at), maxClasses))
	}
	var names []string
	for i := range *v.at {
		c := &(*v.at)[i]
		f := checkClass(c)
		if f == nil && slices.Contains(names, c.Name) {
			f = &valueError{got: strconv.Quote(c.Name), at: ".name", why: "duplicate"}
		}
		if f != nil {
			f.at = itemAt(i) + f.at
			return f
		}
		names = append(names, c.Name)
	}
	return nil
}

// maxClasses bounds the classes that each session is compared with, and the series of
// each metric that has the class as a label.
const maxClasses = 32

func checkClass(c *ClassConfig) *valueError {
	for _, k := range c.keys() {
		if f := k.place(nil).check(); f != nil {
			f.at, f.why = "."+k.path+f.at, "expected is "+k.expected
			return f
		}
	}
	switch {
	case c.Name == pressure.DefaultClass:
		return &valueError{got: strconv.Quote(c.Name), at: ".name", why: "is what all other clients are"}
	case len(c.Networks) == 0 && !c.Authenticated:
		return &valueError{got: "neither networks nor authenticated", why: "matches no client"}
	case c.HighRecords == 0 && c.HighAge == 0:
		return &valueError{got: "neither high_records nor high_age", why: "the class would be as all others"}
	case c.LowRecords > 0 && c.LowRecords >= c.HighRecords:
		return &valueError{got: strconv.Itoa(c.LowRecords), at: ".low_records", why: "is not below high_records"}
	case c.LowAge > 0 && c.LowAge >= c.HighAge:
		return &valueError{got: ShortDuration(c.LowAge), at: ".low_age", why: "is not below high_age"}
	}
	return nil
}

// isClassName reports whether name consists of the characters that metric labels of this
// program consist of.
func isClassName(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func (v classes) String() string {
	var all []string
	for i := range *v.at {
		c := &(*v.at)[i]
		fields := []string{"name: " + strconv.Quote(c.Name)}
		if len(c.Networks) > 0 {
			fields = append(fields, "networks: "+flowList(quoted(c.Networks)))
		}
		if c.Authenticated {
			fields = append(fields, "authenticated: true")
		}
		if c.HighRecords > 0 {
			fields = append(fields, fmt.Sprintf("low_records: %d, high_records: %d", c.LowRecords, c.HighRecords))
		}
		if c.HighAge > 0 {
			fields = append(fields, fmt.Sprintf("low_age: %s, high_age: %s", ShortDuration(c.LowAge), ShortDuration(c.HighAge)))
		}
		all = append(all, "{"+strings.Join(fields, ", ")+"}")
	}
	return flowList(all)
}

// groups is a list of consumer groups.
type groups struct{ at *[]string }

func (v groups) read(w rawValue) (f *valueError) {
	*v.at, f = stringItems(w)
	return f
}

func (v groups) check() *valueError {
	for i, name := range *v.at {
		f := &valueError{got: strconv.Quote(name), at: itemAt(i)}
		if slices.Contains((*v.at)[:i], name) {
			f.why = "duplicate"
			return f
		}
		if !isGroup(name) {
			return f
		}
	}
	return nil
}

func (v groups) String() string {
	var all []string
	for _, name := range *v.at {
		all = append(all, strconv.Quote(name))
	}
	return flowList(all)
}

// percent is an integer percentage from 0% to 100%.
type percent struct{ at *int }

func (v percent) read(w rawValue) *valueError {
	digits, found := strings.CutSuffix(w.text, "%")
	n, err := strconv.ParseUint(digits, 10, 15)
	if !found || err != nil || !w.isScalar(kindString) {
		return w.typeError()
	}
	*v.at = int(n)
	return nil
}

func (v percent) check() *valueError {
	if *v.at < 0 || *v.at > 100 {
		return outOfRange(v.String())
	}
	return nil
}

func (v percent) String() string { return strconv.Itoa(*v.at) + "%" }
