package content

import (
	"net/mail"
	"strings"
	"time"

	"sluice/index"
)

// maxIDs bounds the ids that References and In-Reply-To may have together.
const maxIDs = 1000

// readEnvelope fills in what the header of a message says about it.
func (c *Content) readEnvelope(h header) {
	seen, ids := map[string]bool{}, map[string]bool{}
	lists := map[string]*[]index.Address{
		"from": &c.Header.From, "to": &c.Header.To, "cc": &c.Header.Cc, "reply-to": &c.Header.ReplyTo,
	}
	for name, value := range h.fields() {
		if seen[name] && !strings.HasPrefix(name, "content-") {
			c.defect(index.DefectHeader, "")
			if lists[name] == nil {
				continue // the first counts
			}
		}
		seen[name] = true
		var ok bool
		switch name {
		case "from", "to", "cc", "reply-to":
			list, ok := parseAddresses(value)
			if !ok {
				c.defect(index.DefectAddress, "")
			}
			*lists[name] = append(*lists[name], list...)
			*lists[name] = (*lists[name])[:min(len(*lists[name]), maxMailboxes)]
		case "subject":
			if c.Header.Subject, ok = decodeText(value); !ok {
				c.defect(index.DefectCharset, "")
			}
		case "date":
			if c.Header.Date, ok = parseDate(value); !ok {
				c.defect(index.DefectDate, "")
			}
		case "message-id":
			if own := messageIDs(value); len(own) > 0 {
				c.Header.MessageID = own[0]
			} else {
				c.Header.MessageID = strings.Trim(value, "<> \t")
			}
		case "references", "in-reply-to":
			for _, id := range messageIDs(value) {
				if len(ids) < maxIDs && !ids[id] {
					ids[id] = true
					c.Header.References = append(c.Header.References, id)
				}
			}
		}
	}
}

// messageIDs returns the ids of a field (RFC 5322 §3.6.4), without their brackets. Where
// there are no brackets at all, they are the words with an @.
func messageIDs(value string) (ids []string) {
	if !strings.Contains(value, "<") {
		for _, w := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,>", r) }) {
			if strings.Contains(w, "@") {
				ids = append(ids, w)
			}
		}
		return ids
	}
	for {
		_, rest, found := strings.Cut(value, "<")
		if !found {
			return ids
		}
		end := strings.IndexAny(rest, "<>")
		if end < 0 {
			end = len(rest)
		}
		if id := strings.Join(strings.Fields(rest[:end]), ""); id != "" {
			ids = append(ids, id)
		}
		value = rest[end:]
	}
}

// zones are those of RFC 5322 §4.3 that time.Parse does not know.
var zones = map[string]string{
	"UT": "+0000", "GMT": "+0000", "UTC": "+0000", "Z": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
}

// parseDate parses a date (RFC 5322 §3.3), or one as ctime or ISO 8601 write it.
func parseDate(value string) (date time.Time, ok bool) {
	if len(value) > 256 {
		return time.Time{}, false
	}
	words := strings.Fields(withoutComment(value))
	if n := len(words); n > 0 {
		if zone := zones[strings.ToUpper(words[n-1])]; zone != "" {
			words[n-1] = zone
		}
	}
	text := strings.Join(words, " ")
	date, err := time.Parse(time.RFC1123Z, text) // what most have
	if err != nil {
		date, err = mail.ParseDate(text)
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02 15:04:05 -0700", time.ANSIC, "Mon Jan _2 15:04:05 2006 -0700", "Mon Jan _2 15:04:05 -0700 2006",
		"2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04:05", "2-Jan-2006 15:04:05 -0700",
	} {
		if err == nil {
			break
		}
		date, err = time.Parse(layout, text)
	}
	if err != nil || date.Year() < 1 || date.Year() > 9999 {
		return time.Time{}, false
	}
	return date.UTC(), true
}
