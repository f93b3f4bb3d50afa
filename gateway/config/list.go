package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// listItems returns the items of a list. The environment and flags write a list as text
// with commas; an empty text is the empty list.
func listItems(w rawValue) ([]rawValue, *valueError) {
	switch {
	case w.kind == kindList:
		return w.items, nil
	case w.kind != kindUntyped:
		return nil, w.typeError()
	case strings.TrimSpace(w.text) == "":
		return nil, nil
	}
	var items []rawValue
	for item := range strings.SplitSeq(w.text, ",") {
		items = append(items, rawValue{kind: kindUntyped, text: strings.TrimSpace(item)})
	}
	return items, nil
}

// stringItems returns the items of a list of strings.
func stringItems(w rawValue) ([]string, *valueError) {
	items, verr := listItems(w)
	if verr != nil {
		return nil, verr
	}
	var all []string
	for i, item := range items {
		if !item.isScalar(kindString) {
			verr = item.typeError()
			verr.at = itemAt(i)
			return nil, verr
		}
		all = append(all, item.text)
	}
	return all, nil
}

// inlineYAML returns the list that the environment or a flag writes in one line of YAML,
// and any other value as it is.
func inlineYAML(w rawValue) (rawValue, *valueError) {
	if w.kind != kindUntyped || strings.TrimSpace(w.text) == "" {
		return w, nil
	}
	root, syntax := parseYAML("list: " + w.text)
	if syntax != nil || len(root.fields) != 1 {
		return w, &valueError{got: w.describe(), why: "not a list in one line of YAML"}
	}
	w = root.fields[0].value
	w.line = 0
	return w, nil
}

func itemAt(i int) string { return "[" + strconv.Itoa(i) + "]" }

// flowList returns a YAML list on one line.
func flowList(items []string) string { return "[" + strings.Join(items, ", ") + "]" }

func quoted[T fmt.Stringer](items []T) []string {
	var all []string
	for _, item := range items {
		all = append(all, strconv.Quote(item.String()))
	}
	return all
}

// domains is a list of domains, each exact or *.sub.
type domains struct{ at *[]string }

func (v domains) read(w rawValue) *valueError {
	names, verr := stringItems(w)
	if verr != nil {
		return verr
	}
	*v.at = nil
	for _, name := range names {
		*v.at = append(*v.at, strings.ToLower(name)) // RFC 5321 §2.4: domains are case-insensitive
	}
	return nil
}

func (v domains) check() *valueError {
	for i, name := range *v.at {
		if isDomain(strings.TrimPrefix(name, "*.")) {
			continue
		}
		f := &valueError{got: strconv.Quote(name), at: itemAt(i)}
		if name == "*" {
			f.why = "every recipient is accept.any: true"
		}
		return f
	}
	return nil
}

func (v domains) String() string {
	var all []string
	for _, name := range *v.at {
		all = append(all, strconv.Quote(name))
	}
	return flowList(all)
}

// networks is a list of addresses and CIDR prefixes.
type networks struct{ at *[]netip.Prefix }

func (v networks) read(w rawValue) *valueError {
	names, f := stringItems(w)
	if f != nil {
		return f
	}
	*v.at = nil
	for i, name := range names {
		prefix, why := parseNetwork(name)
		if why != "" {
			f = &valueError{got: strconv.Quote(name), at: itemAt(i), why: why}
			if w.kind == kindList {
				f.line = w.items[i].line
			}
			return f
		}
		*v.at = append(*v.at, prefix)
	}
	return nil
}

// parseNetwork parses an address or prefix; the second result is the reason if it is
// neither.
func parseNetwork(text string) (netip.Prefix, string) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, "neither an address nor a prefix"
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	switch {
	case prefix.Addr().Is4In6(): // would match no client, since client addresses are unmapped
		return netip.Prefix{}, "write it as the IPv4 prefix that it stands for"
	case prefix != prefix.Masked():
		return netip.Prefix{}, "has bits behind the prefix; did you mean " + prefix.Masked().String() + "?"
	}
	return prefix, ""
}

func (v networks) check() *valueError { return nil }
func (v networks) String() string     { return flowList(quoted(*v.at)) }
