package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// ListenerConfig is one address that accepts SMTP connections.
type ListenerConfig struct {
	Address string // host:port; no host means all addresses, port 0 a free port
	Role    string // mx, or submission for the mail of users who have authenticated
	TLS     string // off, starttls, required or implicit
	// ProxyProtocol required takes connections from ProxyNetworks alone, and only with a
	// PROXY header of version 1 or 2, which names the client. off takes none.
	ProxyProtocol string
	ProxyNetworks []netip.Prefix
	// XclientNetworks are the networks of proxies that may name the client by XCLIENT.
	XclientNetworks []netip.Prefix
}

// Whether connections begin with a PROXY header.
const (
	ProxyOff      = "off"
	ProxyRequired = "required"
)

// listeners is a list of mappings. The environment and flags write it as addresses with
// commas, or as the file does, in YAML on one line.
type listeners struct{ at *[]ListenerConfig }

func (v listeners) read(w rawValue) *valueError {
	var verr *valueError
	if strings.HasPrefix(strings.TrimSpace(w.text), "[{") { // "[" alone begins an IPv6 address
		if w, verr = inlineYAML(w); verr != nil {
			return verr
		}
	}
	items, verr := listItems(w)
	if verr != nil {
		return verr
	}
	*v.at = nil
	for i, item := range items {
		l, verr := readListener(item)
		if verr != nil {
			verr.at = itemAt(i) + verr.at
			return verr
		}
		*v.at = append(*v.at, l)
	}
	return nil
}

func readListener(w rawValue) (l ListenerConfig, verr *valueError) {
	l.ProxyProtocol, l.TLS, l.Role = ProxyOff, TLSOff, RoleMX
	if w.kind == kindUntyped {
		l.Address = w.text
		return l, nil
	}
	verr = readFields(w, `write it as {address: "127.0.0.1:2525"}`, l.fields())
	if verr != nil && strings.HasPrefix(verr.at, ".") {
		verr.example = listenerExample(verr.at[1:])
	}
	return l, verr
}

// readFields reads a mapping into the values of its fields. example shows how a mapping is
// written.
func readFields(w rawValue, example string, values map[string]value) *valueError {
	if w.kind != kindMapping {
		f := w.typeError()
		f.why = example
		return f
	}
	for _, field := range w.fields {
		v := values[field.name]
		if v == nil {
			return &valueError{got: strconv.Quote(field.name), at: "." + field.name, line: field.line, why: "unknown key"}
		}
		verr := v.read(field.value)
		if verr == nil {
			verr = v.check()
		}
		if verr != nil {
			verr.at = "." + field.name + verr.at
			return verr
		}
	}
	return nil
}

// listenerExample returns an example that has a key, or one that it may be meant for, and
// "" for the example of all listeners.
func listenerExample(key string) string {
	switch {
	case strings.HasPrefix(key, "proxy"):
		return `[{address: ":2525", proxy_protocol: required, proxy_networks: ["192.0.2.1"]}]`
	case key == "role":
		return `[{address: ":587", role: submission, tls: required}]`
	case strings.HasPrefix(key, "xclient"):
		return `[{address: ":2525", xclient_networks: ["192.0.2.3"]}]`
	}
	return ""
}

// fields returns the values of a listener by their names.
func (l *ListenerConfig) fields() map[string]value {
	return map[string]value{
		"address":          text{&l.Address, func(string) bool { return true }}, // listeners.check knows which are valid
		"role":             choice{&l.Role, []string{RoleMX, RoleSubmission}, nil},
		"tls":              choice{&l.TLS, []string{TLSOff, TLSStart, TLSRequired, TLSImplicit}, nil},
		"proxy_protocol":   choice{&l.ProxyProtocol, []string{ProxyOff, ProxyRequired}, nil},
		"proxy_networks":   networks{&l.ProxyNetworks},
		"xclient_networks": networks{&l.XclientNetworks},
	}
}

func (v listeners) check() *valueError {
	if len(*v.at) == 0 {
		return outOfRange("none")
	}
	for i, l := range *v.at {
		f := &valueError{got: strconv.Quote(l.Address), at: itemAt(i) + ".address"}
		if !isAddress(l.Address) {
			return f
		}
		for _, other := range (*v.at)[:i] {
			switch {
			case !overlap(other.Address, l.Address):
				continue
			case other.Address == l.Address:
				f.why = "duplicate"
			default:
				f.why = strconv.Quote(other.Address) + " and it have addresses in common"
			}
			return f
		}
		switch required := l.ProxyProtocol == ProxyRequired; {
		case required && len(l.ProxyNetworks) == 0:
			f = &valueError{got: "none", at: itemAt(i) + ".proxy_networks", example: listenerExample("proxy_networks")}
			f.why = "proxy_protocol: required needs the networks of the load balancers"
			return f
		case !required && len(l.ProxyNetworks) > 0:
			f = &valueError{got: ProxyOff, at: itemAt(i) + ".proxy_protocol", example: listenerExample("proxy_protocol")}
			f.why = "proxy_networks need proxy_protocol: required"
			return f
		}
	}
	return nil
}

func (v listeners) String() string {
	var all []string
	for _, l := range *v.at {
		text := "{address: " + strconv.Quote(l.Address)
		if l.isSubmission() {
			text += ", role: " + l.Role
		}
		if l.hasTLS() {
			text += ", tls: " + l.TLS
		}
		if l.ProxyProtocol == ProxyRequired {
			text += ", proxy_protocol: " + l.ProxyProtocol + ", proxy_networks: " + networks{&l.ProxyNetworks}.String()
		}
		if len(l.XclientNetworks) > 0 {
			text += ", xclient_networks: " + networks{&l.XclientNetworks}.String()
		}
		all = append(all, text+"}")
	}
	return flowList(all)
}
