package report

import (
	"fmt"
	"math"
	"slices"

	"causeway/internal/lab/report/draw"
)

// answeredChart is what share of all pings sent was answered within a delay.
// A lost ping is never answered, so a line ends below 100 % by the loss.
func answeredChart(d Data, w, h float64) draw.Scene {
	s := draw.Scene{W: w, H: h, Title: "Pings answered within a delay", Desc: Headline(d)}
	const left, right, top, bottom = 52, 10, 12, 42
	x := axis{delayTop(d), left, w - right}
	y := axis{1, h - bottom, top}
	for _, v := range []float64{0, 0.25, 0.5, 0.75, 1} {
		s.Add(draw.Line(x.a, y.at(v), x.b, y.at(v), draw.Grid, 1))
		s.Add(label(x.a-8, y.at(v)+4, fmt.Sprintf("%.0f %%", v*100), draw.Muted, draw.End))
	}
	step := niceStep(x.max, max(2, int(w/90)))
	ticks(x.max, step, func(v float64) {
		anchor := draw.Middle
		if x.at(v) > w-right-12 {
			anchor = draw.End
		}
		s.Add(label(x.at(v), h-bottom+18, trimZeros(millis(v)), draw.Muted, anchor))
	})
	s.Add(label((x.a+x.b)/2, h-6, "answered within, ms", draw.Muted, draw.Middle))
	for _, side := range []struct {
		Side
		ink draw.Ink
	}{{d.Direct, draw.Before}, {d.Accelerated, draw.After}} {
		rtts := answeredRTTs(side.Series)
		if len(rtts) == 0 || side.Sent == 0 {
			continue
		}
		slices.Sort(rtts)
		const points = 240
		curve := make([]draw.Point, 0, points+1)
		for i := range points + 1 {
			v := x.max * float64(i) / points
			n, _ := slices.BinarySearch(rtts, math.Nextafter(v, math.Inf(1)))
			curve = append(curve, draw.Point{X: x.at(v), Y: y.at(float64(n) / float64(side.Sent))})
		}
		s.Add(draw.Path{Lines: [][]draw.Point{curve}, Stroke: side.ink, Width: 2.5})
	}
	return s
}

// runsChart is how many pings in a row were lost, and how often.
func runsChart(d Data, w, h float64) draw.Scene {
	s := draw.Scene{W: w, H: h, Title: "Losses in a row", Desc: "How many consecutive pings were lost, and how often that happened."}
	const left, right, top, bottom = 52, 10, 12, 42
	groups := []struct {
		from, to int
		name     string
	}{{1, 1, "1"}, {2, 2, "2"}, {3, 3, "3"}, {4, 4, "4"}, {5, 8, "5–8"}, {9, 16, "9–16"}, {17, 32, "17–32"}, {33, math.MaxInt, "33+"}}
	countIn := func(side Side, from, to int) int {
		n := 0
		for _, r := range side.LossRuns {
			if r.Length >= from && r.Length <= to {
				n += r.Count
			}
		}
		return n
	}
	most := 0
	for _, g := range groups {
		most = max(most, countIn(d.Direct, g.from, g.to), countIn(d.Accelerated, g.from, g.to))
	}
	step := max(1, niceStep(float64(max(most, 1)), max(2, int((h-top-bottom)/36))))
	y := axis{max(step, math.Ceil(float64(most)/step)*step), h - bottom, top}
	ticks(y.max, step, func(v float64) {
		s.Add(draw.Line(left, y.at(v), w-right, y.at(v), draw.Grid, 1))
		s.Add(label(left-8, y.at(v)+4, count(int(v)), draw.Muted, draw.End))
	})
	slot := (w - left - right) / float64(len(groups))
	for i, g := range groups {
		middle := left + slot*(float64(i)+0.5)
		bar := min(slot*0.32, 26)
		for k, side := range []struct {
			Side
			ink draw.Ink
		}{{d.Direct, draw.Before}, {d.Accelerated, draw.After}} {
			n := countIn(side.Side, g.from, g.to)
			if n == 0 {
				continue
			}
			yTop := min(y.at(float64(n)), y.a-2)
			s.Add(draw.Rect{X: middle - bar + float64(k)*bar, Y: yTop, W: bar - 1, H: y.a - yTop, R: 2, Fill: side.ink})
		}
		s.Add(label(middle, h-bottom+18, g.name, draw.Muted, draw.Middle))
	}
	if most == 0 {
		s.Add(label(w/2+left/2, (h-bottom)/2, "no ping was lost", draw.Muted, draw.Middle))
	}
	s.Add(label((left+w-right)/2, h-6, "pings lost in a row", draw.Muted, draw.Middle))
	return s
}

// throughputHeight is what throughputChart needs for so many pairs.
func throughputHeight(pairs int) float64 { return float64(max(pairs, 1))*58 + 4 }

// throughputChart is a pair of bars for each iperf3 run.
func throughputChart(d Data, w float64) draw.Scene {
	pairs := throughputPairs(d.Throughput)
	s := draw.Scene{W: w, H: throughputHeight(len(pairs)), Title: "Throughput inside the tunnel"}
	most := 0.0
	for _, p := range pairs {
		for _, t := range []*Throughput{p.direct, p.accelerated} {
			if hasRate(t) {
				most = max(most, t.MbitS)
			}
		}
	}
	const valueRoom = 130
	x := axis{most, 0, w - valueRoom}
	for i, p := range pairs {
		top := float64(i) * 58
		s.Add(draw.Text{X: 0, Y: top + 13, S: p.name, Size: 13, Bold: true, Fill: draw.Body})
		if f := throughputFact(p); f.change != "" {
			s.Add(draw.Text{X: w, Y: top + 13, S: f.change, Size: 13, Bold: true, Fill: changeInk(f.better), Anchor: draw.End})
		}
		for k, bar := range []struct {
			t   *Throughput
			ink draw.Ink
		}{{p.direct, draw.Before}, {p.accelerated, draw.After}} {
			y := top + 20 + float64(k)*15
			length := 0.0
			if hasRate(bar.t) {
				length = max(x.at(bar.t.MbitS), 1.5)
				s.Add(draw.Rect{X: 0, Y: y, W: length, H: 12, R: 2, Fill: bar.ink})
			}
			s.Add(draw.Text{X: length + 6, Y: y + 10.5, S: throughputWords(bar.t), Size: 12, Fill: draw.Body})
		}
	}
	return s
}

func changeInk(better int) draw.Ink {
	switch better {
	case 1:
		return draw.Gain
	case -1:
		return draw.Loss
	}
	return draw.Muted
}
