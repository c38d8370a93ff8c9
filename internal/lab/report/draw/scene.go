// Package draw is pictures made of a few shapes, written as SVG or rasterised
// to PNG from the same description, so that both always show the same thing.
//
// It knows shapes, text and colours by role; what a picture means is its
// caller's. There is no animation, no gradient, no network and no clock.
package draw

// Scene is a picture W by H units large, painted in the order of Items.
// One unit is one CSS pixel; PNG multiplies by its scale.
type Scene struct {
	W, H  float64
	Title string // what the picture is called, for readers who cannot see it
	Desc  string // what it shows
	Items []Item
}

// Item is one of Rect, Path, Dots, Text.
type Item interface{ item() }

// Ink is a colour by its role; a Palette says what it looks like.
type Ink string

// The roles. No ink ("") paints nothing.
const (
	Paper  Ink = "paper"  // behind everything
	Card   Ink = "card"   // a panel on the paper
	Edge   Ink = "edge"   // borders of panels
	Grid   Ink = "grid"   // lines that help the eye
	Body   Ink = "body"   // text
	Muted  Ink = "muted"  // text that explains
	Before Ink = "before" // the direct tunnel
	After  Ink = "after"  // the accelerated tunnel
	Loss   Ink = "loss"   // lost packets, and what is bad
	Gain   Ink = "gain"   // what got better
	Mark   Ink = "mark"   // events
	OnFill Ink = "onfill" // text on a filled shape
)

// Point is a place; y grows downwards.
type Point struct{ X, Y float64 }

// Rect is a rectangle, with corners of radius R, filled, stroked, or both.
type Rect struct {
	X, Y, W, H, R float64
	Fill, Stroke  Ink
	Width         float64 // of the stroke
	Opacity       float64 // of fill and stroke; 0 means 1
}

// Path is any number of polylines. With Fill they are closed and filled; with
// Stroke they are drawn, with round ends and joints.
type Path struct {
	Lines        [][]Point
	Fill, Stroke Ink
	Width        float64
	Dash         float64 // length of dashes and of the gaps between; 0: none
	Opacity      float64 // 0 means 1
}

// Dots is many circles of one size.
type Dots struct {
	At      []Point
	R       float64
	Fill    Ink
	Opacity float64 // 0 means 1
}

// Anchor says which part of a text stands at its X.
type Anchor int

const (
	Start Anchor = iota
	Middle
	End
)

// Text is one line of text; Y is its baseline.
type Text struct {
	X, Y   float64
	S      string
	Size   float64
	Bold   bool
	Fill   Ink
	Anchor Anchor
}

func (Rect) item() {}
func (Path) item() {}
func (Dots) item() {}
func (Text) item() {}

// Add appends items.
func (s *Scene) Add(items ...Item) { s.Items = append(s.Items, items...) }

// Place appends all of another scene's items, its origin moved to x, y.
func (s *Scene) Place(other Scene, x, y float64) {
	for _, it := range other.Items {
		s.Items = append(s.Items, moved(it, x, y))
	}
}

func moved(it Item, dx, dy float64) Item {
	shift := func(points []Point) []Point {
		out := make([]Point, len(points))
		for i, p := range points {
			out[i] = Point{p.X + dx, p.Y + dy}
		}
		return out
	}
	switch it := it.(type) {
	case Rect:
		it.X += dx
		it.Y += dy
		return it
	case Path:
		lines := make([][]Point, len(it.Lines))
		for i, l := range it.Lines {
			lines[i] = shift(l)
		}
		it.Lines = lines
		return it
	case Dots:
		it.At = shift(it.At)
		return it
	case Text:
		it.X += dx
		it.Y += dy
		return it
	}
	return it
}

// Line is a straight stroke.
func Line(x1, y1, x2, y2 float64, ink Ink, width float64) Path {
	return Path{Lines: [][]Point{{{x1, y1}, {x2, y2}}}, Stroke: ink, Width: width}
}

// Box is the outline of a rectangle as a polyline, for a Path of many.
func Box(x, y, w, h float64) []Point {
	return []Point{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}
}

// Curve is a quadratic Bézier curve from a to c, pulled towards b, as a
// polyline of n pieces.
func Curve(a, b, c Point, n int) []Point {
	out := make([]Point, n+1)
	for i := range out {
		t := float64(i) / float64(n)
		u := 1 - t
		out[i] = Point{
			u*u*a.X + 2*u*t*b.X + t*t*c.X,
			u*u*a.Y + 2*u*t*b.Y + t*t*c.Y,
		}
	}
	return out
}
