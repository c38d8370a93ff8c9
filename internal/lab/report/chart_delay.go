package report

import (
	"math"
	"slices"

	"causeway/internal/lab/report/draw"
)

// delayChart is delay over time, the direct tunnel above, the accelerated one
// below, on the same axes. Lost pings are red lines through the panel; the
// strip under each panel says how many of that slice of time were lost.
func delayChart(d Data, w, h float64) draw.Scene {
	s := draw.Scene{W: w, H: h, Title: "Delay over time", Desc: Headline(d)}
	const bottom, gap = 24, 18
	panelH := (h - bottom - gap) / 2
	end := seriesEnd(d)
	yMax := delayTop(d)
	x := axis{end, chartLeft, w - chartRight}
	drawEvents(&s, d, x, 0, h-bottom)
	drawDelayPanel(&s, d.Direct, "Direct", draw.Before, x, yMax, 0, panelH)
	drawDelayPanel(&s, d.Accelerated, "Accelerated", draw.After, x, yMax, panelH+gap, panelH)
	step := timeStep(end, max(2, int(w/110)))
	ticks(end, step, func(t float64) {
		anchor := draw.Middle
		if x.at(t) > w-chartRight-16 {
			anchor = draw.End
		}
		s.Add(label(x.at(t), h-6, timeLabel(t, step), draw.Muted, anchor))
	})
	return s
}

// delayTop is the top of the delay axis: a little above nearly all of both
// sides' delays. Single outliers are drawn at the top edge instead of
// flattening everything else.
func delayTop(d Data) float64 {
	top := 0.0
	for _, side := range []Side{d.Direct, d.Accelerated} {
		rtts := answeredRTTs(side.Series)
		if len(rtts) == 0 {
			continue
		}
		slices.Sort(rtts)
		high := percentile(rtts, 0.995)
		if worst := rtts[len(rtts)-1]; worst < 1.4*high {
			high = worst
		}
		top = max(top, high)
	}
	if top <= 0 {
		return 100
	}
	top = min(top*1.06, 1e9) // a delay of eleven days is a mistake, not a scale
	step := niceStep(top, 6)
	return math.Ceil(top/step) * step
}

const (
	chartLeft  = 52.0 // room for the delay axis's labels
	chartRight = 8.0
	panelHead  = 24.0 // the line of text above a panel
	lossHeight = 14.0 // the strip below it
	lossGap    = 7.0  // between the two
)

func drawDelayPanel(s *draw.Scene, side Side, name string, ink draw.Ink, x axis, yMax, top, height float64) {
	plotTop, plotBottom := top+panelHead, top+height-lossHeight-lossGap
	y := axis{yMax, plotBottom, plotTop}
	s.Add(draw.Text{X: x.a, Y: top + 15, S: name, Size: 14, Bold: true, Fill: ink})
	s.Add(label(x.b, top+15, panelWords(side), draw.Muted, draw.End))

	step := niceStep(yMax, max(2, int((plotBottom-plotTop)/34)))
	ticks(yMax, step, func(v float64) {
		s.Add(draw.Line(x.a, y.at(v), x.b, y.at(v), draw.Grid, 1))
		words := trimZeros(millis(v))
		if v == 0 {
			words = "0 ms"
		}
		s.Add(label(x.a-8, y.at(v)+4, words, draw.Muted, draw.End))
	})
	if side.Sent == 0 || len(side.Series) == 0 {
		s.Add(label((x.a+x.b)/2, (plotTop+plotBottom)/2, "no probes", draw.Muted, draw.Middle))
		return
	}
	drawLosses(s, side, x, plotTop, plotBottom)
	if float64(len(side.Series)) <= x.b-x.a {
		drawDots(s, side, ink, x, y)
	} else {
		drawSmoke(s, side, ink, x, y)
	}
	drawLossStrip(s, side, x, plotBottom+lossGap)
}

func panelWords(side Side) string {
	if side.Sent == 0 {
		return ""
	}
	s := "lost " + lostWords(side)
	if r := side.RTT; r != nil {
		s += " · median " + millis(r.P50) + " ms · p99 " + millis(r.P99) + " ms"
	}
	return s
}

// drawDots shows every answered ping by itself.
func drawDots(s *draw.Scene, side Side, ink draw.Ink, x, y axis) {
	dots := draw.Dots{R: 1.5, Fill: ink, Opacity: 0.85}
	if len(side.Series) < 150 {
		dots.R = 2.5
	}
	beyond := draw.Path{Fill: ink}
	for _, p := range side.Series {
		if p.RTTMs == nil {
			continue
		}
		at := draw.Point{X: x.at(p.TMs), Y: y.at(*p.RTTMs)}
		if *p.RTTMs > y.max {
			beyond.Lines = append(beyond.Lines, upTriangle(at))
			continue
		}
		dots.At = append(dots.At, at)
	}
	s.Add(dots, beyond)
}

// upTriangle marks a value that lies above the axis.
func upTriangle(at draw.Point) []draw.Point {
	return []draw.Point{{X: at.X, Y: at.Y - 1}, {X: at.X + 3, Y: at.Y + 4}, {X: at.X - 3, Y: at.Y + 4}}
}

// drawSmoke shows many pings as smokeping does: for each slice of time the
// median as a line, and around it bands that hold half, four fifths and all of
// the answers.
func drawSmoke(s *draw.Scene, side Side, ink draw.Ink, x, y axis) {
	const column = 2.0
	n := max(1, int((x.b-x.a)/column))
	bands := []struct {
		from, to, opacity float64
	}{{0, 1, 0.14}, {0.1, 0.9, 0.25}, {0.25, 0.75, 0.4}}
	paths := make([]draw.Path, len(bands))
	median := draw.Path{Fill: ink}
	for i, b := range bins(side.Series, n, x.max) {
		if len(b.rtts) == 0 {
			continue
		}
		left := x.a + (x.b-x.a)*float64(i)/float64(n)
		width := (x.b - x.a) / float64(n)
		for k, band := range bands {
			low, high := y.at(percentile(b.rtts, band.from)), y.at(percentile(b.rtts, band.to))
			if low-high >= 0.5 {
				paths[k].Lines = append(paths[k].Lines, draw.Box(left, high, width, low-high))
			}
		}
		median.Lines = append(median.Lines, draw.Box(left, y.at(percentile(b.rtts, 0.5))-0.8, width, 1.6))
	}
	for k, p := range paths {
		p.Fill, p.Opacity = ink, bands[k].opacity
		s.Add(p)
	}
	s.Add(median)
}

// drawLosses marks lost pings by red lines through the plot, fainter where
// only some of a column's were lost.
func drawLosses(s *draw.Scene, side Side, x axis, top, bottom float64) {
	const shades = 6
	n := max(1, min(len(side.Series), int((x.b-x.a)/2)))
	paths := make([]draw.Path, shades)
	width := (x.b - x.a) / float64(n)
	for i, b := range bins(side.Series, n, x.max) {
		if b.lost() == 0 {
			continue
		}
		k := min(int(float64(b.lost())/float64(b.sent)*shades), shades-1)
		left := x.a + (x.b-x.a)*float64(i)/float64(n)
		bar := min(width, 24)
		paths[k].Lines = append(paths[k].Lines, draw.Box(left+(width-bar)/2, top, bar, bottom-top))
	}
	for k, p := range paths {
		p.Fill, p.Opacity = draw.Loss, 0.05+0.20*float64(k+1)/shades
		if len(p.Lines) > 0 {
			s.Add(p)
		}
	}
}

// drawLossStrip is a bar for every slice of time, as high as the share lost.
func drawLossStrip(s *draw.Scene, side Side, x axis, top float64) {
	s.Add(draw.Rect{X: x.a, Y: top, W: x.b - x.a, H: lossHeight, Fill: draw.Grid})
	s.Add(draw.Text{X: x.a - 8, Y: top + lossHeight - 2, S: "lost", Size: 11, Fill: draw.Muted, Anchor: draw.End})
	n := max(1, min(len(side.Series), int((x.b-x.a)/4)))
	bars := draw.Path{Fill: draw.Loss}
	width := (x.b - x.a) / float64(n)
	for i, b := range bins(side.Series, n, x.max) {
		if b.lost() == 0 {
			continue
		}
		high := max(1.5, lossHeight*float64(b.lost())/float64(b.sent))
		bars.Lines = append(bars.Lines, draw.Box(x.a+width*float64(i), top+lossHeight-high, max(width, 1.5), high))
	}
	if len(bars.Lines) > 0 {
		s.Add(bars)
	}
}

// drawEvents shades when the fault script did something.
func drawEvents(s *draw.Scene, d Data, x axis, top, bottom float64) {
	for i, e := range d.Events {
		if i == 50 {
			break
		}
		from := x.at(e.TMs)
		if e.EndMs > e.TMs {
			s.Add(draw.Rect{X: from, Y: top + panelHead, W: max(1.5, x.at(e.EndMs)-from), H: bottom - top - panelHead, Fill: draw.Mark, Opacity: 0.12})
		}
		s.Add(draw.Path{Lines: [][]draw.Point{{{X: from, Y: top + panelHead}, {X: from, Y: bottom}}}, Stroke: draw.Mark, Width: 1, Dash: 3})
	}
}
