package report

import (
	"strings"

	"causeway/internal/lab/report/draw"
)

// The summary picture: 1200 by 675 units, as slides and link previews have it.
const pictureW, pictureH = 1200.0, 675.0

// SVG renders the one-picture summary as report.svg.
func SVG(d Data) ([]byte, error) {
	return picture(prepared(d)).SVG(draw.Light.Hex), nil
}

// PNG renders the same picture as report.png, twice as fine.
func PNG(d Data) ([]byte, error) {
	return picture(prepared(d)).PNG(draw.Light, 2)
}

func picture(d Data) draw.Scene {
	s := draw.Scene{W: pictureW, H: pictureH, Title: title(d), Desc: Headline(d)}
	s.Add(draw.Rect{W: pictureW, H: pictureH, Fill: draw.Paper})
	const margin = 40.0
	s.Add(
		draw.Text{X: margin, Y: 54, S: shorten(title(d), 66), Size: 27, Bold: true, Fill: draw.Body},
		draw.Text{X: margin, Y: 80, S: pictureWords(d), Size: 15, Fill: draw.Muted},
		draw.Text{X: pictureW - margin, Y: 54, S: "causeway", Size: 20, Bold: true, Fill: draw.After, Anchor: draw.End},
	)
	tilesTop, chartTop := 100.0, 222.0
	if reason := verdict(d); reason != "" {
		s.Add(
			draw.Rect{X: margin, Y: 96, W: pictureW - 2*margin, H: 34, R: 6, Fill: draw.Loss},
			draw.Text{X: margin + 14, Y: 118, S: shorten("This run does not count: "+reason+".", 130), Size: 15, Bold: true, Fill: draw.OnFill},
		)
		tilesTop, chartTop = 142.0, 258.0
	}
	const gap = 16.0
	facts := headlineFacts(d)
	tileW := (pictureW - 2*margin - gap*float64(len(facts)-1)) / float64(len(facts))
	for i, f := range facts {
		s.Place(tile(f, tileW, 104), margin+float64(i)*(tileW+gap), tilesTop)
	}
	const pad = 18.0
	cardH := pictureH - chartTop - 24
	s.Add(draw.Rect{X: margin, Y: chartTop, W: pictureW - 2*margin, H: cardH, R: 10, Fill: draw.Card, Stroke: draw.Edge, Width: 1})
	s.Place(delayChart(d, pictureW-2*margin-2*pad, cardH-2*pad), margin+pad, chartTop+pad)
	return s
}

func pictureWords(d Data) string {
	words := []string{"Ping through the same IPsec tunnel, direct and accelerated", span(d.DurationS)}
	if d.Live != nil {
		words[0] = "Ping between " + d.Live.between() + ", over the Internet and through Causeway"
	}
	if d.IntervalMs > 0 {
		words = append(words, "one every "+interval(d.IntervalMs))
	}
	if !d.Started.IsZero() {
		words = append(words, d.Started.UTC().Format("2006-01-02"))
	}
	return strings.Join(words, " · ")
}

// headlineFacts are the three or four numbers a manager asks for.
func headlineFacts(d Data) []fact {
	facts := []fact{
		lossFact(d.Direct, d.Accelerated),
		delayFact("Median delay", d.Direct.RTT, d.Accelerated.RTT, func(r *RTT) float64 { return r.P50 }),
		delayFact("99th percentile delay", d.Direct.RTT, d.Accelerated.RTT, func(r *RTT) float64 { return r.P99 }),
	}
	for _, p := range throughputPairs(d.Throughput) {
		if p.accelerated != nil {
			return append(facts, throughputFact(p))
		}
	}
	return facts
}

// tile is one fact, large.
func tile(f fact, w, h float64) draw.Scene {
	s := draw.Scene{W: w, H: h}
	const pad = 16.0
	s.Add(draw.Rect{W: w, H: h, R: 10, Fill: draw.Card, Stroke: draw.Edge, Width: 1})
	s.Add(draw.Text{X: pad, Y: 26, S: f.name, Size: 13, Fill: draw.Muted})
	size := 27.0
	room := w - 2*pad
	for size > 14 && draw.TextWidth(f.direct, size, false)+draw.TextWidth(f.accelerated, size, true)+34 > room {
		size--
	}
	x := pad
	s.Add(draw.Text{X: x, Y: 64, S: f.direct, Size: size, Fill: draw.Before})
	x += draw.TextWidth(f.direct, size, false) + 9
	s.Add(arrow(x, 64-size*0.33, 16))
	x += 25
	s.Add(draw.Text{X: x, Y: 64, S: f.accelerated, Size: size, Bold: true, Fill: draw.After})
	s.Add(draw.Text{X: pad, Y: 90, S: f.change, Size: 13, Bold: true, Fill: changeInk(f.better)})
	return s
}

func arrow(x, y, length float64) draw.Path {
	return draw.Path{
		Lines: [][]draw.Point{
			{{X: x, Y: y}, {X: x + length, Y: y}},
			{{X: x + length - 5, Y: y - 5}, {X: x + length, Y: y}, {X: x + length - 5, Y: y + 5}},
		},
		Stroke: draw.Muted, Width: 1.8,
	}
}
