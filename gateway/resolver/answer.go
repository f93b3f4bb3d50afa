package resolver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of one answer. More is a failure and not cut: what is left could say the opposite.
const (
	maxChain   = 8    // CNAMEs from the name that was asked for to its records
	maxRecords = 1024 // in all sections
)

// answer is what is known about a question. It does not change.
type answer struct {
	texts     []string     // TXT, the strings of a record joined; PTR
	addresses []netip.Addr // A and AAAA
	mxs       []net.MX
	ttl       time.Duration // how long it may be remembered
	err       error         // ErrNoName, ErrNoData or why it failed; nil: found
}

func failed(err error) *answer { return &answer{err: err} }

// errChain says that aliases lead to aliases, perhaps in a circle.
var errChain = fmt.Errorf("%w: a chain of more than %d aliases", errBogus, maxChain)

// known reports whether the answer says what is there, or that nothing is.
func (a *answer) known() bool {
	return a.err == nil || errors.Is(a.err, ErrNoName) || errors.Is(a.err, ErrNoData)
}

// bytes returns what the answer takes in memory, about.
func (a *answer) bytes() int64 {
	n := 24*len(a.addresses) + 24*len(a.mxs) + 16*len(a.texts)
	for _, text := range a.texts {
		n += len(text)
	}
	for _, mx := range a.mxs {
		n += len(mx.Host)
	}
	return int64(n)
}

// reading is what a response says about one name.
type reading struct {
	answer
	alias    string        // not empty: the records are to be asked for under this name
	aliasTTL time.Duration // how long the chain may be remembered that led to it
}

// read returns what a response says about the name in its question, which is written as the
// library writes names. Only the answer section counts, and in it only the chain that begins
// with the name: what else a server adds is hearsay. The SOA record of the authority section
// says how long absence lasts (RFC 2308 §5).
func read(m *dns.Msg) reading {
	if refused := refusalIn(m); refused != "" {
		return reading{answer: answer{err: refused}}
	}
	var got reading
	ttl := uint32(maxTTL / time.Second)
	name, qtype := dns.CanonicalName(m.Question[0].Name), m.Question[0].Qtype
	owner := name
	for range maxChain {
		target := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != owner {
				continue
			}
			if cname, ok := rr.(*dns.CNAME); ok && target == "" {
				target = dns.CanonicalName(cname.Target)
				ttl = min(ttl, ttlOf(h))
			} else if h.Rrtype == qtype && got.add(rr) {
				ttl = min(ttl, ttlOf(h))
			}
		}
		switch n := len(got.texts) + len(got.addresses) + len(got.mxs); {
		case n > 0:
			got.ttl = time.Duration(ttl) * time.Second
			return got
		case target == "":
			return absent(m, owner, owner != name, ttl)
		}
		owner = target
	}
	return reading{answer: answer{err: errChain}}
}

// absent returns the reading of a response without records for owner, to which aliases led
// or did not. Without an SOA record it must not be remembered, and behind an alias nobody
// has said yet that there is nothing.
func absent(m *dns.Msg, owner string, aliased bool, ttl uint32) reading {
	got := reading{answer: answer{err: ErrNoData}}
	if m.Rcode == dns.RcodeNameError {
		got.err = ErrNoName
	}
	for _, rr := range m.Ns {
		soa, ok := rr.(*dns.SOA)
		if ok && dns.IsSubDomain(soa.Hdr.Name, owner) {
			ttl = min(ttl, ttlOf(&soa.Hdr), soa.Minttl)
			got.ttl = min(time.Duration(ttl)*time.Second, maxNegativeTTL)
			return got
		}
	}
	if aliased && m.Rcode == dns.RcodeSuccess {
		got.alias, got.aliasTTL = owner, time.Duration(ttl)*time.Second
	}
	return got
}

// ttlOf returns the seconds that a record may be remembered. With the first bit set it is 0
// (RFC 2181 §8).
func ttlOf(h *dns.RR_Header) uint32 {
	if h.Ttl > 1<<31-1 {
		return 0
	}
	return h.Ttl
}

// add takes the data of a record of the type that was asked for, and reports whether it
// could.
func (a *answer) add(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.TXT:
		text := strings.Join(rr.Txt, "")
		if strings.IndexByte(text, '\\') >= 0 {
			text = unescape(text)
		}
		a.texts = append(a.texts, text)
	case *dns.PTR:
		a.texts = append(a.texts, hostOf(rr.Ptr))
	case *dns.MX:
		a.mxs = append(a.mxs, net.MX{Host: hostOf(rr.Mx), Pref: rr.Preference})
	case *dns.A:
		return a.address(rr.A)
	case *dns.AAAA:
		return a.address(rr.AAAA)
	default:
		return false
	}
	return true
}

func (a *answer) address(ip []byte) bool {
	address, ok := netip.AddrFromSlice(ip)
	if ok {
		a.addresses = append(a.addresses, address.Unmap())
	}
	return ok
}

// hostOf returns a name in lower case, without the last dot and escapes.
func hostOf(name string) string {
	return asciiLower(unescape(strings.TrimSuffix(name, ".")))
}

// unescape returns the bytes that the library has written as \X and \DDD.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && digits(s[i+1:i+4]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
		default:
			b = append(b, s[i+1])
			i++
		}
	}
	return string(b)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// escape returns a name as the library wants it: labels of anything, written as \DDD where
// they are not of letters, digits, hyphens and underscores.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "\\%03d", c)
		}
	}
	b.WriteByte('.')
	return b.String()
}
