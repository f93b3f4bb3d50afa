package sluice_test

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
)

// TestLinksResolve follows every relative link of the repository's pages: the file
// that it names exists, and the heading that its # names too.
func TestLinksResolve(t *testing.T) {
	c := checkLinks(t, os.DirFS("."))
	for _, finding := range c.findings {
		t.Error(finding)
	}
	if c.links < 10 {
		t.Errorf("only %d links were found: do the patterns still match?", c.links)
	}
}

// TestLinkCheckBites shows which links are reported: those that have "no" in them.
func TestLinkCheckBites(t *testing.T) {
	const readme = "# The `gate`, *in* [short](docs/a.md)\n" +
		"## Twice\n## Twice ##\n<a id=\"by-hand\"></a>\n" +
		"[a](docs/a.md) [b](docs/no.md) [c](<docs/a.md> \"title\") ![d](docs/no.svg) [two\n" +
		"lines](docs/no-lines.md) [e](#the-gate-in-short) [f](#twice-1) [g](#no)\n" +
		"[h](docs/a.md#größe--einheit) [i](docs/a.md#no-such) [j](#by-hand) [k](docs)\n" +
		"[l](https://example.org/no) [m](mailto:no@example.org) `[n](no.md)` [o](docs/a.go#no-page)\n" +
		"[p][here] [q][nowhere] [[r](docs/a.md)] <img src=\"docs/no.png\" alt=\"\">\n" +
		"[here]: docs/no-reference.md\n" +
		"```\n[s](no-code.md)\n# No heading\n```\n[t](#no-heading) [u](../no-outside.md)\n"
	tree := fstest.MapFS{
		"README.md": {Data: []byte(readme)},
		"docs/a.md": {Data: []byte("# Größe & _Einheit_\n[a](../README.md#twice) [b](README.md) [c](/README.md) [d](a%2Ego)\n")},
		"docs/a.go": {Data: []byte("package a\n")},
	}
	want := []string{
		"README.md:5: docs/no.md", "README.md:5: docs/no.svg", "README.md:6: docs/no-lines.md",
		"README.md:6: #no", "README.md:7: docs/a.md#no-such", "README.md:8: docs/a.go#no-page",
		"README.md:9: [nowhere]", "README.md:9: docs/no.png", "README.md:10: docs/no-reference.md",
		"README.md:15: #no-heading", "README.md:15: ../no-outside.md", "docs/a.md:2: README.md",
	}
	var got []string
	for _, finding := range checkLinks(t, tree).findings {
		link, _, _ := strings.Cut(finding, ": no ")
		got = append(got, link)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("reported %q\nwant     %q", got, want)
	}
}

var (
	// inlineLink matches ](target), ](<target>) and ](target "title").
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)>\s]+)>?(?:\s+"[^"]*")?\s*\)`)
	// defined matches [name]: target.
	defined = regexp.MustCompile(`^ {0,3}\[([^\]]+)\]:\s*<?([^>\s]+)`)
	// byName matches [text][name].
	byName = regexp.MustCompile(`\]\[([^\]]+)\]`)
	// attribute matches a link or picture in HTML, and anchor a target in HTML.
	attribute = regexp.MustCompile(`\b(?:href|src)="([^"]*)"`)
	anchor    = regexp.MustCompile(`\b(?:id|name)="([^"]*)"`)

	heading  = regexp.MustCompile(`^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$`)
	codeSpan = regexp.MustCompile("`[^`]*`")
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	emphasis = regexp.MustCompile(`(^|\W)[*_]{1,3}([^*_]+)[*_]{1,3}(\W|$)`)
)

// linkCheck gathers what is wrong with the links of a tree of pages.
type linkCheck struct {
	tree     fs.FS
	anchors  map[string][]string // of the pages read so far
	links    int
	findings []string
}

func checkLinks(t *testing.T, tree fs.FS) *linkCheck {
	t.Helper()
	c := &linkCheck{tree: tree, anchors: map[string][]string{}}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case path.Ext(name) == ".md":
			return c.page(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// page checks the links of one page.
func (c *linkCheck) page(name string) error {
	lines, err := c.prose(name)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, line := range lines {
		if m := defined.FindStringSubmatch(line); m != nil {
			names[strings.ToLower(m[1])] = true
		}
	}
	for i, line := range lines {
		line = codeSpan.ReplaceAllString(line, "")
		place := fmt.Sprintf("%s:%d", name, i+1)
		if m := defined.FindStringSubmatch(line); m != nil {
			c.link(place, name, m[2])
			continue
		}
		for _, m := range slices.Concat(inlineLink.FindAllStringSubmatch(line, -1), attribute.FindAllStringSubmatch(line, -1)) {
			c.link(place, name, m[1])
		}
		for _, m := range byName.FindAllStringSubmatch(line, -1) {
			if !names[strings.ToLower(m[1])] {
				c.findings = append(c.findings, fmt.Sprintf("%s: [%s]: no definition", place, m[1]))
			}
		}
	}
	return nil
}

// link checks one target of a page. Absolute addresses are not followed.
func (c *linkCheck) link(place, page, target string) {
	u, err := url.Parse(target)
	if err == nil && (u.Scheme != "" || u.Host != "") {
		return
	}
	c.links++
	report := func(what string) {
		c.findings = append(c.findings, fmt.Sprintf("%s: %s: no %s", place, target, what))
	}
	if err != nil {
		report("address: " + err.Error())
		return
	}
	to := page
	switch {
	case strings.HasPrefix(u.Path, "/"): // from the root of the repository
		to = path.Clean(u.Path[1:])
	case u.Path != "":
		to = path.Join(path.Dir(page), u.Path)
	}
	if _, err := fs.Stat(c.tree, to); err != nil {
		report("such file: " + err.Error())
		return
	}
	if u.Fragment == "" {
		return
	}
	if path.Ext(to) != ".md" {
		report("heading can be in it")
		return
	}
	anchors, err := c.anchorsOf(to)
	if err != nil || !slices.Contains(anchors, u.Fragment) {
		report(fmt.Sprintf("such heading, there are %q", anchors))
	}
}

// prose returns a page's lines, those of fenced code and its fences empty.
func (c *linkCheck) prose(name string) ([]string, error) {
	text, err := fs.ReadFile(c.tree, name)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	fence := ""
	for i, line := range lines {
		opens := ""
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			opens = trimmed[:3]
		}
		if opens != "" || fence != "" {
			lines[i] = ""
		}
		switch {
		case fence == "":
			fence = opens
		case opens == fence:
			fence = ""
		}
	}
	return lines, nil
}

// anchorsOf returns the anchors of a page as GitHub makes them: those of its headings,
// the second of a kind with -1, and those that it gives by hand.
func (c *linkCheck) anchorsOf(name string) ([]string, error) {
	if anchors, ok := c.anchors[name]; ok {
		return anchors, nil
	}
	lines, err := c.prose(name)
	if err != nil {
		return nil, err
	}
	var anchors []string
	times := map[string]int{}
	for _, line := range lines {
		if m := heading.FindStringSubmatch(line); m != nil {
			slug := headingAnchor(m[1])
			if n := times[slug]; n > 0 {
				anchors = append(anchors, slug+"-"+strconv.Itoa(n))
			} else {
				anchors = append(anchors, slug)
			}
			times[slug]++
		}
		for _, m := range anchor.FindAllStringSubmatch(line, -1) {
			anchors = append(anchors, m[1])
		}
	}
	c.anchors[name] = anchors
	return anchors, nil
}

// headingAnchor returns GitHub's anchor of a heading: what is seen of it in small
// letters, without punctuation, and a hyphen for each space.
func headingAnchor(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	text = emphasis.ReplaceAllString(text, "$1$2$3")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}
