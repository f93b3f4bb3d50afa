package indextest

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/index"
)

// findTerms finds a row by each word of a search, and by several.
func findTerms(t *testing.T, s index.Store) {
	r := newRandom(10)
	full, other, second := r.full(noon), r.message(noon), r.message(noon.Add(time.Second))
	other.Client.Helo, other.MailFrom = "other.example", "carl@other.example"
	index.SetTerms(other, "pay nothing")
	second.Header.Subject.Text = "Grüße"
	index.SetTerms(second, "")
	mustInsert(t, s, 3, full, other, second)
	query := func(words string) index.Query {
		values, err := url.ParseQuery(words)
		if err != nil {
			t.Fatal(err)
		}
		q, err := index.ParseQuery(values, noon)
		if err != nil {
			t.Fatal(err)
		}
		return *q
	}
	for _, words := range []string{
		"from=from@example.org", "from=other.from&from=muller", "from=anna@example.org&to=c@example.net",
		"to=cc", "subject=請求書", "text=please", "text=please+pay", "attachment=rechnung", "attachment=" + strings.Repeat("2B", 32),
		"helo=[ipv6:2001:db8::1]", "message-id=<Id.1@x>", "message-id=00@x", "verdict=dmarc=fail&verdict=dkim=pass",
		"client=2001:db8::/64&text=pay", "text=pay&subject=grusse",
	} {
		mustFind(t, s, query(words), full)
	}
	mustFind(t, s, query("subject=grusse"), full, second)
	mustFind(t, s, query("from=@example.org"), full, second)
	mustFind(t, s, query("to=b@example.net"), full, other, second)
	mustFind(t, s, query("text=pay"), full, other)
	for _, words := range []string{
		"message-id=id.1@x", "message-id=Id.1", "text=pleas", "text=please&text=nothing", "subject=please",
		"from=b@example.net", "from=@org", "verdict=dmarc=pass", "helo=other",
	} {
		mustFind(t, s, query(words))
	}
}

// hostileTerms wants terms of any syntax to find those rows which have them, and no other.
func hostileTerms(t *testing.T, s index.Store) {
	r := newRandom(11)
	terms := []string{
		`m:a"b`, `m:a""b`, `m:"`, `m:'`, `m:a'b`, `m:a''b`, `m:');DROP_TABLE_messages;--`, `m:a*`, `m:*`, `m:^a`, `m:a%`, `m:a_`, `m:ab`,
		`m:a`, `m:A`, `m:aA`, `m:Aa`, `m:AA`, `m:%61`, `m:É`, `m:é`, "m:e\u0301", `m:ß`, `m:ss`, `m:a\b`, `m:a\\b`, `m:a+b`, `m:{a}`, `m:(a)`, `m:a:b`,
		`m:NEAR(a,b)`, `m:a_OR_b`, `m:NOT`, `m:-a`, `m:a&b`, `m:a|b`, `m:!a`, `m:$1`, `m:?`, `m::a`, `m:@a`, `m:#a`, "m:a\tb", "m:a\nb", "m:a\r\nb",
		"m:\u00a0", "m:\u2028", "m:\u200b", "m:\ufeff", "m:\ufffd", "m:😀", "m:😀😀", "m:\U0010ffff", "m:\x01", "m:\x7f", "m:~", "m:`", "m:<a>", "m:[a]", "m:,",
		"m:" + strings.Repeat("a", 77), "m:" + strings.Repeat("a", 78), "s:a", "x:a", "n:m:a", "m:m:a",
	}
	rows := map[string]*index.Message{}
	var all []*index.Message
	for i, term := range terms {
		m := r.message(noon.Add(time.Duration(i)*time.Millisecond), term)
		rows[term], all = m, append(all, m)
	}
	mustInsert(t, s, len(all), all...)
	for _, term := range terms {
		mustFind(t, s, index.Query{Terms: []string{term}}, rows[term])
		mustFind(t, s, index.Query{Terms: []string{term, "s:nowhere"}})
	}
	for _, term := range []string{
		"", ":", "m:", "m", " ", "m:a b", "m:a OR m:ab", `m:a" OR "m:ab`, "m:\x00", "m:a\x00", "\x00", "m:\xff", "m:a\xff", "m:\xed\xa0\x80",
		"m:" + strings.Repeat("a", 79), strings.Repeat("a", 1<<20), strings.Repeat(`"`, 1<<16), "m:a*b", "m:A*", "m:É́", "rowid:1", "terms:a",
	} {
		mustFind(t, s, index.Query{Terms: []string{term}})
		mustFind(t, s, index.Query{Terms: []string{"m:a", term}})
	}
	many := r.message(noon.Add(time.Hour), terms...)
	mustInsert(t, s, 1, many)
	mustFind(t, s, index.Query{Terms: many.Terms}, many)
	mustFind(t, s, index.Query{}, append(all, many)...)
}

// findClient finds by networks of both families.
func findClient(t *testing.T, s index.Store) {
	r := newRandom(12)
	rows := map[string]*index.Message{}
	for i, address := range []string{
		"", "0.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.1.1", "10.128.0.1", "11.0.0.1", "192.0.2.1", "255.255.255.255",
		"::", "::1", "::a00:1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:8000::", "2001:db9::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		m := r.message(noon.Add(time.Duration(i)*time.Millisecond), "s:all")
		m.Client.Address = netip.Addr{}
		if address != "" {
			m.Client.Address = netip.MustParseAddr(address)
		}
		rows[address] = m
		mustInsert(t, s, 1, m)
	}
	for _, network := range []string{
		"0.0.0.0/0", "0.0.0.0/1", "0.0.0.0/32", "10.0.0.1/32", "10.0.0.0/31", "10.0.0.0/30", "10.0.0.0/24", "10.0.0.0/23", "10.0.0.0/16", "10.0.0.0/9",
		"10.0.0.0/8", "10.0.0.0/7", "172.16.0.0/12", "255.255.255.255/32", "::/0", "::/1", "::/128", "::1/128", "::/96", "2001:db8::1/128", "2001:db8::/126", "2001:db8::/127",
		"2001:db8::/64", "2001:db8::/63", "2001:db8::/48", "2001:db8::/33", "2001:db8::/32", "2001:db8::/31", "fe80::/10", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
	} {
		q := index.Query{Client: netip.MustParsePrefix(network)}
		var want []*index.Message
		for _, m := range rows {
			if wanted(&q, m) {
				want = append(want, m)
			}
		}
		mustFind(t, s, q, want...)
		q.Terms, q.Limit = []string{"s:all"}, 2
		mustFind(t, s, q, want...)
	}
}

// findTime finds by received_at, which is later than the time of the id.
func findTime(t *testing.T, s index.Store) {
	r := newRandom(13)
	var all []*index.Message
	for i := range 100 {
		m := r.message(noon.Add(time.Duration(i)*5*time.Minute), "s:all")
		m.ReceivedAt = m.ReceivedAt.Add([]time.Duration{0, 1, time.Second, time.Minute, index.Slowest}[i%5].Truncate(time.Millisecond))
		all = append(all, m)
	}
	mustInsert(t, s, len(all), all...)
	times := []time.Time{{}, time.Unix(0, 0), noon.Add(-time.Nanosecond), noon, noon.Add(time.Nanosecond), noon.Add(time.Millisecond), noon.Add(24 * time.Hour), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := 0; i < len(all); i += 7 {
		times = append(times, all[i].ReceivedAt, all[i].ReceivedAt.Add(time.Microsecond), all[i].ReceivedAt.Add(-time.Microsecond))
	}
	for i, since := range times {
		q := index.Query{Since: since, Until: times[(i*7+3)%len(times)], Limit: 20}
		if i%2 == 0 {
			q.Terms = []string{"s:all"}
		}
		if i%3 == 0 {
			q.Until = time.Time{}
		}
		var want []*index.Message
		for _, m := range all {
			if wanted(&q, m) {
				want = append(want, m)
			}
		}
		mustFind(t, s, q, want...)
	}
}
