package dkim

import "bytes"

// tag is one name and value of a tag list (RFC 6376 §3.2). Both are parts of the list;
// folding white space within the value is still there.
type tag struct {
	name, value []byte
	// start and end are where the value stands in the list, with the white space around it.
	start, end int
}

// maxTags is how many tags a list may have. RFC 6376 knows 14.
const maxTags = 64

// parseTags appends the tags of a list to those of dst, and reports whether the list is
// well formed: names that begin with a letter, no name twice, values in ASCII or UTF-8.
func parseTags(dst []tag, list []byte) ([]tag, bool) {
	for at := 0; at < len(list); {
		end := len(list)
		if n := bytes.IndexByte(list[at:], ';'); n >= 0 {
			end = at + n
		}
		spec := list[at:end]
		equals := bytes.IndexByte(spec, '=')
		if equals < 0 {
			// Only the place behind the last semicolon may be empty.
			if len(trim(spec)) == 0 && end == len(list) && len(dst) > 0 {
				return dst, true
			}
			return dst, false
		}
		t := tag{start: at + equals + 1, end: end}
		t.name, t.value = trim(spec[:equals]), trim(spec[equals+1:])
		twice := find(dst, string(t.name)) != nil
		if !isTagName(t.name) || !isTagValue(t.value) || twice || len(dst) == maxTags {
			return dst, false
		}
		dst = append(dst, t)
		at = end + 1
	}
	return dst, len(dst) > 0
}

// find returns the tag of a name, or nil.
func find(tags []tag, name string) *tag {
	for i := range tags {
		if string(tags[i].name) == name {
			return &tags[i]
		}
	}
	return nil
}

// text returns the value of a tag, or the other text where there is none.
func text(tags []tag, name, otherwise string) string {
	if t := find(tags, name); t != nil {
		return string(t.value)
	}
	return otherwise
}

func isTagName(name []byte) bool {
	for i, c := range name {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(name) > 0
}

// isTagValue reports whether a value has no control but those of folding.
func isTagValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && !isSpace(c) || c == 0x7f {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trim(text []byte) []byte {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	for len(text) > 0 && isSpace(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

// squeeze returns a text without white space, in place.
func squeeze(text []byte) []byte {
	kept := text[:0]
	for _, c := range text {
		if !isSpace(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// items calls each with the parts of a list that colons separate, without white space
// around them, until it returns false.
func items(list []byte, each func(item []byte) bool) {
	for more := true; more; {
		var item []byte
		item, list, more = bytes.Cut(list, []byte(":"))
		if !each(trim(item)) {
			return
		}
	}
}

// hasItem reports whether a list has an item, in any case.
func hasItem(list []byte, wanted string) bool {
	has := false
	items(list, func(item []byte) bool {
		has = bytes.EqualFold(item, []byte(wanted))
		return !has
	})
	return has
}
