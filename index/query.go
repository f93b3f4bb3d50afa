package index

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/pipeline"
)

// Query is a search. Its zero value finds all.
type Query struct {
	// Terms must all be among those of a message.
	Terms []string
	// Client is a network that the client's address must be in; invalid for any. It is
	// masked, and never of IPv4-mapped addresses.
	Client netip.Prefix
	// Since and Until bound received_at: not before Since, and before Until. Zero for no
	// bound.
	Since, Until time.Time
	// Limit is the number of messages of a page, at least 1.
	Limit int
	// Cursor is that of the page before, empty for the first page.
	Cursor string
}

// The number of messages of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Slowest bounds the time between the creation of a message's id and its received_at.
const Slowest = 2 * time.Hour

// IDRange returns the ids that messages of the query may have: not below from, and below
// to. Messages of other times in it must be left out by their received_at.
func (q *Query) IDRange() (from, to pipeline.ID) {
	if !q.Since.IsZero() {
		from = firstID(q.Since.Add(-Slowest))
	}
	to = pipeline.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if !q.Until.IsZero() {
		to = firstID(q.Until.Add(time.Millisecond - 1)) // ids have the clock's milliseconds
	}
	return from, to
}

// firstID returns the least id of a time.
func firstID(t time.Time) (id pipeline.ID) {
	ms := min(max(t.UnixMilli(), 0), 1<<48-1)
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// Parameter is one word of a search, as find and the API have it.
type Parameter struct {
	Name string
	Help string
	set  func(q *Query, value string, now time.Time) error
}

// Parameters are the words of a search.
var Parameters = []Parameter{
	{"from", "Words of a sender, ADDRESS, or @DOMAIN: of MAIL FROM, From, Reply-To or the user.", addressed(fieldFrom)},
	{"to", "Words of a recipient, ADDRESS, or @DOMAIN: of RCPT TO, To or Cc.", addressed(fieldTo)},
	{"subject", "Words of the subject.", worded(fieldSubject)},
	{"text", "Words of the text, of which index.text bytes are kept.", worded(fieldText)},
	{"attachment", "Words of a file's name, or its SHA-256.", setAttachment},
	{"client", "The client's IP address or network.", setClient},
	{"helo", "The name that the client gave.", setHelo},
	{"message-id", "The Message-ID, also of messages that refer to it.", setMessageID},
	{"verdict", "A verdict, such as dmarc=fail; several have to hold.", setVerdict},
	{"since", "Received at or after this TIME, or so long ago (24h, 7d).", setSince},
	{"until", "Received before this TIME, or so long ago.", setUntil},
	{"limit", "The most messages of a page.", setLimit},
	{"cursor", "That of the page before.", setCursor},
}

// ParseQuery returns the search with these words. Every word may be given several times,
// and each has to hold. The error names the word, what it may be and what it is.
func ParseQuery(values url.Values, now time.Time) (*Query, error) {
	q := &Query{Limit: DefaultLimit}
	for name := range values {
		if !slices.ContainsFunc(Parameters, func(p Parameter) bool { return p.Name == name }) {
			return nil, fmt.Errorf("%.40q is no word of a search", name)
		}
	}
	for _, p := range Parameters {
		for _, value := range values[p.Name] {
			if value = strings.TrimSpace(value); value == "" {
				continue
			}
			if err := p.set(q, value, now); err != nil {
				return nil, fmt.Errorf("%s: %w, is %.100q", p.Name, err, value)
			}
		}
	}
	slices.Sort(q.Terms)
	if q.Terms = slices.Compact(q.Terms); len(q.Terms) > maxWanted {
		return nil, fmt.Errorf("a search has at most %d words", maxWanted)
	}
	return q, nil
}

// maxWanted bounds the terms of a query.
const maxWanted = 100

var errNoWord = errors.New("must have a letter or digit")

func worded(field byte) func(*Query, string, time.Time) error {
	return func(q *Query, value string, _ time.Time) error {
		words := wordsWanted(value)
		if len(words) == 0 {
			return errNoWord
		}
		for _, w := range words {
			q.Terms = append(q.Terms, term(field, w))
		}
		return nil
	}
}

func addressed(field byte) func(*Query, string, time.Time) error {
	words := worded(field)
	return func(q *Query, value string, now time.Time) error {
		if strings.IndexByte(value, '@') < 0 || strings.IndexByte(value, ' ') >= 0 {
			return words(q, value, now)
		}
		q.Terms = append(q.Terms, exact(field, fold(value)))
		return nil
	}
}

func setAttachment(q *Query, value string, now time.Time) error {
	if raw, err := hex.DecodeString(value); err == nil && len(raw) == len(pipeline.Digest{}) {
		q.Terms = append(q.Terms, term(fieldHash, strings.ToLower(value)))
		return nil
	}
	return worded(fieldAttachment)(q, value, now)
}

func setClient(q *Query, value string, _ time.Time) error {
	network, err := netip.ParsePrefix(value)
	if err != nil {
		address, err := netip.ParseAddr(value)
		if err != nil {
			return errors.New("must be an IP address or a network such as 192.0.2.0/24")
		}
		address = address.Unmap().WithZone("")
		network = netip.PrefixFrom(address, address.BitLen())
	}
	if network.Addr().Is4In6() {
		return errors.New("must be IPv4 or IPv6, not IPv4 in IPv6")
	}
	if q.Client.IsValid() {
		return errors.New("must stand once")
	}
	q.Client = network.Masked()
	return nil
}

func setHelo(q *Query, value string, _ time.Time) error {
	q.Terms = append(q.Terms, exact(fieldHelo, strings.ToLower(value)))
	return nil
}

func setMessageID(q *Query, value string, _ time.Time) error {
	id := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">"), " ", "")
	(&cleaner{}).text(&id, maxID) // as in a row
	q.Terms = append(q.Terms, term(fieldMessageID, id))
	return nil
}

// exact returns the term of a value that is compared as a whole.
func exact(field byte, value string) string {
	return term(field, strings.ReplaceAll(value, " ", "_"))
}

func setVerdict(q *Query, value string, _ time.Time) error {
	value = strings.ToLower(value)
	name, result, ok := strings.Cut(value, "=")
	if !ok || result == "" || !slices.Contains(VerdictNames, name) {
		return fmt.Errorf("must be NAME=RESULT with a name of %s", strings.Join(VerdictNames, ", "))
	}
	q.Terms = append(q.Terms, exact(fieldVerdict, value))
	return nil
}

func setSince(q *Query, value string, now time.Time) (err error) {
	q.Since, err = parseTime(value, now)
	return err
}

func setUntil(q *Query, value string, now time.Time) (err error) {
	q.Until, err = parseTime(value, now)
	return err
}

// times are the layouts of times.
var times = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// parseTime parses a time, in UTC unless it says otherwise, or how long ago it is.
func parseTime(value string, now time.Time) (time.Time, error) {
	for _, layout := range times {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC(), nil
		}
	}
	if days, ok := strings.CutSuffix(value, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour).UTC(), nil
		}
	}
	if ago, err := time.ParseDuration(value); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	return time.Time{}, errors.New("must be a time such as 2026-01-31T23:59:59Z or 2026-01-31, or how long ago, such as 24h or 7d")
}

func setLimit(q *Query, value string, _ time.Time) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxLimit {
		return fmt.Errorf("must be a number from 1 to %d", MaxLimit)
	}
	q.Limit = n
	return nil
}

func setCursor(q *Query, value string, _ time.Time) error {
	q.Cursor = value
	return nil
}
