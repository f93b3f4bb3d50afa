package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
)

// WriteSVG draws a figure as SVG 1.1, with texts as texts.
func WriteSVG(out io.Writer, f *Figure) error {
	var s svg
	size := f.size()
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="sans-serif" font-size="%.0f">`+"\n",
		size.X, size.Y, size.X, size.Y, letter)
	fmt.Fprintf(&s, "<title>%s</title>\n", escape(f.Title))
	f.draw(&s)
	s.WriteString("</svg>\n")
	_, err := out.Write(s.Bytes())
	return err
}

type svg struct{ bytes.Buffer }

func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

func (s *svg) area(at, size Point, fill Color) {
	fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", at.X, at.Y, size.X, size.Y, fill)
}

func (s *svg) line(points []Point, width float64, stroke Color) {
	fmt.Fprintf(s, `<polyline fill="none" stroke="%s" stroke-width="%.1f" stroke-linejoin="round" points="`, stroke, width)
	for i, p := range points {
		if i > 0 {
			s.WriteByte(' ')
		}
		fmt.Fprintf(s, "%.1f,%.1f", p.X, p.Y)
	}
	s.WriteString("\"/>\n")
}

func (s *svg) text(at Point, text string, a anchor, ink Color) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n",
		at.X, at.Y, [...]string{start: "start", middle: "middle", end: "end"}[a], ink, escape(text))
}
