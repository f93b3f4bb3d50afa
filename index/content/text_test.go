package content

import (
	"strings"
	"testing"
)

// TestStripHTML takes the text out of HTML as mailers write it.
func TestStripHTML(t *testing.T) {
	large := strings.Repeat("x<y ", 50<<10)
	for page, want := range map[string]string{
		"a <b>b</b>c<br>d<p>e":                                  "a bc\nd\ne",
		"<p title='>'>a&lt;b&gt; &#228;&auml;&nbsp;x</p>":       "a<b> ää x",
		"a<script>if (a<b) { x }</script>b<STYLE>p{}</style >c": "abc",
		"<table><tr><td>1<td>2<tr><td>3</table>":                "1 2\n3",
		"a<!-- b --><!-- <c> -->d<!doctype x>e<?xml f?>g":       "adeg",
		"a <unclosed b=\"c":                                     "a",
		"<title>a</title><body>b":                               "a\nb",
		"x<img src='data:image/png;base64," + "AAAA'>y":         "x y",
		"x<img src='" + strings.Repeat("A", 200<<10) + "'>y":    "xy",
		"x<style>" + large + "</style>y":                        "xy",
		"x<!--" + large + "-->y":                                "xy",
		"x" + strings.Repeat(" ", 200<<10) + "y":                "x y",
	} {
		if got := stripHTML(strings.NewReader(page), 1000); got != want {
			t.Errorf("%.60q: %.60q, want %q", page, got, want)
		}
	}
	if got := stripHTML(strings.NewReader("abc<p>def"), 5); got != "abc\nd" {
		t.Errorf("%q", got)
	}
}
