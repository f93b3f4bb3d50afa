package content

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// texts are the first bytes of the texts of a message. HTML counts where there is no plain
// text beside it.
type texts struct {
	limit  int
	pieces []textPiece
	plain  int // bytes of pieces
	html   int
	noHTML bool // there is plain text beside what comes
}

type textPiece struct {
	text string
	html bool
}

// The kinds of parts for texts.
const (
	noText = iota
	plainText
	htmlText
)

func textKind(mediaType string) int {
	switch mediaType {
	case "text/plain":
		return plainText
	case "text/html":
		return htmlText
	}
	return noText
}

// add takes the text of a part. ok says that it is of the charset.
func (t *texts) add(r io.Reader, charset string, kind int) (ok bool) {
	used := &t.plain
	if kind == htmlText {
		used = &t.html
	}
	room := t.limit - *used
	if kind == noText || room <= 0 || kind == htmlText && t.noHTML {
		return true
	}
	r, ok = toUTF8(r, charset)
	var text string
	if kind == htmlText {
		text = stripHTML(r, room)
	} else {
		text = readText(r, room)
	}
	if !utf8.ValidString(text) || charset != "" && charset != "utf-8" && strings.ContainsRune(text, utf8.RuneError) {
		ok = false
	}
	if text = cut(strings.ToValidUTF8(text, "\uFFFD"), room); text != "" {
		*used += len(text)
		t.pieces = append(t.pieces, textPiece{text, kind == htmlText})
	}
	return ok
}

// hasPlain reports whether there is plain text among the pieces from the given one on.
func (t *texts) hasPlain(from int) bool {
	return slices.ContainsFunc(t.pieces[from:], func(p textPiece) bool { return !p.html })
}

// choose leaves out the HTML among the pieces from the given one on, which are of one
// multipart/alternative, if there is plain text among them.
func (t *texts) choose(from int) {
	if !t.hasPlain(from) {
		return
	}
	kept := t.pieces[:from]
	for _, p := range t.pieces[from:] {
		if p.html {
			t.html -= len(p.text)
		} else {
			kept = append(kept, p)
		}
	}
	t.pieces = kept
}

func (t *texts) String() string {
	var b strings.Builder
	for _, p := range t.pieces {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.text)
	}
	return cut(b.String(), t.limit)
}

// cut returns at most n bytes of a text, in whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// toUTF8 returns the text of r as UTF-8. Without a charset it is UTF-8 if it begins so, and
// windows-1252 otherwise.
func toUTF8(r io.Reader, charset string) (decoded io.Reader, ok bool) {
	if charset != "" {
		return charsetReader(charset, r)
	}
	b := bufio.NewReader(r)
	begin, err := b.Peek(b.Size())
	if err == nil {
		for n := 1; n < utf8.UTFMax && !utf8.Valid(begin); n++ {
			if begin[len(begin)-1] < utf8.RuneSelf {
				break
			}
			begin = begin[:len(begin)-1] // of a character that is not complete
		}
	}
	if utf8.Valid(begin) {
		return b, true
	}
	decoded, _ = charsetReader("windows-1252", b)
	return decoded, false
}

// readText returns at most most bytes of r, and the ends of lines as \n.
func readText(r io.Reader, most int) string {
	text, _ := io.ReadAll(io.LimitReader(r, int64(most)+utf8.UTFMax))
	s := string(text)
	if len(s) > most {
		s = cut(s, most)
	}
	return strings.ReplaceAll(s, "\r\n", "\n")
}

const (
	// maxHTML bounds the HTML of one part that is looked through for text, in bytes.
	maxHTML = 8 << 20
	// maxHTMLToken bounds a tag with its attributes, a comment and a text. Of what is
	// longer, such as a picture in a tag, the rest is passed over.
	maxHTMLToken = 64 << 10
)

// stripHTML returns at most about most bytes of the text of HTML.
func stripHTML(r io.Reader, most int) string {
	s := stripper{most: most}
	rest := unreader{r: io.LimitReader(r, maxHTML)}
	for {
		z := html.NewTokenizer(&rest)
		z.SetMaxBuf(maxHTMLToken)
		s.strip(z)
		if z.Err() != html.ErrBufferExceeded { //nolint:errorlint // never wrapped
			return s.b.String()
		}
		inTag := len(z.Raw()) > 0
		rest.back = append(bytes.Clone(z.Buffered()), rest.back...)
		switch {
		case s.hidden != "":
			rest.skipTo("</")
			rest.back = append([]byte("</"), rest.back...)
		case s.comment:
			rest.skipTo("-->")
		case inTag:
			rest.skipTo(">")
		}
	}
}

// unreader is a reader to which bytes can be given back.
type unreader struct {
	r    io.Reader
	back []byte
}

// Read implements io.Reader.
func (u *unreader) Read(p []byte) (int, error) {
	if len(u.back) > 0 {
		n := copy(p, u.back)
		u.back = u.back[n:]
		return n, nil
	}
	return u.r.Read(p)
}

// skipTo goes on behind the next end.
func (u *unreader) skipTo(end string) {
	buf := make([]byte, 4<<10)
	for kept := 0; ; {
		n, err := u.Read(buf[kept:])
		b := buf[:kept+n]
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			u.back = append(b[i+len(end):len(b):len(b)], u.back...)
			return
		}
		if err != nil {
			return
		}
		kept = copy(buf, b[max(0, len(b)-len(end)+1):])
	}
}

type stripper struct {
	b       strings.Builder
	most    int
	hidden  string // the element that is left out
	comment bool   // the last token is a comment
	space   byte   // that comes before the next text, or 0
}

// strip takes the text of the tokens of z, up to its end or until there is enough.
func (s *stripper) strip(z *html.Tokenizer) {
	for s.b.Len() < s.most {
		token := z.Next()
		if token == html.ErrorToken {
			return
		}
		s.comment = token == html.CommentToken
		switch token {
		case html.TextToken:
			if s.hidden == "" {
				s.text(z.Text())
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			s.start(string(name))
		case html.EndTagToken:
			name, _ := z.TagName()
			s.end(string(name))
		case html.SelfClosingTagToken:
			name, _ := z.TagName()
			s.apart(string(name))
		}
	}
}

func (s *stripper) start(name string) {
	if s.hidden == "" && (name == "script" || name == "style") {
		s.hidden = name
	}
	s.apart(name)
}

func (s *stripper) end(name string) {
	if name == s.hidden {
		s.hidden = ""
	}
	s.apart(name)
}

// apart sets text apart that an element does.
func (s *stripper) apart(name string) {
	switch name {
	case "br", "p", "div", "tr", "li", "ul", "ol", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "table",
		"blockquote", "pre", "hr", "title", "head", "body", "section", "article", "header", "footer", "center":
		s.space = '\n'
	case "td", "th", "option", "img":
		if s.space == 0 {
			s.space = ' '
		}
	}
}

// text adds text, with one space for white space.
func (s *stripper) text(text []byte) {
	for len(text) > 0 && s.b.Len() < s.most {
		r, n := utf8.DecodeRune(text)
		if r == ' ' || r == '\n' || r == '\r' || r == '\t' || r == '\f' || r == 0xa0 {
			if s.space == 0 {
				s.space = ' '
			}
		} else {
			if s.space != 0 && s.b.Len() > 0 {
				s.b.WriteByte(s.space)
			}
			s.space = 0
			s.b.Write(text[:n])
		}
		text = text[n:]
	}
}
