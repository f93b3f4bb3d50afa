// Package plot draws curves over a common time as SVG and as PNG.
package plot

import (
	"fmt"
	"math"
)

// Figure is panels above each other that share the horizontal axis.
type Figure struct {
	Title  string
	Across string // the horizontal axis, with its unit
	Width  float64
	Panels []Panel
	Spans  []Span
}

// Panel is one system of coordinates. Its vertical axis begins at 0.
type Panel struct {
	Title  string // with the unit
	Height float64
	Curves []Curve
	Levels []Level
}

// Curve is a line through points.
type Curve struct {
	Name   string // "" for one that the panel's title names
	Color  Color
	Points []Point
}

// Level is a horizontal line with a name.
type Level struct {
	Name string
	At   float64
}

// Span is a stretch of the horizontal axis with a name.
type Span struct {
	Name     string
	From, To float64
}

// Point is a place in a panel's coordinates, or on the canvas: y grows down there.
type Point struct{ X, Y float64 }

// Color has 8 bits each.
type Color struct{ R, G, B uint8 }

// Colors that people with any colour vision tell apart (Okabe and Ito).
var (
	Black      = Color{0x22, 0x22, 0x22}
	Gray       = Color{0x88, 0x88, 0x88}
	Light      = Color{0xdd, 0xdd, 0xdd}
	Shade      = Color{0xf4, 0xf1, 0xe8}
	White      = Color{0xff, 0xff, 0xff}
	Blue       = Color{0x00, 0x72, 0xb2}
	Green      = Color{0x00, 0x9e, 0x73}
	Vermillion = Color{0xd5, 0x5e, 0x00}
	Purple     = Color{0xcc, 0x79, 0xa7}
)

// canvas takes what is drawn. Lengths are in pixels.
type canvas interface {
	area(at, size Point, fill Color)
	line(points []Point, width float64, stroke Color)
	text(at Point, s string, anchor anchor, ink Color)
}

// anchor is the part of a text that stands at its place.
type anchor uint8

const (
	start anchor = iota
	middle
	end
)

// Margins and letters.
const (
	left, right, top, bottom = 64.0, 150.0, 34.0, 42.0
	gap                      = 34.0 // above each panel, for its title
	letter                   = 12.0 // height of the text
)

func (f *Figure) size() Point {
	height := top + bottom
	for _, p := range f.Panels {
		height += gap + p.Height
	}
	return Point{f.Width, height}
}

// extent is the largest X of all curves.
func (f *Figure) extent() (most float64) {
	for _, p := range f.Panels {
		for _, c := range p.Curves {
			for _, at := range c.Points {
				most = max(most, at.X)
			}
		}
	}
	return max(most, 1)
}

func (f *Figure) draw(c canvas) {
	size := f.size()
	c.area(Point{}, size, White)
	c.text(Point{left, top - letter}, f.Title, start, Black)
	x := scale{to: f.extent(), begin: left, end: f.Width - right}
	y := top
	for i := range f.Panels {
		y += gap
		f.panel(c, &f.Panels[i], frame{x: x, y: scale{to: f.Panels[i].extent(), begin: y + f.Panels[i].Height, end: y}, last: i == len(f.Panels)-1})
		y += f.Panels[i].Height
	}
	c.text(Point{(x.begin + x.end) / 2, y + bottom - letter/2}, f.Across, middle, Black)
}

// frame is a panel's place on the canvas.
type frame struct {
	x, y scale
	last bool
}

func (f frame) at(p Point) Point { return Point{f.x.at(p.X), f.y.at(p.Y)} }

func (f *Figure) panel(c canvas, p *Panel, on frame) {
	for i, s := range f.Spans {
		from, to := on.x.at(s.From), on.x.at(min(s.To, on.x.to))
		if i%2 == 1 {
			c.area(Point{from, on.y.end}, Point{to - from, on.y.begin - on.y.end}, Shade)
		}
		if p == &f.Panels[0] {
			c.text(Point{(from + to) / 2, on.y.end - 12 - letter}, s.Name, middle, Gray)
		}
	}
	for _, tick := range on.y.ticks(4) {
		c.line([]Point{on.at(Point{0, tick}), on.at(Point{on.x.to, tick})}, 1, Light)
		c.text(Point{on.x.begin - 6, on.y.at(tick) + letter/3}, number(tick), end, Gray)
	}
	for _, tick := range on.x.ticks(10) {
		foot := on.at(Point{tick, 0})
		c.line([]Point{foot, {foot.X, foot.Y + 4}}, 1, Gray)
		if on.last {
			c.text(Point{foot.X, foot.Y + 4 + letter}, number(tick), middle, Gray)
		}
	}
	c.line([]Point{{on.x.begin, on.y.begin}, {on.x.end, on.y.begin}}, 1, Gray)
	c.text(Point{on.x.begin, on.y.end - 8}, p.Title, start, Black)
	for _, l := range p.Levels {
		c.line([]Point{on.at(Point{0, l.At}), on.at(Point{on.x.to, l.At})}, 1, Gray)
		c.text(Point{on.x.end + 8, on.y.at(l.At) + letter/3}, l.Name, start, Gray)
	}
	for i, curve := range p.Curves {
		points := make([]Point, len(curve.Points))
		for j, at := range curve.Points {
			points[j] = on.at(at)
		}
		c.line(points, 1.8, curve.Color)
		if curve.Name == "" {
			continue
		}
		key := on.y.end + float64(i)*(letter+4) + letter
		c.line([]Point{{on.x.end + 8, key - letter/3}, {on.x.end + 26, key - letter/3}}, 2.5, curve.Color)
		c.text(Point{on.x.end + 32, key}, curve.Name, start, Black)
	}
}

func (p *Panel) extent() (most float64) {
	for _, c := range p.Curves {
		for _, at := range c.Points {
			most = max(most, at.Y)
		}
	}
	for _, l := range p.Levels {
		most = max(most, l.At)
	}
	return max(most*1.05, 1)
}

// scale maps 0…to onto the canvas.
type scale struct{ to, begin, end float64 }

func (s scale) at(v float64) float64 { return s.begin + (s.end-s.begin)*v/s.to }

// ticks are round values, about so many.
func (s scale) ticks(about float64) (all []float64) {
	step := math.Pow(10, math.Floor(math.Log10(s.to/about)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if s.to/(step*factor) <= about {
			step *= factor
			break
		}
	}
	for n := 0.0; n*step <= s.to*1.0001; n++ {
		all = append(all, n*step)
	}
	return all
}

func number(v float64) string { return fmt.Sprintf("%.4g", v) }
