package draw

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/vector"
)

// PNG rasterises the scene, scale pixels to a unit.
func (s Scene) PNG(p Palette, scale float64) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, s.raster(p, scale))
	return b.Bytes(), err
}

func (s Scene) raster(p Palette, scale float64) *image.RGBA {
	size := image.Rect(0, 0, int(math.Ceil(s.W*scale)), int(math.Ceil(s.H*scale)))
	r := &raster{dst: image.NewRGBA(size), palette: p, scale: scale}
	for _, it := range s.Items {
		switch it := it.(type) {
		case Rect:
			r.rect(it)
		case Path:
			r.path(it)
		case Dots:
			r.dots(it)
		case Text:
			r.text(it)
		}
	}
	return r.dst
}

// raster paints shapes, each as the union of closed contours.
type raster struct {
	dst     *image.RGBA
	palette Palette
	scale   float64
	shape   [][]Point // in pixels, of the shape being built
}

func (r *raster) rect(it Rect) {
	if it.Fill != "" {
		r.contour(roundedBox(it.X, it.Y, it.W, it.H, it.R))
		r.fillAround(r.inside(it), it.Fill, it.Opacity)
	}
	if it.Stroke != "" {
		outline := roundedBox(it.X, it.Y, it.W, it.H, it.R)
		r.stroke(append(outline, outline[0]), it.Width)
		r.fill(it.Stroke, it.Opacity)
	}
}

func (r *raster) path(it Path) {
	if it.Fill != "" {
		for _, l := range it.Lines {
			r.contour(l)
		}
		r.fill(it.Fill, it.Opacity)
	}
	if it.Stroke != "" {
		for _, l := range it.Lines {
			for _, piece := range dashes(l, it.Dash) {
				r.stroke(piece, it.Width)
			}
		}
		r.fill(it.Stroke, it.Opacity)
	}
}

func (r *raster) dots(it Dots) {
	for _, p := range it.At {
		r.contour(circle(p, it.R))
	}
	r.fill(it.Fill, it.Opacity)
}

func (r *raster) text(it Text) {
	f := fontFor(it.Bold)
	x := it.X
	switch it.Anchor {
	case Middle:
		x -= TextWidth(it.S, it.Size, it.Bold) / 2
	case End:
		x -= TextWidth(it.S, it.Size, it.Bold)
	}
	unit := it.Size / f.unitsPerEm
	for _, c := range it.S {
		glyph := f.glyph(c)
		for _, contour := range f.outline(glyph) {
			// As it is: a hole runs the other way round than its letter.
			r.shape = append(r.shape, r.pixels(flatten(contour, x, it.Y, unit)))
		}
		x += float64(f.advance(glyph)) * unit
	}
	r.fill(it.Fill, 1)
}

// contour adds a closed contour, turned so that contours that overlap add up
// and never cancel out.
func (r *raster) contour(points []Point) {
	if area(points) < 0 {
		turned := make([]Point, len(points))
		for i, p := range points {
			turned[len(points)-1-i] = p
		}
		points = turned
	}
	r.shape = append(r.shape, r.pixels(points))
}

// stroke adds a polyline of the given width: a box for each piece and a circle
// for each end and joint.
func (r *raster) stroke(line []Point, width float64) {
	h := width / 2
	for i, b := range line {
		if width*r.scale > 1.5 || len(line) == 1 {
			r.contour(circle(b, h))
		}
		if i == 0 {
			continue
		}
		a := line[i-1]
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		if length == 0 {
			continue
		}
		nx, ny := -(b.Y-a.Y)/length*h, (b.X-a.X)/length*h
		r.contour([]Point{{a.X + nx, a.Y + ny}, {b.X + nx, b.Y + ny}, {b.X - nx, b.Y - ny}, {a.X - nx, a.Y - ny}})
	}
}

func (r *raster) pixels(points []Point) []Point {
	out := make([]Point, len(points))
	for i, p := range points {
		out[i] = Point{p.X * r.scale, p.Y * r.scale}
	}
	return out
}

// inside is the pixels that a rectangle covers whole, less its rounded corners:
// most of it, and much cheaper to paint than what a rasteriser must look at.
func (r *raster) inside(it Rect) image.Rectangle {
	radius := max(it.R, 0)
	return image.Rect(
		int(math.Ceil(it.X*r.scale)), int(math.Ceil((it.Y+radius)*r.scale)),
		int(math.Floor((it.X+it.W)*r.scale)), int(math.Floor((it.Y+it.H-radius)*r.scale)),
	).Intersect(r.dst.Bounds())
}

// fillAround is fill for a shape known to cover all of middle.
func (r *raster) fillAround(middle image.Rectangle, ink Ink, opacity float64) {
	shape := r.shape
	r.shape = nil
	all := boundsOf(shape).Intersect(r.dst.Bounds())
	if middle.Empty() || !middle.In(all) {
		r.fillIn(all, shape, ink, opacity)
		return
	}
	draw.Draw(r.dst, middle, r.colour(ink, opacity), image.Point{}, draw.Over)
	for _, strip := range []image.Rectangle{
		{all.Min, image.Pt(all.Max.X, middle.Min.Y)},                              // above
		{image.Pt(all.Min.X, middle.Max.Y), all.Max},                              // below
		{image.Pt(all.Min.X, middle.Min.Y), image.Pt(middle.Min.X, middle.Max.Y)}, // left
		{image.Pt(middle.Max.X, middle.Min.Y), image.Pt(all.Max.X, middle.Max.Y)}, // right
	} {
		r.fillIn(strip, shape, ink, opacity)
	}
}

// fill paints the shape built so far, and forgets it.
func (r *raster) fill(ink Ink, opacity float64) {
	shape := r.shape
	r.shape = nil
	r.fillIn(boundsOf(shape).Intersect(r.dst.Bounds()), shape, ink, opacity)
}

func (r *raster) colour(ink Ink, opacity float64) image.Image {
	c := r.palette[ink]
	if opacity > 0 && opacity < 1 {
		c.A = uint8(math.Round(float64(c.A) * opacity))
	}
	return image.NewUniform(c)
}

// fillIn paints that part of a shape which lies within bounds.
func (r *raster) fillIn(bounds image.Rectangle, shape [][]Point, ink Ink, opacity float64) {
	if bounds.Empty() || ink == "" {
		return
	}
	v := vector.NewRasterizer(bounds.Dx(), bounds.Dy())
	v.DrawOp = draw.Over
	for _, contour := range shape {
		for i, p := range contour {
			x, y := float32(p.X-float64(bounds.Min.X)), float32(p.Y-float64(bounds.Min.Y))
			if i == 0 {
				v.MoveTo(x, y)
			} else {
				v.LineTo(x, y)
			}
		}
		v.ClosePath()
	}
	v.Draw(r.dst, bounds, r.colour(ink, opacity), image.Point{})
}

func boundsOf(shape [][]Point) image.Rectangle {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	for _, contour := range shape {
		for _, p := range contour {
			low.X, low.Y = min(low.X, p.X), min(low.Y, p.Y)
			high.X, high.Y = max(high.X, p.X), max(high.Y, p.Y)
		}
	}
	if low.X > high.X {
		return image.Rectangle{}
	}
	return image.Rect(int(math.Floor(low.X)), int(math.Floor(low.Y)), int(math.Ceil(high.X))+1, int(math.Ceil(high.Y))+1)
}

// area is twice the signed area of a closed contour.
func area(points []Point) float64 {
	sum := 0.0
	for i, p := range points {
		q := points[(i+1)%len(points)]
		sum += p.X*q.Y - q.X*p.Y
	}
	return sum
}

func circle(c Point, radius float64) []Point {
	n := min(max(8, int(radius*6)), 64)
	out := make([]Point, n)
	for i := range out {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		out[i] = Point{c.X + radius*cos, c.Y + radius*sin}
	}
	return out
}

func roundedBox(x, y, w, h, radius float64) []Point {
	radius = min(radius, w/2, h/2)
	if radius <= 0 {
		return Box(x, y, w, h)
	}
	var out []Point
	corner := func(cx, cy, from float64) {
		const pieces = 8
		for i := range pieces + 1 {
			sin, cos := math.Sincos(from + math.Pi/2*float64(i)/pieces)
			out = append(out, Point{cx + radius*cos, cy + radius*sin})
		}
	}
	corner(x+w-radius, y+radius, -math.Pi/2)
	corner(x+w-radius, y+h-radius, 0)
	corner(x+radius, y+h-radius, math.Pi/2)
	corner(x+radius, y+radius, math.Pi)
	return out
}

// dashes cuts a polyline into pieces of the given length with gaps as long.
func dashes(line []Point, length float64) [][]Point {
	if length <= 0 || len(line) < 2 {
		return [][]Point{line}
	}
	var out [][]Point
	current, left, drawing := []Point{line[0]}, length, true
	for i := 1; i < len(line); i++ {
		a, b := line[i-1], line[i]
		for {
			d := math.Hypot(b.X-a.X, b.Y-a.Y)
			if d <= left {
				left -= d
				current = append(current, b)
				break
			}
			a = Point{a.X + (b.X-a.X)*left/d, a.Y + (b.Y-a.Y)*left/d}
			if drawing {
				out = append(out, append(current, a))
			}
			current, left, drawing = []Point{a}, length, !drawing
		}
	}
	if drawing && len(current) > 1 {
		out = append(out, current)
	}
	return out
}

// flatten turns a glyph's contour into a polyline at x, y (its origin on the
// baseline), unit being one font unit. Between two points off the curve lies
// one on it, half way (TrueType's rule).
func flatten(contour []curvePoint, x, y, unit float64) []Point {
	at := func(p curvePoint) Point { return Point{x + p.x*unit, y - p.y*unit} }
	between := func(a, b curvePoint) curvePoint { return curvePoint{(a.x + b.x) / 2, (a.y + b.y) / 2, true} }
	n := len(contour)
	if n == 0 {
		return nil
	}
	start := contour[0]
	rest := contour[1:]
	if !start.on {
		if last := contour[n-1]; last.on {
			start, rest = last, contour[:n-1]
		} else {
			start, rest = between(start, last), contour
		}
	}
	out := []Point{at(start)}
	var pull *curvePoint
	to := func(p curvePoint) {
		if pull == nil {
			out = append(out, at(p))
			return
		}
		out = append(out, Curve(out[len(out)-1], at(*pull), at(p), 6)[1:]...)
		pull = nil
	}
	for _, p := range rest {
		if p.on {
			to(p)
			continue
		}
		if pull != nil {
			to(between(*pull, p))
		}
		pull = new(p)
	}
	to(start)
	return out
}
