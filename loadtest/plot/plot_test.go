package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"
)

func figure() *Figure {
	return &Figure{
		Title: "a < b", Across: "seconds", Width: 500,
		Spans: []Span{{"first", 0, 5}, {"second", 5, 10}},
		Panels: []Panel{
			{Title: "upper", Height: 100, Curves: []Curve{{"rising", Blue, []Point{{0, 0}, {10, 50}}}}},
			{Title: "lower", Height: 60, Curves: []Curve{{"flat", Vermillion, []Point{{0, 1}, {10, 1}}}}, Levels: []Level{{"high", 2}}},
		},
	}
}

func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSVG(&b, figure()); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"<title>a &lt; b</title>", ">second</text>", ">high</text>", ">flat</text>", Blue.String()} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %s", part)
		}
	}
	decoder := xml.NewDecoder(&b)
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPNG looks for both curves where they must be.
func TestPNG(t *testing.T) {
	var b bytes.Buffer
	f := figure()
	if err := WritePNG(&b, f); err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	size := f.size()
	if got := drawn.Bounds().Size(); got.X != int(size.X*density) || got.Y != int(size.Y*density) {
		t.Errorf("%v, want %v twice", got, size)
	}
	// The flat curve, at 1 of 2.1, in the middle.
	x, y := (left+500-right)/2, top+gap+100+gap+60-60/2.1
	r, g, blue, _ := drawn.At(int(x*density), int(y*density)).RGBA()
	if got := (Color{uint8(r >> 8), uint8(g >> 8), uint8(blue >> 8)}); got != Vermillion {
		t.Errorf("%v at the middle of the flat curve, want %v", got, Vermillion)
	}
}

func TestTicks(t *testing.T) {
	for to, want := range map[float64][]float64{1: {0, 0.5, 1}, 40: {0, 10, 20, 30, 40}, 37: {0, 10, 20, 30}, 300: {0, 100, 200, 300}} {
		if got := (scale{to: to}).ticks(4); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", to, got, want)
		}
	}
}
