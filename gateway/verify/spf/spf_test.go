package spf_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sluice/gateway/verify/spf"
)

// world is what every case of TestCheck finds beside its own records.
const world = `
pass.test TXT v=spf1 +all
fail.test TXT v=spf1 -all
soft.test TXT v=spf1 ~all
neutral.test TXT v=spf1 ?all
syntax.test TXT v=spf1 foo
nothing.test TXT hello
away.test ERR TXT
away.test ERR A
away.test ERR AAAA
away.test ERR MX
192.0.2.3 PTR mail.d.test
192.0.2.3 PTR Other.example
192.0.2.3 PTR forged.d.test
mail.d.test A 192.0.2.3
other.example A 192.0.2.3
forged.d.test A 192.0.2.99
2001:db8::3 PTR six.d.test
six.d.test AAAA 2001:db8::3
a.test A 192.0.2.77
a.test A 192.0.2.3
a.test AAAA 2001:db8::3
near.test A 192.0.2.200
near.test AAAA 2001:db8::ffff
mx.test MX mx1.mx.test
mx.test MX mx2.mx.test
mx1.mx.test A 192.0.2.1
mx2.mx.test A 192.0.2.3
mx2.mx.test AAAA 2001:db8::3
null.test MX .
unmx.test A 192.0.2.3
`

// vector is one claim about d.test and what has to come of it.
type vector struct {
	clause  string // of RFC 7208
	records string // the record of d.test, or lines of a zone
	query   string // fields ip=, helo=, from=; empty: 192.0.2.3, mail.d.test, user@d.test
	want    string // result, and the mechanism that matched
}

var vectors = []vector{
	// Records: which, how many, and from whom.
	{"2.4: a null sender is postmaster at HELO", "mail.d.test TXT v=spf1 exists:%{l}.%{o}.l.test -all\npostmaster.mail.d.test.l.test A 127.0.0.2", "from=", "pass exists:%{l}.%{o}.l.test"},
	{"2.6.1 none: no record", "d.test A 192.0.2.3", "", "none"},
	{"4.3: not a domain", "", "from=user@localhost", "none"},
	{"4.3: an address literal", "", "from=user@[192.0.2.3]", "none"},
	{"4.3: an empty label", "", "from=user@d..test", "none"},
	{"4.3: a label of 64", "", "from=user@" + strings.Repeat("a", 64) + ".test", "none"},
	{"4.3: a dot at the end", "v=spf1 +all", "from=user@d.test.", "pass +all"},
	{"4.3: no local part", "v=spf1 exists:%{l}.l.test -all\npostmaster.l.test A 127.0.0.2", "from=@d.test", "pass exists:%{l}.l.test"},
	{"4.4: a lookup fails", "", "from=user@away.test", "temperror"},
	{"4.5: nothing but other texts", "d.test TXT v=spf10 +all\nd.test TXT v=spf\nd.test TXT spf2.0/pra +all\nd.test TXT  v=spf1 +all\nd.test TXT v=spf1\t+all", "", "none"},
	{"4.5: one beside other texts", "d.test TXT v=spf10 -all\nd.test TXT v=spf1 +all\nd.test TXT x", "", "pass +all"},
	{"4.5: the version in any case", "d.test TXT V=SPF1 +ALL", "", "pass +ALL"},
	{"4.5: two records", "d.test TXT v=spf1 +all\nd.test TXT v=spf1 +all", "", "permerror"},
	{"4.7: nothing matches", "d.test TXT v=spf1", "", "neutral"},
	{"4.7: nothing matches", "v=spf1 ip4:192.0.2.4  ", "", "neutral"},

	// Syntax: all of a record counts, behind a match too.
	{"4.6: behind a match", "v=spf1 +all foo", "", "permerror"},
	{"4.6: behind a match", "v=spf1 ip4:192.0.2.3 ip4:192.0.2.300", "", "permerror"},
	{"4.6.1: an unknown mechanism", "v=spf1 foo:bar.test +all", "", "permerror"},
	{"4.6.1: no mechanism", "v=spf1 - +all", "", "permerror"},
	{"4.6.1: two qualifiers", "v=spf1 --all", "", "permerror"},
	{"4.6.1: a tab", "v=spf1 a:a.test\t-all", "", "permerror"},
	{"4.6.1: not ASCII", "v=spf1 a:ä.test -all", "", "permerror"},
	{"4.6.1: a qualifier before a modifier", "v=spf1 +redirect=pass.test", "", "permerror"},
	{"4.6.1: nothing before =", "v=spf1 =x +all", "", "permerror"},
	{"5.1: all with a domain", "v=spf1 all:pass.test", "", "permerror"},
	{"5.1: all with a length", "v=spf1 all/8", "", "permerror"},
	{"5.2: include without a domain", "v=spf1 include", "", "permerror"},
	{"5.2: include with nothing", "v=spf1 include: +all", "", "permerror"},
	{"5.2: include with a length", "v=spf1 include:pass.test/24 +all", "", "permerror"},
	{"5.3: a with nothing", "v=spf1 a: +all", "", "permerror"},
	{"5.3: a and half a length", "v=spf1 a/ +all", "", "permerror"},
	{"5.3: lengths in the wrong order", "v=spf1 a//64/24 +all", "", "permerror"},
	{"5.3: a length of 33", "v=spf1 a/33 +all", "", "permerror"},
	{"5.3: a length of 129", "v=spf1 a//129 +all", "", "permerror"},
	{"5.3: a leading zero", "v=spf1 a/024 +all", "", "permerror"},
	{"5.3: a leading zero", "v=spf1 a//064 +all", "", "permerror"},
	{"5.3: length 0 has one digit", "v=spf1 a:near.test/00 +all", "", "permerror"},
	{"5.5: ptr with a length", "v=spf1 ptr/24 +all", "", "permerror"},
	{"5.6: no network", "v=spf1 ip4 +all", "", "permerror"},
	{"5.6: no network", "v=spf1 ip4:", "", "permerror"},
	{"5.6: three numbers", "v=spf1 ip4:192.0.2 +all", "", "permerror"},
	{"5.6: a leading zero", "v=spf1 ip4:192.0.02.3 +all", "", "permerror"},
	{"5.6: ip4 of IPv6", "v=spf1 ip4:2001:db8::3 +all", "", "permerror"},
	{"5.6: ip4 with two slashes", "v=spf1 ip4:192.0.2.3//32 +all", "", "permerror"},
	{"5.6: ip4 without a length", "v=spf1 ip4:192.0.2.3/ +all", "", "permerror"},
	{"5.6: ip4 of 33 bits", "v=spf1 ip4:192.0.2.3/33 +all", "", "permerror"},
	{"5.6: ip6 of IPv4", "v=spf1 ip6:192.0.2.3 +all", "", "permerror"},
	{"5.6: ip6 of 129 bits", "v=spf1 ip6:::1/129 +all", "", "permerror"},
	{"5.6: ip6 with a zone", "v=spf1 ip6:fe80::1%eth0 +all", "", "permerror"},
	{"5.7: exists without a domain", "v=spf1 exists +all", "", "permerror"},
	{"6: redirect twice", "v=spf1 redirect=pass.test redirect=pass.test", "", "permerror"},
	{"6: exp twice", "v=spf1 exp=a.test exp=a.test +all", "", "permerror"},
	{"6: redirect with nothing", "v=spf1 redirect= +all", "", "permerror"},
	{"6.2: exp with nothing", "v=spf1 exp= +all", "", "permerror"},
	{"6: unknown modifiers may be there", "v=spf1 x-y.z_1=%{d}/a:b x-y.z_1= +all", "", "pass +all"},
	{"6: with macros that are none", "v=spf1 x=%q +all", "", "permerror"},
	{"7.1: a percent sign alone", "v=spf1 exists:%.test +all", "", "permerror"},
	{"7.1: a percent sign at the end", "v=spf1 exists:a.test% +all", "", "permerror"},
	{"7.1: a brace that stays open", "v=spf1 exists:%{i +all", "", "permerror"},
	{"7.1: an unknown letter", "v=spf1 exists:%{x}.test +all", "", "permerror"},
	{"7.1: zero labels", "v=spf1 exists:%{d0}.test +all", "", "permerror"},
	{"7.1: digits behind r", "v=spf1 exists:%{dr2}.test +all", "", "permerror"},
	{"7.1: an unknown delimiter", "v=spf1 exists:%{d;}.test +all", "", "permerror"},
	{"7.2: c in a record", "v=spf1 exists:%{c}.test +all", "", "permerror"},
	{"7.2: r in a record", "v=spf1 exists:%{r}.test +all", "", "permerror"},
	{"7.2: t in a record", "v=spf1 exists:%{t}.test +all", "", "permerror"},
	{"12: a top-level domain alone", "v=spf1 a:test +all", "", "permerror"},
	{"12: of digits", "v=spf1 a:a.123 +all", "", "permerror"},
	{"12: with a hyphen at its end", "v=spf1 a:a.test- +all", "", "permerror"},
	{"12: with a hyphen in it", "v=spf1 a:a.te--st +all", "", "pass +all"},
	{"12: with an underscore", "v=spf1 a:a.te_st +all", "", "permerror"},
	{"12: a dot at the end", "v=spf1 a:a.test. -all", "", "pass a:a.test."},
	{"12: two dots at the end", "v=spf1 a:a.test.. -all", "", "permerror"},
	{"12: any character before the last label", "v=spf1 a:a;b/c:d=e.test +all", "", "pass +all"},
	{"12: a macro at the end", "v=spf1 exists:x.%{i} +all", "", "pass +all"},
	{"12: %% at the end", "v=spf1 exists:x.%% +all", "", "pass +all"},
	{"12: text behind a macro at the end", "v=spf1 exists:%{i}x +all", "", "permerror"},

	// Mechanisms.
	{"4.6.2: the qualifiers", "v=spf1 ?ip4:192.0.2.3 -all", "", "neutral ?ip4:192.0.2.3"},
	{"4.6.2: the qualifiers", "v=spf1 ~ip4:192.0.2.3 -all", "", "softfail ~ip4:192.0.2.3"},
	{"4.6.2: the qualifiers", "v=spf1 -ip4:192.0.2.3 +all", "", "fail -ip4:192.0.2.3"},
	{"4.6.2: the first that matches", "v=spf1 -ip4:192.0.2.3 +ip4:192.0.2.3", "", "fail -ip4:192.0.2.3"},
	{"5: IPv4 in IPv6 is IPv4", "v=spf1 ip4:192.0.2.3 -all", "ip=::ffff:192.0.2.3", "pass ip4:192.0.2.3"},
	{"5.1: all always matches", "v=spf1 all -all", "ip=2001:db8::3", "pass all"},
	{"5.2: pass matches", "v=spf1 include:pass.test -all", "", "pass include:pass.test"},
	{"5.2: with the qualifier of the include", "v=spf1 -include:pass.test +all", "", "fail -include:pass.test"},
	{"5.2: fail does not match", "v=spf1 include:fail.test ?all", "", "neutral ?all"},
	{"5.2: softfail does not match", "v=spf1 include:soft.test -all", "", "fail -all"},
	{"5.2: neutral does not match", "v=spf1 include:neutral.test -all", "", "fail -all"},
	{"5.2: temperror", "v=spf1 include:away.test +all", "", "temperror"},
	{"5.2: permerror", "v=spf1 include:syntax.test +all", "", "permerror"},
	{"5.2: none is permerror", "v=spf1 include:nothing.test +all", "", "permerror"},
	{"5.2: no name is permerror", "v=spf1 include:gone.test +all", "", "permerror"},
	{"5.3: a of the domain", "v=spf1 a -all\nd.test A 192.0.2.3", "", "pass a"},
	{"5.3: a of another", "v=spf1 a:a.test -all", "", "pass a:a.test"},
	{"5.3: a of IPv6", "v=spf1 a:a.test -all", "ip=2001:db8::3", "pass a:a.test"},
	{"5.3: a network", "v=spf1 a:near.test/24 -all", "", "pass a:near.test/24"},
	{"5.3: the length for the other kind", "v=spf1 a:near.test//24 -all", "", "fail -all"},
	{"5.3: a network of IPv6", "v=spf1 a:near.test//112 -all", "ip=2001:db8::3", "pass a:near.test//112"},
	{"5.3: both lengths", "v=spf1 a:near.test/24//112 -all", "ip=2001:db8::3", "pass a:near.test/24//112"},
	{"5.3: length 0 is everybody, if there is an address", "v=spf1 a:near.test/0 -all", "ip=1.2.3.4", "pass a:near.test/0"},
	{"5.3: and nobody, if there is none", "v=spf1 a:gone.test/0 -all", "ip=1.2.3.4", "fail -all"},
	{"5.3: a lookup fails", "v=spf1 a:away.test +all", "", "temperror"},
	{"5.4: mx", "v=spf1 mx:mx.test -all", "", "pass mx:mx.test"},
	{"5.4: mx of IPv6", "v=spf1 mx:mx.test -all", "ip=2001:db8::3", "pass mx:mx.test"},
	{"5.4: mx of the domain, in its network", "v=spf1 mx/24 -all\nd.test MX mx1.mx.test", "", "pass mx/24"},
	{"5.4: no MX, and no address in its place", "v=spf1 mx:unmx.test -all", "", "fail -all"},
	{"5.4: a null MX", "v=spf1 mx:null.test -all", "", "fail -all"},
	{"5.4: a lookup fails", "v=spf1 mx:away.test +all", "", "temperror"},
	{"5.4: the address of a host fails", "v=spf1 mx -all\nd.test MX away.test", "", "temperror"},
	{"5.5: a name below the domain", "v=spf1 ptr -all", "", "pass ptr"},
	{"5.5: the name itself, in any case", "v=spf1 ptr:OTHER.example -all", "", "pass ptr:OTHER.example"},
	{"5.5: of IPv6", "v=spf1 ptr -all", "ip=2001:db8::3", "pass ptr"},
	{"5.5: a name that is not confirmed", "v=spf1 ptr:forged.d.test -all", "", "fail -all"},
	{"5.5: no part of a label", "v=spf1 ptr:ample -all", "", "permerror"},
	{"5.5: no part of a label", "v=spf1 ptr:r.example -all", "", "fail -all"},
	{"5.5: a lookup fails, which is no error", "v=spf1 ptr ?all\n192.0.2.9 ERR PTR", "ip=192.0.2.9", "neutral ?all"},
	{"5.5: a name fails and is skipped", "v=spf1 ptr -all\n192.0.2.9 PTR away.test\n192.0.2.9 PTR x.d.test\nx.d.test A 192.0.2.9", "ip=192.0.2.9", "pass ptr"},
	{"5.6: ip4", "v=spf1 ip4:192.0.2.0/30 -all", "", "pass ip4:192.0.2.0/30"},
	{"5.6: bits beyond the length do not count", "v=spf1 ip4:192.0.2.99/24 -all", "", "pass ip4:192.0.2.99/24"},
	{"5.6: one address without a length", "v=spf1 ip4:192.0.2.0 -all", "", "fail -all"},
	{"5.6: ip4 and a client of IPv6", "v=spf1 ip4:0.0.0.0/0 -all", "ip=2001:db8::3", "fail -all"},
	{"5.6: ip6", "v=spf1 IP6:2001:DB8::/32 -all", "ip=2001:db8::3", "pass IP6:2001:DB8::/32"},
	{"5.6: ip6 and a client of IPv4", "v=spf1 ip6:::/0 -all", "", "fail -all"},
	{"5.6: ip6 and IPv4 in IPv6", "v=spf1 ip6:::ffff:192.0.2.0/120 -all", "ip=::ffff:192.0.2.3", "fail -all"},
	{"5.7: exists", "v=spf1 exists:a.test -all", "", "pass exists:a.test"},
	{"5.7: of IPv4, for IPv6 too", "v=spf1 exists:six.d.test exists:mail.d.test -all", "ip=2001:db8::3", "pass exists:mail.d.test"},
	{"5.7: a lookup fails", "v=spf1 exists:away.test +all", "", "temperror"},
	{"5.7: a name that cannot be does not match", "v=spf1 exists:%{l}.test ?all", "from=a..b@d.test", "neutral ?all"},

	// Modifiers.
	{"6.1: redirect", "v=spf1 ip4:192.0.2.4 redirect=soft.test", "", "softfail ~all"},
	{"6.1: wherever it stands, after all mechanisms", "v=spf1 redirect=pass.test -ip4:192.0.2.3", "", "fail -ip4:192.0.2.3"},
	{"6.1: with all it is ignored", "v=spf1 redirect=pass.test -all", "", "fail -all"},
	{"6.1: to none is permerror", "v=spf1 redirect=nothing.test", "", "permerror"},
	{"6.1: to no domain is permerror", "v=spf1 redirect=%{h}", "helo=localhost", "permerror"},
	{"6.1: temperror", "v=spf1 redirect=away.test", "", "temperror"},
	{"6.1: the new domain is %{d}", "v=spf1 redirect=r.test\nr.test TXT v=spf1 exists:%{d}.x.test -all\nr.test.x.test A 127.0.0.2", "", "pass exists:%{d}.x.test"},
	{"6.2: exp is not fetched", "v=spf1 exp=away.test -all", "", "fail -all"},

	// Limits.
	{"4.6.4: ten terms", "v=spf1" + strings.Repeat(" a:a.test", 10) + " -all", "ip=198.51.100.1", "fail -all"},
	{"4.6.4: eleven", "v=spf1" + strings.Repeat(" a:a.test", 11) + " -all", "ip=198.51.100.1", "permerror"},
	{"4.6.4: eleven, and an earlier one matches", "v=spf1" + strings.Repeat(" a:a.test", 11) + " -all", "", "pass a:a.test"},
	{"4.6.4: all, ip4 and ip6 do not count", "v=spf1" + strings.Repeat(" ip4:1.2.3.4 ip6:::1", 20) + strings.Repeat(" a:a.test", 10) + " -all", "ip=198.51.100.1", "fail -all"},
	{"4.6.4: redirect counts", "v=spf1" + strings.Repeat(" a:a.test", 10) + " redirect=pass.test", "ip=198.51.100.1", "permerror"},
	{"4.6.4: over all records", "v=spf1 include:i.test a:a.test -all\ni.test TXT v=spf1" + strings.Repeat(" a:a.test", 9), "ip=198.51.100.1", "permerror"},
	{"4.6.4: an include of itself", "v=spf1 include:d.test +all", "", "permerror"},
	{"4.6.4: a redirect to itself", "v=spf1 redirect=d.test", "", "permerror"},
	{"4.6.4: two void lookups", "v=spf1 a:n1.test mx:n2.test -all", "", "fail -all"},
	{"4.6.4: three", "v=spf1 a:n1.test mx:n2.test exists:n3.test -all", "", "permerror"},
	{"4.6.4: a redirect that is not evaluated does not count", "v=spf1" + strings.Repeat(" a:near.test", 10) + " -all redirect=pass.test", "", "fail -all"},
	{"4.6.4: ten hosts of mx", "v=spf1 mx -all\n" + lines(10, "d.test MX m%d.test\nm%d.test A 192.0.2.10"), "", "fail -all"},
	{"4.6.4: eleven", "v=spf1 mx +all\n" + lines(11, "d.test MX m%d.test\nm%d.test A 192.0.2.10"), "", "permerror"},
	{"4.6.4: a client without a name is not void", "v=spf1 a:n1.test mx:n2.test ptr exists:%{p}.n3.test ip4:192.0.2.9 -all\nunknown.n3.test A 127.0.0.2", "ip=192.0.2.9", "pass exists:%{p}.n3.test"},
	{"4.6.4: hosts without address are void", "v=spf1 mx +all\n" + lines(3, "d.test MX m%d.test"), "", "permerror"},
	{"4.6.4: the first ten names of ptr", "v=spf1 ptr -all\n" + lines(10, "192.0.2.9 PTR n%d.test") + "192.0.2.9 PTR x.d.test\nx.d.test A 192.0.2.9", "ip=192.0.2.9", "fail -all"},

	// Macros.
	{"7.2: s", "v=spf1 exists:%{s}.x.test -all\nuser@d.test.x.test A 127.0.0.2", "", "pass exists:%{s}.x.test"},
	{"7.2: l and o in an include", "v=spf1 include:i.test -all\ni.test TXT v=spf1 exists:%{l}.%{o}.%{d}.x.test -all\nuser.d.test.i.test.x.test A 127.0.0.2", "", "pass include:i.test"},
	{"7.2: i and v", "v=spf1 exists:%{ir}.%{v}.x.test -all\n3.2.0.192.in-addr.x.test A 127.0.0.2", "", "pass exists:%{ir}.%{v}.x.test"},
	{"7.3: i and v of IPv6", "v=spf1 exists:%{ir}.%{v}.x.test -all\n3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.x.test A 127.0.0.2", "ip=2001:db8::3", "pass exists:%{ir}.%{v}.x.test"},
	{"7.2: h", "v=spf1 exists:%{h}.x.test -all\nmail.d.test.x.test A 127.0.0.2", "", "pass exists:%{h}.x.test"},
	{"7.3: p is below the domain", "v=spf1 exists:%{p}.x.test -all\nmail.d.test.x.test A 127.0.0.2", "", "pass exists:%{p}.x.test"},
	{"7.3: p is any", "v=spf1 exists:%{p}.x.test -all\ny.example.x.test A 127.0.0.2\n192.0.2.9 PTR y.example\ny.example A 192.0.2.9", "ip=192.0.2.9", "pass exists:%{p}.x.test"},
	{"7.3: p is unknown", "v=spf1 exists:%{p}.x.test -all\nunknown.x.test A 127.0.0.2", "ip=192.0.2.9", "pass exists:%{p}.x.test"},
	{"7.3: labels from the right", "v=spf1 exists:%{h2}.x.test -all\nd.test.x.test A 127.0.0.2", "", "pass exists:%{h2}.x.test"},
	{"7.3: turned, then counted", "v=spf1 exists:%{h2r}.x.test -all\nd.mail.x.test A 127.0.0.2", "", "pass exists:%{h2r}.x.test"},
	{"7.3: more labels than there are", "v=spf1 exists:%{o99999999999999999999}.x.test -all\nd.test.x.test A 127.0.0.2", "", "pass exists:%{o99999999999999999999}.x.test"},
	{"7.3: delimiters", "v=spf1 exists:%{l1r+-}.x.test -all\nbob.x.test A 127.0.0.2", "from=bob-list+tag@d.test", "pass exists:%{l1r+-}.x.test"},
	{"7.3: only the given ones", "v=spf1 exists:%{lr-}.x.test -all\nlist.bob.x.x.test A 127.0.0.2", "from=bob.x-list@d.test", "pass exists:%{lr-}.x.test"},
	{"7.3: upper case escapes", "v=spf1 exists:%{S}.x.test -all\nuser%40d.test.x.test A 127.0.0.2", "", "pass exists:%{S}.x.test"},
	{"7.1: %%, %_ and %-", "v=spf1 exists:%%%_%-.x.test -all\n%_SPACE_%20.x.test A 127.0.0.2", "", "pass exists:%%%_%-.x.test"},
	{"7.3: cut from the left", "v=spf1 exists:%{l}.x.test -all\n" + strings.Repeat("b.", 123) + "x.test A 127.0.0.2", "from=" + strings.Repeat("b.", 130) + "b@d.test", "pass exists:%{l}.x.test"},
	{"7.3: of thousands of macros, the last count", "v=spf1 exists:" + strings.Repeat("%{s}.", 10_000) + "x.test ?all", "", "neutral ?all"},
	{"7.3: and of delimiters, each once", "v=spf1 exists:%{l1r" + strings.Repeat("-+", 10_000) + "}.x.test ?all", "", "neutral ?all"},
	{"RFC 8616 4: a local part that is not ASCII matches nothing", "v=spf1 exists:%{l}.x.test ?all\nä.x.test A 127.0.0.2", "from=ä@d.test", "neutral ?all"},
}

func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)) + "\n")
	}
	return b.String()
}

// zone returns the DNS of a case.
func (v vector) zone() *zone {
	text := v.records
	if strings.HasPrefix(text, "v=spf1") {
		text = "d.test TXT " + text
	}
	return newZone(world + strings.ReplaceAll(text, "%_SPACE_%20", "%\x00%20"))
}

func (v vector) claim() spf.Query {
	q := spf.Query{Client: netip.MustParseAddr("192.0.2.3"), HELO: "mail.d.test", Sender: "user@d.test"}
	if v.query == "" {
		return q
	}
	switch name, value, _ := strings.Cut(v.query, "="); name {
	case "ip":
		q.Client = netip.MustParseAddr(value)
	case "helo":
		q.HELO = value
	case "from":
		q.Sender = value
	}
	return q
}

// TestCheck holds each sentence of RFC 7208 that an evaluation follows.
func TestCheck(t *testing.T) {
	for _, v := range vectors {
		z := v.zone()
		if strings.Contains(v.records, "_SPACE_") { // a name with a space in it
			z.records["% %20.x.test A"] = []string{"127.0.0.2"}
		}
		got := spf.Check(t.Context(), z, v.claim())
		if s := strings.TrimSpace(string(got.Result) + " " + got.Mechanism); s != v.want {
			t.Errorf("RFC 7208 §%s\n%s\n%s\ngot  %s (%s)\nwant %s", v.clause, v.records, v.query, s, got.Reason, v.want)
		}
		if (got.Mechanism == "") != (got.Reason != "") {
			t.Errorf("RFC 7208 §%s: mechanism %q and reason %q", v.clause, got.Mechanism, got.Reason)
		}
	}
}

func TestIdentities(t *testing.T) {
	z := newZone("d.test TXT v=spf1 -all\nmail.d.test TXT v=spf1 +all")
	q := vector{}.claim()
	if got := spf.Check(t.Context(), z, q); got.Identity != spf.MailFrom || got.Domain != "d.test" || got.Result != spf.Fail {
		t.Errorf("MAIL FROM: %+v", got)
	}
	if got := spf.CheckHELO(t.Context(), z, q); got.Identity != spf.HELO || got.Domain != "mail.d.test" || got.Result != spf.Pass {
		t.Errorf("HELO: %+v", got)
	}
	q.Sender = ""
	if got := spf.Check(t.Context(), z, q); got.Identity != spf.HELO || got.Domain != "mail.d.test" || got.Result != spf.Pass {
		t.Errorf("null sender: %+v", got)
	}
	q.HELO = "[192.0.2.3]"
	if got := spf.CheckHELO(t.Context(), z, q); got.Result != spf.None {
		t.Errorf("HELO with an address: %+v", got)
	}
}

// Nobody knows when the time is over or a resolver has an error of its own. It is never a
// fail.
func TestTimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	z := newZone(world + "d.test TXT v=spf1 ptr -all")
	if got := spf.Check(ctx, z, vector{}.claim()); got.Result != spf.TempError {
		t.Errorf("%+v", got)
	}
	if got := spf.Check(t.Context(), odd{z}, vector{}.claim()); got.Result != spf.TempError {
		t.Errorf("%+v", got)
	}
}

// While names of a client are looked up, too.
func TestTimeIsOverInPTR(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	z := newZone("d.test TXT v=spf1 ptr exists:%{p}.test -all")
	got := spf.Check(ctx, endsIn{z, cancel}, vector{}.claim())
	if got.Result != spf.TempError {
		t.Errorf("%+v", got)
	}
}

// endsIn ends the time when it is asked for the names of a client.
type endsIn struct {
	*zone
	cancel context.CancelFunc
}

func (e endsIn) PTR(ctx context.Context, address netip.Addr) ([]string, error) {
	e.cancel()
	return e.zone.PTR(ctx, address)
}

// What a record can make us look up is bounded, whatever it says.
func TestLookups(t *testing.T) {
	z := newZone("d.test TXT v=spf1" + strings.Repeat(" mx:m.test ptr:%{p}.%{p}.test", 6) + "\n" +
		lines(10, "m.test MX m%d.test\nm%d.test A 192.0.2.10\n192.0.2.3 PTR p%d.test\np%d.test A 192.0.2.3"))
	if got := spf.Check(t.Context(), z, vector{}.claim()); got.Result != spf.PermError {
		t.Errorf("%+v", got)
	}
	if len(z.asked) > 1+10*11 {
		t.Errorf("%d lookups", len(z.asked))
	}
}

// Nor is what has to be parsed without bounds: an answer may have 64 KiB, and ten more may be
// included.
func TestLongRecords(t *testing.T) {
	long := strings.Repeat(" ip4:1.1.1.1", 1600) // 19 KiB
	z := newZone("d.test TXT v=spf1" + long + " include:d0.test -all\n" +
		lines(10, "d%d.test TXT v=spf1"+long+" include:e%d.test -all\ne%d.test TXT v=spf1"+long+" redirect=f%d.test\nf%d.test TXT v=spf1"+long+" +all"))
	got := spf.Check(t.Context(), z, vector{}.claim())
	if got.Result != spf.PermError || !strings.Contains(got.Reason, "64 KiB") || len(z.asked) != 4 {
		t.Errorf("%+v, asked %d times", got, len(z.asked))
	}
	q := vector{}.claim()
	q.Sender = "user@e0.test" // two of them
	if got := spf.Check(t.Context(), z, q); got.Result != spf.Pass {
		t.Errorf("%+v", got)
	}
}

func TestTrace(t *testing.T) {
	var steps []string
	q := vector{}.claim()
	q.Trace = func(s spf.Step) {
		steps = append(steps, fmt.Sprintf("%d %s %s: %s", s.Depth, s.Domain, s.Term, s.Result))
	}
	z := newZone(world + "d.test TXT v=spf1 a:near.test include:fail.test redirect=soft.test")
	spf.Check(t.Context(), z, q)
	want := []string{
		"0 d.test a:near.test: no match", "1 fail.test -all: fail", "1 fail.test : fail",
		"0 d.test include:fail.test: no match", "1 soft.test ~all: softfail", "1 soft.test : softfail", "0 d.test : softfail",
	}
	if strings.Join(steps, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(steps, "\n"), strings.Join(want, "\n"))
	}
}
