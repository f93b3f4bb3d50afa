package console

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/index"
	"sluice/internal/testkit"
)

var shots = flag.String("console.shots", "", "a folder that gets screenshots of the pages")

// TestBrowser uses the pages as people do: with one browser, because it starts slowly.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	s := gallery()
	attacks(s)
	server := httptest.NewServer(Handler(s.options()))
	defer server.Close()
	b := startBrowser(t)
	p := &pagesInBrowser{browser: b, url: server.URL, store: s}
	for _, use := range []struct {
		name string
		test func(*testing.T)
	}{
		{"search", p.search}, {"keyboard", p.keyboard}, {"comfort", p.comfort}, {"without script", p.withoutScript}, {"download", p.download}, {"attacks", p.attacks},
		{"layout", p.layout}, {"the check bites", p.checkBites},
	} {
		t.Run(use.name, func(t *testing.T) {
			b.t = t
			use.test(t)
		})
	}
	b.t = t
	if *shots != "" {
		p.shoot(t, gallery())
	}
}

type pagesInBrowser struct {
	*browser
	url   string
	store *fakeStore
}

// path returns the address of the n-th message.
func (p *pagesInBrowser) path(n int) string { return "/messages/" + p.store.messages[n].ID.String() }

// clean wants that the page had nothing to complain about.
func (p *pagesInBrowser) clean(t *testing.T) {
	t.Helper()
	for _, what := range p.said() {
		t.Error(what)
	}
}

// search types into the form and opens what is found.
func (p *pagesInBrowser) search(t *testing.T) {
	p.view(1280, 800, "light")
	p.open(p.url + "/")
	p.eval(`document.querySelector("[name=subject]").focus()`)
	p.call("Input.insertText", map[string]any{"text": "pump Offer"}, nil)
	p.loaded("what is found", func() { p.key("Enter") })
	if got := p.eval(`location.search + " " + document.querySelectorAll(".list tbody tr").length`); got != "?subject=pump+Offer 2" {
		t.Errorf("%s", got)
	}
	p.loaded("the message", func() { p.eval(`document.querySelector(".list tbody tr .to").click()`) })
	if got := p.eval(`document.querySelector("h1").textContent + "|" + document.title`); got != "Offer for the pump station, second revision|Offer for the pump station, second revision · Sluice" {
		t.Errorf("%s", got)
	}
	if got := p.eval(`document.querySelector("pre.text").textContent`); !strings.Contains(got, "delivery takes nine weeks") {
		t.Errorf("%s", got)
	}
	p.loaded("the search for a verdict", func() { p.eval(`document.querySelector("a.badge.pass[href*=dmarc]").click()`) })
	if got := p.eval(`document.querySelector("[name=verdict]").value + document.querySelector(".extra").open`); got != "dmarc=passtrue" {
		t.Errorf("%s", got)
	}
	p.clean(t)
}

// keyboard goes through the list by keys.
func (p *pagesInBrowser) keyboard(t *testing.T) {
	const at = `Array.from(document.querySelectorAll(".list .subject")).indexOf(document.activeElement)`
	p.open(p.url + "/?from=example.com")
	for _, press := range []struct{ key, at string }{{"j", "0"}, {"j", "1"}, {"j", "2"}, {"k", "1"}, {"k", "0"}, {"k", "0"}, {"j", "1"}} {
		if p.key(press.key); p.eval(at) != press.at {
			t.Fatalf("%s: at %s, want %s", press.key, p.eval(at), press.at)
		}
	}
	if got := p.eval(`getComputedStyle(document.activeElement).outlineStyle`); got != "solid" {
		t.Errorf("focus is not to be seen: %s", got)
	}
	p.key("/")
	if got := p.eval(`document.activeElement.name + document.activeElement.value`); got != "fromexample.com" {
		t.Errorf("/ went to %s", got)
	}
	p.key("j")
	if got := p.eval(`document.activeElement.value`); got != "j" {
		t.Errorf("a field has %q", got)
	}
	p.key("Escape")
	p.key("j")
	p.key("j")
	want := p.eval(`document.activeElement.pathname`)
	p.loaded("the message", func() { p.key("Enter") })
	if got := p.eval(`location.pathname`); got != want || !strings.HasPrefix(got, "/messages/") {
		t.Errorf("%s, want %s", got, want)
	}
	p.key("Tab")
	if got := p.eval(`document.activeElement.className + getComputedStyle(document.activeElement).top`); got != "skip8px" {
		t.Errorf("the first Tab goes to %s", got)
	}
	p.clean(t)
}

// comfort shows local times and copies an id.
func (p *pagesInBrowser) comfort(t *testing.T) {
	p.call("Emulation.setTimezoneOverride", map[string]any{"timezoneId": "Asia/Tokyo"}, nil)
	m := p.store.messages[slices.IndexFunc(p.store.messages, func(m *index.Message) bool { return len(m.Parts) == 4 })]
	p.open(p.url + "/messages/" + m.ID.String())
	const when = `document.querySelector(".when").textContent`
	for _, want := range []string{"2026-11-28 18:22:47 local", "2026-11-28 09:22:47 UTC"} {
		p.eval(`document.getElementById("clock").click()`)
		if got := p.eval(when); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	p.eval(`document.querySelector("[data-copy]").click()`)
	testkit.Eventually(t, "that the id is copied, or marked where that is not allowed", func() bool {
		said := p.eval(`document.querySelector("[data-copy]").textContent`)
		return said == "Copied" || said == "Marked" && p.eval(`String(getSelection())`) == m.ID.String()
	})
	p.clean(t)
}

// withoutScript searches and opens by form and links alone.
func (p *pagesInBrowser) withoutScript(t *testing.T) {
	p.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	defer p.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	p.open(p.url + "/")
	p.eval(`document.querySelector("[name=subject]").focus()`)
	p.call("Input.insertText", map[string]any{"text": "revision"}, nil)
	p.loaded("what is found", func() { p.key("Enter") })
	p.loaded("the message", func() { p.eval(`document.querySelector(".list .subject").click()`) })
	if got := p.eval(`document.querySelector("h1").textContent + document.getElementById("clock").hidden`); got != "Offer for the pump station, second revisiontrue" {
		t.Error(got)
	}
	p.clean(t)
}

// download saves a mail and a part.
func (p *pagesInBrowser) download(t *testing.T) {
	m := p.store.messages[slices.IndexFunc(p.store.messages, func(m *index.Message) bool { return len(m.Parts) == 4 })]
	p.open(p.url + "/messages/" + m.ID.String())
	p.eval(`document.querySelector(".actions a").click()`)
	if got := p.downloaded(m.ID.String() + ".eml"); got != p.store.bodies[m.Blob.Key] {
		t.Errorf("%q", got)
	}
	p.eval(`document.querySelector(".do a[href$='/parts/2']").click()`)
	if got := p.downloaded("Angebot Pumpwerk Rev. 2.pdf"); got != pdf {
		t.Errorf("%q", got)
	}
	p.clean(t)
}

// attacks opens pages of hostile mail: nothing may run, load, or leave the page.
func (p *pagesInBrowser) attacks(t *testing.T) {
	const state = `String(document.title === "PWNED" || !!window.pwned) + document.cookie + location.protocol + document.querySelectorAll("main :is(script, img, iframe, object, style, base, template, math, [style], [onerror], [onload], [onfocus], [ontoggle], [onmouseover], [onclick])").length`
	const clean = "falsehttp:0"
	var of []string
	for texts := range slices.Chunk(corpus, attacksOfOne) {
		of = append(of, strings.Join(texts, " "))
	}
	for n, text := range of {
		p.open(p.url + p.path(len(of)-1-n))
		if got := p.eval(state); got != clean {
			t.Errorf("%q: %s", text, got)
		}
		if got, want := p.eval(`document.querySelector("h1").textContent`), visible(strings.ReplaceAll(text, "\x00", "\uFFFD")); got != want {
			t.Errorf("the subject %q is %q", want, got)
		}
		if got, want := p.eval(`document.querySelector("pre.text").textContent`), strings.TrimSpace(visibleLines(text)); !strings.Contains(got, want) {
			t.Errorf("the text %q is %q", want, got)
		}
	}
	p.open(p.url + "/?from=" + url.QueryEscape(corpus[2]))
	if got := p.eval(state); got != clean {
		t.Errorf("the form: %s", got)
	}
	p.open(p.url + "/?to=victim%40example.net")
	if got := p.eval(state + ` + " " + document.querySelectorAll(".list tbody tr").length`); got != fmt.Sprintf("%s %d", clean, len(corpus)) {
		t.Errorf("the list: %s", got)
	}
	p.clean(t)
}

// checkBites wants that what attacks looks for is seen when it happens: a script that
// would run is refused by the policy, and the page says so.
func (p *pagesInBrowser) checkBites(t *testing.T) {
	p.open(p.url + "/")
	p.eval(`document.querySelector("main").insertAdjacentHTML("beforeend", "<img src=x: onerror='window.pwned=1'>")`)
	p.eval(`document.querySelector("main").insertAdjacentHTML("beforeend", "<p style='color:red' id=styled>")`)
	testkit.Eventually(t, "a violation of the policy", func() bool {
		return strings.Contains(strings.Join(append(p.said(), ""), "\n"), "Content Security Policy")
	})
	if got := p.eval(`String(window.pwned) + getComputedStyle(document.getElementById("styled")).color`); strings.Contains(got, "1") && strings.Contains(got, "255, 0, 0") {
		t.Errorf("the policy lets it through: %s", got)
	}
}

// layout looks at every page on a phone and a desk, light and dark: nothing is wider than
// the page, and every text has the contrast of WCAG 2.2 AA (1.4.3).
func (p *pagesInBrowser) layout(t *testing.T) {
	first := slices.IndexFunc(p.store.messages, func(m *index.Message) bool { return len(m.Parts) == 4 })
	for _, path := range []string{"/?limit=100", p.path(0), p.path(first), p.path(first + 3), "/?subject=nothing&since=7d", "/?since=x", "/x"} {
		p.open(p.url + path)
		p.eval(`document.querySelectorAll("details").forEach((d) => { d.open = true })`)
		for _, size := range []struct{ width, height int }{{360, 740}, {800, 600}, {1280, 800}} {
			p.view(size.width, size.height, "light")
			if got := p.eval(fmt.Sprintf(wide, size.width)); got != "" {
				t.Errorf("%s scrolls sideways on %d: %s", path, size.width, got)
			}
		}
		for _, scheme := range []string{"light", "dark"} {
			p.view(1280, 800, scheme)
			if got := p.eval(contrast); got != "" {
				t.Errorf("%s, %s: %s", path, scheme, got)
			}
		}
	}
	p.said() // a page that is not found says so in the console
}

// wide returns what stands out of a page of a width, if it scrolls sideways.
const wide = `((width) => document.documentElement.scrollWidth <= width ? "" : document.documentElement.scrollWidth + " " +
  Array.from(document.querySelectorAll("body *")).filter((e) => e.getBoundingClientRect().right > width).map((e) => e.tagName + "." + e.className).slice(0, 9).join())(%d)`

// contrast returns the texts whose contrast to what is behind them is too low.
const contrast = `(() => {
  const parse = (s) => { const n = s.match(/[\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n.length > 3 ? n[3] : 1 }; };
  const lum = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const over = (c, under) => c.rgb.map((v, i) => v * c.a + under[i] * (1 - c.a));
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
  const bad = [];
  const look = (e, style, text) => {
    const paper = behind(e), ink = parse(style.color);
    ink.a *= Number(style.opacity);
    const [a, b] = [lum(over(ink, paper)), lum(paper)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(text.slice(0, 30) + " " + ratio.toFixed(2));
  };
  for (const e of document.querySelectorAll("body *")) {
    if (Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length) look(e, getComputedStyle(e), e.textContent.trim());
    if (e.placeholder) look(e, getComputedStyle(e, "::placeholder"), e.placeholder);
  }
  return bad.slice(0, 8).join("; ");
})()`

// shoot writes screenshots of all pages.
func (p *pagesInBrowser) shoot(t *testing.T, s *fakeStore) {
	server := httptest.NewServer(Handler(s.options()))
	defer server.Close()
	p.call("Emulation.setScrollbarsHidden", map[string]any{"hidden": true}, nil)
	for _, width := range []int{1280, 360} {
		for _, scheme := range []string{"light", "dark"} {
			for name, path := range map[string]string{
				"list": "/", "more": "/?limit=3&verdict=dmarc%3Dfail&from=x", "message": "/messages/" + s.messages[0].ID.String(),
				"many": "/messages/" + s.messages[3].ID.String(), "nothing": "/?subject=nothing", "bad": "/?since=yesterday", "gone": "/messages/x",
			} {
				p.view(width, map[int]int{1280: 800, 360: 740}[width], scheme)
				p.open(server.URL + path)
				for suffix, whole := range map[string]bool{"": false, "-whole": true} {
					file := filepath.Join(*shots, fmt.Sprintf("%s-%d-%s%s.png", name, width, scheme, suffix))
					if err := os.WriteFile(file, p.screenshot(whole), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
