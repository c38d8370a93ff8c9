package draw

import (
	"bytes"
	"image/png"
	"math"
	"testing"
)

// Every character the report writes by itself has a glyph of its own, and an
// outline where it should.
func TestFontsHaveWhatTheReportWrites(t *testing.T) {
	const written = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:;%/()+-_–—−·×→←…≤≥µÄÖÜäöüéñ"
	for _, isBold := range []bool{false, true} {
		f := fontFor(isBold)
		for _, r := range written {
			g := f.glyph(r)
			if g == 0 {
				t.Errorf("bold %v: no glyph for %q", isBold, r)
			}
			if r != ' ' && len(f.outline(g)) == 0 {
				t.Errorf("bold %v: no outline for %q", isBold, r)
			}
			if f.advance(g) <= 0 {
				t.Errorf("bold %v: %q has no width", isBold, r)
			}
		}
		for g := range len(f.loca) - 1 {
			f.outline(g) // must not run past a table's end
		}
	}
}

func TestTextWidth(t *testing.T) {
	one, two := TextWidth("A", 10, false), TextWidth("AA", 20, false)
	if math.Abs(two-4*one) > 1e-9 || one <= 0 {
		t.Errorf("A is %v wide at 10, AA %v at 20", one, two)
	}
	if TextWidth("\u202f", 10, false) != TextWidth(" ", 10, false) {
		t.Error("a narrow space is not drawn as a space")
	}
	if TextWidth("日", 10, false) <= 0 {
		t.Error("a character the font lacks takes no room")
	}
}

// at returns the colour of one pixel of a scene drawn at scale 1.
func at(t *testing.T, s Scene, x, y int) (r, g, b uint8) {
	t.Helper()
	raw, err := s.PNG(Light, 1)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r32, g32, b32, _ := img.At(x, y).RGBA()
	return uint8(r32 >> 8), uint8(g32 >> 8), uint8(b32 >> 8)
}

func isInk(t *testing.T, s Scene, x, y int, ink Ink) {
	t.Helper()
	c := Light[ink]
	if r, g, b := at(t, s, x, y); r != c.R || g != c.G || b != c.B {
		t.Errorf("at %d, %d: #%02x%02x%02x, want %s", x, y, r, g, b, Light.Hex(ink))
	}
}

func TestShapesCoverWhatTheyShould(t *testing.T) {
	paper := Rect{W: 40, H: 40, Fill: Card}
	scene := func(items ...Item) Scene { return Scene{W: 40, H: 40, Items: append([]Item{paper}, items...)} }
	t.Run("a box is filled and its outside is not", func(t *testing.T) {
		s := scene(Rect{X: 10, Y: 10, W: 20, H: 20, Fill: Loss})
		isInk(t, s, 20, 20, Loss)
		isInk(t, s, 5, 20, Card)
	})
	t.Run("a rounded corner is not filled", func(t *testing.T) {
		s := scene(Rect{X: 10, Y: 10, W: 20, H: 20, R: 10, Fill: Loss})
		isInk(t, s, 20, 20, Loss)
		isInk(t, s, 10, 10, Card)
	})
	t.Run("boxes that overlap do not cancel out, whichever way they turn", func(t *testing.T) {
		turned := Box(15, 15, 20, 20)
		turned[1], turned[3] = turned[3], turned[1]
		s := scene(Path{Lines: [][]Point{Box(5, 5, 20, 20), turned}, Fill: Loss})
		isInk(t, s, 20, 20, Loss)
	})
	t.Run("a line is as wide as it says", func(t *testing.T) {
		s := scene(Line(0, 20, 40, 20, Loss, 6))
		isInk(t, s, 20, 18, Loss)
		isInk(t, s, 20, 14, Card)
	})
	t.Run("a dashed line has gaps", func(t *testing.T) {
		s := scene(Path{Lines: [][]Point{{{X: 0, Y: 20}, {X: 40, Y: 20}}}, Stroke: Loss, Width: 1, Dash: 10})
		isInk(t, scene(Line(0, 20.5, 40, 20.5, Loss, 1)), 15, 20, Loss)
		isInk(t, s, 15, 20, Card)
	})
	t.Run("dots are round", func(t *testing.T) {
		s := scene(Dots{At: []Point{{20, 20}}, R: 8, Fill: Loss})
		isInk(t, s, 20, 20, Loss)
		isInk(t, s, 13, 13, Card)
	})
	t.Run("a letter has its hole", func(t *testing.T) {
		s := scene(Text{X: 20, Y: 34, S: "O", Size: 40, Bold: true, Fill: Loss, Anchor: Middle})
		isInk(t, s, 20, 20, Card)
		isInk(t, s, 8, 20, Loss)
	})
	t.Run("half opacity is half way", func(t *testing.T) {
		r, _, _ := at(t, scene(Rect{W: 40, H: 40, Fill: Body, Opacity: 0.5}), 20, 20)
		want := (int(Light[Body].R) + int(Light[Card].R)) / 2
		if d := int(r) - want; d < -2 || d > 2 {
			t.Errorf("red is %d, want about %d", r, want)
		}
	})
}

func TestPlaceMovesEverything(t *testing.T) {
	small := Scene{Items: []Item{
		Rect{X: 1, Y: 1, W: 2, H: 2, Fill: Loss},
		Dots{At: []Point{{1, 1}}, R: 1, Fill: Loss},
		Path{Lines: [][]Point{{{1, 1}, {2, 2}}}, Stroke: Loss, Width: 1},
		Text{X: 1, Y: 1, S: "x", Size: 5, Fill: Loss},
	}}
	var big Scene
	big.Place(small, 10, 20)
	if r := big.Items[0].(Rect); r.X != 11 || r.Y != 21 {
		t.Errorf("box at %v, %v", r.X, r.Y)
	}
	if d := big.Items[1].(Dots); d.At[0] != (Point{11, 21}) {
		t.Errorf("dot at %v", d.At[0])
	}
	if p := big.Items[2].(Path); p.Lines[0][1] != (Point{12, 22}) {
		t.Errorf("path to %v", p.Lines[0][1])
	}
	if x := big.Items[3].(Text); x.X != 11 || x.Y != 21 {
		t.Errorf("text at %v, %v", x.X, x.Y)
	}
	if small.Items[1].(Dots).At[0] != (Point{1, 1}) {
		t.Error("the scene that was placed has moved itself")
	}
}

// Text can be read on what it stands on (WCAG AA).
func TestContrast(t *testing.T) {
	for name, p := range map[string]Palette{"light": Light, "dark": Dark} {
		for _, ink := range []Ink{Body, Muted, Before, After, Loss, Gain, Mark} {
			for _, ground := range []Ink{Paper, Card} {
				if c := contrast(p, ink, ground); c < 4.4 {
					t.Errorf("%s: %s on %s has a contrast of %.2f", name, ink, ground, c)
				}
			}
		}
		if c := contrast(p, OnFill, Loss); c < 4.4 {
			t.Errorf("%s: text on a banner has a contrast of %.2f", name, c)
		}
	}
}

func contrast(p Palette, a, b Ink) float64 {
	luminance := func(i Ink) float64 {
		linear := func(v uint8) float64 {
			f := float64(v) / 255
			if f <= 0.03928 {
				return f / 12.92
			}
			return math.Pow((f+0.055)/1.055, 2.4)
		}
		c := p[i]
		return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	}
	high, low := max(luminance(a), luminance(b)), min(luminance(a), luminance(b))
	return (high + 0.05) / (low + 0.05)
}
