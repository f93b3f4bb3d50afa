package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// listed gives the items of a list. The environment and flags write one as
// text with commas; an empty text is the empty list.
func listed(w written) ([]written, *fault) {
	switch {
	case w.kind == asList:
		return w.items, nil
	case w.kind != asPlain:
		return nil, w.wrong()
	case strings.TrimSpace(w.text) == "":
		return nil, nil
	}
	var items []written
	for item := range strings.SplitSeq(w.text, ",") {
		items = append(items, written{kind: asPlain, text: strings.TrimSpace(item)})
	}
	return items, nil
}

// texts gives the items of a list of strings.
func texts(w written) ([]string, *fault) {
	items, fault := listed(w)
	if fault != nil {
		return nil, fault
	}
	var all []string
	for i, item := range items {
		if !item.scalar(asText) {
			fault = item.wrong()
			fault.at = index(i)
			return nil, fault
		}
		all = append(all, item.text)
	}
	return all, nil
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// flow writes a YAML list on one line.
func flow(items []string) string { return "[" + strings.Join(items, ", ") + "]" }

func quoted[T fmt.Stringer](items []T) []string {
	var all []string
	for _, item := range items {
		all = append(all, strconv.Quote(item.String()))
	}
	return all
}

// domains is a list of domains, each exact or *.sub.
type domains struct{ at *[]string }

func (v domains) read(w written) *fault {
	names, fault := texts(w)
	if fault != nil {
		return fault
	}
	*v.at = nil
	for _, name := range names {
		*v.at = append(*v.at, strings.ToLower(name)) // RFC 5321 §2.4: domains are not case sensitive
	}
	return nil
}

func (v domains) check() *fault {
	for i, name := range *v.at {
		if isDomain(strings.TrimPrefix(name, "*.")) {
			continue
		}
		f := &fault{got: strconv.Quote(name), at: index(i)}
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
	return flow(all)
}

// networks is a list of addresses and CIDR prefixes.
type networks struct{ at *[]netip.Prefix }

func (v networks) read(w written) *fault {
	names, f := texts(w)
	if f != nil {
		return f
	}
	*v.at = nil
	for i, name := range names {
		prefix, why := parseNetwork(name)
		if why != "" {
			f = &fault{got: strconv.Quote(name), at: index(i), why: why}
			if w.kind == asList {
				f.line = w.items[i].line
			}
			return f
		}
		*v.at = append(*v.at, prefix)
	}
	return nil
}

// parseNetwork says why a text is none.
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
	case prefix.Addr().Is4In6(): // would match no client: theirs are unmapped
		return netip.Prefix{}, "write it as the IPv4 prefix that it stands for"
	case prefix != prefix.Masked():
		return netip.Prefix{}, "has bits behind the prefix; did you mean " + prefix.Masked().String() + "?"
	}
	return prefix, ""
}

func (v networks) check() *fault  { return nil }
func (v networks) String() string { return flow(quoted(*v.at)) }

// listeners is a list of sections; the environment and flags give addresses.
type listeners struct{ at *[]ListenerConfig }

func (v listeners) read(w written) *fault {
	items, fault := listed(w)
	if fault != nil {
		return fault
	}
	*v.at = nil
	for i, item := range items {
		address, fault := readListener(item)
		if fault != nil {
			fault.at = index(i) + fault.at
			return fault
		}
		*v.at = append(*v.at, ListenerConfig{Address: address})
	}
	return nil
}

func readListener(w written) (string, *fault) {
	switch w.kind {
	case asPlain:
		return w.text, nil
	case asSection:
	default:
		f := w.wrong()
		f.why = `write it as {address: "127.0.0.1:2525"}`
		return "", f
	}
	var address string
	for _, field := range w.fields {
		if field.name != "address" {
			return "", &fault{got: strconv.Quote(field.name), at: "." + field.name, line: field.line, why: "unknown key"}
		}
		if field.value.kind != asText {
			f := field.value.wrong()
			f.at = ".address"
			return "", f
		}
		address = field.value.text
	}
	return address, nil
}

func (v listeners) check() *fault {
	if len(*v.at) == 0 {
		return bad("none")
	}
	for i, l := range *v.at {
		f := &fault{got: strconv.Quote(l.Address), at: index(i) + ".address"}
		if !isAddress(l.Address) {
			return f
		}
		for _, other := range (*v.at)[:i] {
			switch {
			case !overlap(other.Address, l.Address):
				continue
			case other.Address == l.Address:
				f.why = "is there twice"
			default:
				f.why = strconv.Quote(other.Address) + " and it have addresses in common"
			}
			return f
		}
	}
	return nil
}

func (v listeners) String() string {
	var all []string
	for _, l := range *v.at {
		all = append(all, "{address: "+strconv.Quote(l.Address)+"}")
	}
	return flow(all)
}
