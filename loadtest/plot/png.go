package plot

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// density is the number of dots of a PNG for one pixel of the figure.
const density = 2

// WritePNG draws a figure as PNG.
func WritePNG(out io.Writer, f *Figure) error {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return err
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: letter * density, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return err
	}
	defer face.Close()
	size := f.size()
	r := &raster{face: face, dots: image.NewRGBA(image.Rect(0, 0, int(size.X*density), int(size.Y*density)))}
	f.draw(r)
	return png.Encode(out, r.dots)
}

type raster struct {
	face font.Face
	dots *image.RGBA
}

func (c Color) ink() image.Image { return image.NewUniform(color.RGBA{c.R, c.G, c.B, 0xff}) }

func (r *raster) area(at, size Point, fill Color) {
	box := image.Rect(int(at.X*density), int(at.Y*density), int((at.X+size.X)*density), int((at.Y+size.Y)*density))
	draw.Draw(r.dots, box, fill.ink(), image.Point{}, draw.Src)
}

// line fills each stretch as a rectangle and each corner as a square, so that
// there are no gaps.
func (r *raster) line(points []Point, width float64, stroke Color) {
	bounds := r.dots.Bounds()
	v := vector.NewRasterizer(bounds.Dx(), bounds.Dy())
	half := width / 2
	quad := func(a, b, c, d Point) {
		v.MoveTo(float32(a.X*density), float32(a.Y*density))
		for _, p := range []Point{b, c, d} {
			v.LineTo(float32(p.X*density), float32(p.Y*density))
		}
		v.ClosePath()
	}
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		long := math.Hypot(b.X-a.X, b.Y-a.Y)
		if long == 0 {
			continue
		}
		// Along and across the stretch; all quads turn the same way, so that what
		// they share is filled once.
		u := Point{(b.X - a.X) / long * half, (b.Y - a.Y) / long * half}
		if i < len(points)-1 {
			b.X, b.Y = b.X+u.X/2, b.Y+u.Y/2
		}
		quad(Point{a.X - u.Y, a.Y + u.X}, Point{b.X - u.Y, b.Y + u.X}, Point{b.X + u.Y, b.Y - u.X}, Point{a.X + u.Y, a.Y - u.X})
	}
	v.Draw(r.dots, bounds, stroke.ink(), image.Point{})
}

func (r *raster) text(at Point, text string, a anchor, ink Color) {
	d := font.Drawer{Dst: r.dots, Src: ink.ink(), Face: r.face}
	x := fixed.I(int(at.X * density))
	switch a {
	case middle:
		x -= d.MeasureString(text) / 2
	case end:
		x -= d.MeasureString(text)
	}
	d.Dot = fixed.Point26_6{X: x, Y: fixed.I(int(at.Y * density))}
	d.DrawString(text)
}
