package addresses

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	for _, test := range []struct {
		text      string
		key, item string // of Parse and of ParseItem, "" for none
	}{
		{"Ann@Example.NET", "ann@example.net", "ann@example.net"},
		{`"d.e"@example.net`, "d.e@example.net", "d.e@example.net"},
		{`"d\.\"e"@example.net`, `d."e@example.net`, `d."e@example.net`},
		{`"a@b"@example.net`, "a@b@example.net", "a@b@example.net"},
		{"ann@[192.0.2.1]", "ann@[192.0.2.1]", "ann@[192.0.2.1]"},
		{"<ann@example.net>", "", "ann@example.net"},
		{"evil<ann@example.net>", "", "ann@example.net"}, // an operator's file is trusted
		{"@Example.net", "", "@example.net"},
		{`""@example.net`, "@example.net", ""},
		{"", "", ""},
		{"<>", "", ""},
		{"@", "", ""},
		{"ann", "", ""},
		{"postmaster", "", ""},
		{"ann@", "", ""},
		{"ann@example.net more", "", ""},
		{"ann@example.net@example.org", "", ""},
		{"änn@example.net", "", ""},
		{strings.Repeat("a", 65) + "@example.net", "", ""},
		{"a@" + strings.Repeat("b.", 126) + "cd", "", ""}, // 256 bytes
	} {
		var k Key
		if ok := k.Parse([]byte(test.text)); ok != (test.key != "") || ok && string(k.Bytes()) != test.key {
			t.Errorf("%s: %v, %s", test.text, ok, k.Bytes())
		}
		if err := k.ParseItem([]byte(test.text)); (err == nil) != (test.item != "") || err == nil && string(k.Bytes()) != test.item {
			t.Errorf("%s as an item: %v, %s", test.text, err, k.Bytes())
		}
		if at := strings.LastIndexByte(test.item, '@'); at >= 0 && string(k.Domain()) != test.item[at:] {
			t.Errorf("%s: domain %s", test.text, k.Domain())
		}
	}
}

// TestSet compares a set with a map, over several blocks and sizes of the table.
func TestSet(t *testing.T) {
	s, places := NewSet(), make(map[string]Place)
	var texts []string
	for i := range 20_000 {
		text := fmt.Sprint(i % 15_000)
		if i%50 == 0 {
			text += strings.Repeat("x", 1<<10)
		}
		p, err := s.Add([]byte(text))
		if err != nil || p == 0 || places[text] != 0 && places[text] != p {
			t.Fatalf("%.20s: place %d, %v", text, p, err)
		}
		if places[text] == 0 {
			texts = append(texts, text)
		}
		places[text] = p
	}
	for text, p := range places {
		if s.Find([]byte(text)) != p || !s.Has([]byte(text)) || s.Has([]byte(text+" ")) {
			t.Fatalf("%.20s is not found", text)
		}
	}
	if s.Len() != len(places) || s.Has(nil) {
		t.Errorf("%d texts", s.Len())
	}
	i := 0
	for text := range s.All() {
		if string(text) != texts[i] {
			t.Fatalf("text %d is %.20s", i, text)
		}
		i++
	}
	if first := slices.Collect(s.All())[0]; !bytes.Equal(first, []byte(texts[0])) || i != len(texts) {
		t.Errorf("%d texts, the first is %.20s", i, first)
	}
	s.count = maxCount
	if _, err := s.Add([]byte("more")); !errors.Is(err, errTooMany) {
		t.Errorf("a full set: %v", err)
	}
	if p, err := s.Add([]byte(texts[0])); p != places[texts[0]] || err != nil {
		t.Errorf("a text that is in the full set: %v", err)
	}
}
