package draw

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// family is what text looks like where the Go fonts are not installed.
const family = `"Go","Inter","Segoe UI",system-ui,-apple-system,sans-serif`

// SVG writes the scene as one svg element. colour names an ink in the document
// it stands in: Palette.Hex for a file of its own, CSS inside a page.
func (s Scene) SVG(colour func(Ink) string) []byte {
	w := svgWriter{colour: colour}
	fmt.Fprintf(&w.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" font-family='%s'>`,
		num(s.W), num(s.H), num(s.W), num(s.H), family)
	w.b.WriteByte('\n')
	if s.Title != "" {
		fmt.Fprintf(&w.b, "<title>%s</title>\n", html.EscapeString(s.Title))
	}
	if s.Desc != "" {
		fmt.Fprintf(&w.b, "<desc>%s</desc>\n", html.EscapeString(s.Desc))
	}
	for _, it := range s.Items {
		switch it := it.(type) {
		case Rect:
			w.rect(it)
		case Path:
			w.path(it)
		case Dots:
			w.dots(it)
		case Text:
			w.text(it)
		}
	}
	w.b.WriteString("</svg>\n")
	return w.b.Bytes()
}

type svgWriter struct {
	b      bytes.Buffer
	colour func(Ink) string
}

func (w *svgWriter) rect(r Rect) {
	fmt.Fprintf(&w.b, `<rect x="%s" y="%s" width="%s" height="%s"`, num(r.X), num(r.Y), num(r.W), num(r.H))
	if r.R > 0 {
		fmt.Fprintf(&w.b, ` rx="%s"`, num(r.R))
	}
	w.paint(r.Fill, r.Stroke, r.Width, r.Opacity)
	w.b.WriteString("/>\n")
}

func (w *svgWriter) path(p Path) {
	var d strings.Builder
	for _, l := range p.Lines {
		if len(l) == 0 {
			continue
		}
		for i, pt := range l {
			switch i {
			case 0:
				d.WriteByte('M')
			case 1:
				d.WriteByte('L')
			default:
				d.WriteByte(' ')
			}
			d.WriteString(num(pt.X) + " " + num(pt.Y))
		}
		if p.Fill != "" {
			d.WriteByte('Z')
		}
	}
	if d.Len() == 0 {
		return
	}
	fmt.Fprintf(&w.b, `<path d="%s"`, d.String())
	if p.Dash > 0 {
		fmt.Fprintf(&w.b, ` stroke-dasharray="%s"`, num(p.Dash))
	}
	if p.Stroke != "" {
		w.b.WriteString(` stroke-linecap="round" stroke-linejoin="round"`)
	}
	w.paint(p.Fill, p.Stroke, p.Width, p.Opacity)
	w.b.WriteString("/>\n")
}

// dots are strokes of no length with round ends: a fifth of what circles take.
func (w *svgWriter) dots(d Dots) {
	if len(d.At) == 0 {
		return
	}
	w.b.WriteString(`<path d="`)
	for _, p := range d.At {
		w.b.WriteString("M" + num(p.X) + " " + num(p.Y) + "h0")
	}
	w.b.WriteString(`" stroke-linecap="round"`)
	w.paint("", d.Fill, 2*d.R, d.Opacity)
	w.b.WriteString("/>\n")
}

func (w *svgWriter) text(t Text) {
	fmt.Fprintf(&w.b, `<text x="%s" y="%s" font-size="%s"`, num(t.X), num(t.Y), num(t.Size))
	if t.Bold {
		w.b.WriteString(` font-weight="700"`)
	}
	switch t.Anchor {
	case Middle:
		w.b.WriteString(` text-anchor="middle"`)
	case End:
		w.b.WriteString(` text-anchor="end"`)
	}
	fmt.Fprintf(&w.b, " fill=\"%s\">%s</text>\n", w.colour(t.Fill), html.EscapeString(t.S))
}

func (w *svgWriter) paint(fill, stroke Ink, width, opacity float64) {
	if fill == "" {
		w.b.WriteString(` fill="none"`)
	} else {
		fmt.Fprintf(&w.b, ` fill="%s"`, w.colour(fill))
	}
	if stroke != "" {
		fmt.Fprintf(&w.b, ` stroke="%s" stroke-width="%s"`, w.colour(stroke), num(width))
	}
	if opacity > 0 && opacity < 1 {
		fmt.Fprintf(&w.b, ` opacity="%s"`, num(opacity))
	}
}

// num writes a coordinate with at most two decimals.
func num(f float64) string {
	f = math.Round(f*100) / 100
	if f == 0 {
		f = 0 // not −0
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
