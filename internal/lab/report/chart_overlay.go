package report

import (
	"cmp"
	"fmt"

	"causeway/internal/lab/report/draw"
)

const (
	nodeW, nodeH = 150.0, 46.0
	noteW, noteH = 196.0, 56.0
)

// overlayChart draws where the packets went: the two VPN devices, the PoPs
// between them with what each segment lost and got back, and the direct path
// below.
func overlayChart(d Data, w float64) draw.Scene {
	o := d.Overlay
	relays := popsWith(o, RoleRelay)
	base, height := 60.0, 250.0
	if len(relays) > 0 {
		base, height = 190.0, 380.0
	}
	s := draw.Scene{W: w, H: height, Title: "The way of the packets", Desc: overlayWords(d)}
	at := place(o, relays, w, base)

	client, endpoint := draw.Point{X: nodeW / 2, Y: base}, draw.Point{X: w - nodeW/2, Y: base}
	directY := base + 120
	s.Add(draw.Path{
		Lines:  [][]draw.Point{append(draw.Curve(client, draw.Point{X: client.X, Y: directY}, draw.Point{X: client.X + 110, Y: directY}, 16), draw.Curve(draw.Point{X: endpoint.X - 110, Y: directY}, draw.Point{X: endpoint.X, Y: directY}, endpoint, 16)...)},
		Stroke: draw.Before, Width: 2, Dash: 6,
	})
	note(&s, draw.Point{X: w / 2, Y: directY}, draw.Before, "direct, over the Internet", "pings lost "+lostWords(d.Direct), medianWords(d.Direct))

	for _, name := range []string{RoleIngress, RoleEgress} {
		for _, p := range popsWith(o, name) {
			end := client
			if name == RoleEgress {
				end = endpoint
			}
			s.Add(draw.Line(end.X, end.Y, at[p.Name].X, at[p.Name].Y, draw.After, 3))
		}
	}
	used := onRoute(o)
	pairs := segmentPairs(o)
	for _, p := range pairs {
		a, b := at[p.a], at[p.b]
		line := draw.Line(a.X, a.Y, b.X, b.Y, draw.After, 3)
		if !used[p.key()] {
			line.Width, line.Dash, line.Stroke = 1.5, 4, draw.Muted
		}
		s.Add(line)
	}
	for _, p := range pairs {
		if !used[p.key()] && len(pairs) > 3 {
			continue
		}
		a, b := at[p.a], at[p.b]
		ink := draw.After
		if !used[p.key()] {
			ink = draw.Muted
		}
		note(&s, draw.Point{X: (a.X + b.X) / 2, Y: (a.Y + b.Y) / 2}, ink, pairWords(p)...)
	}
	node(&s, client, cmp.Or(plain(o.Client), "client"), "VPN gateway", draw.Body)
	node(&s, endpoint, cmp.Or(plain(o.Endpoint), "endpoint"), "VPN gateway", draw.Body)
	for _, p := range o.PoPs {
		node(&s, at[p.Name], plain(p.Name), "PoP, "+plain(p.Role), draw.After)
	}
	return s
}

func overlayWords(d Data) string {
	s := "From the client over "
	for i, p := range d.Overlay.PoPs {
		if i > 0 {
			s += ", "
		}
		s += plain(p.Name)
	}
	return s + " to the endpoint."
}

func popsWith(o Overlay, role string) []PoP {
	var out []PoP
	for _, p := range o.PoPs {
		if p.Role == role {
			out = append(out, p)
		}
	}
	return out
}

// place gives each PoP its middle: ingress and egress on the base line, relays
// above it.
func place(o Overlay, relays []PoP, w, base float64) map[string]draw.Point {
	at := map[string]draw.Point{}
	left, right := 0.235*w, 0.765*w
	for _, p := range o.PoPs {
		switch p.Role {
		case RoleIngress:
			at[p.Name] = draw.Point{X: left, Y: base}
		case RoleEgress:
			at[p.Name] = draw.Point{X: right, Y: base}
		default:
			at[p.Name] = draw.Point{X: w / 2, Y: base}
		}
	}
	for i, p := range relays {
		share := float64(i+1) / float64(len(relays)+1)
		at[p.Name] = draw.Point{X: left + (right-left)*share, Y: 30}
	}
	return at
}

func node(s *draw.Scene, at draw.Point, name, what string, ink draw.Ink) {
	s.Add(
		draw.Rect{X: at.X - nodeW/2, Y: at.Y - nodeH/2, W: nodeW, H: nodeH, R: 8, Fill: draw.Card, Stroke: ink, Width: 1.5},
		draw.Text{X: at.X, Y: at.Y - 2, S: shorten(name, 20), Size: 14, Bold: true, Fill: ink, Anchor: draw.Middle},
		draw.Text{X: at.X, Y: at.Y + 14, S: what, Size: 11, Fill: draw.Muted, Anchor: draw.Middle},
	)
}

// note is a small card of up to three lines.
func note(s *draw.Scene, at draw.Point, ink draw.Ink, lines ...string) {
	h := 12 + 15*float64(len(lines))
	s.Add(draw.Rect{X: at.X - noteW/2, Y: at.Y - h/2, W: noteW, H: h, R: 6, Fill: draw.Card, Stroke: draw.Edge, Width: 1})
	for i, l := range lines {
		s.Add(draw.Text{X: at.X, Y: at.Y - h/2 + 17 + 15*float64(i), S: l, Size: 12, Bold: i == 0, Fill: ink, Anchor: draw.Middle})
		ink = draw.Body
	}
}

func medianWords(s Side) string {
	if s.RTT == nil {
		return "no answers"
	}
	return "median " + millis(s.RTT.P50) + " ms"
}

// segmentPair is both directions of a segment.
type segmentPair struct {
	a, b     string
	toB, toA *Segment
}

func (p segmentPair) key() [2]string { return pairKey(p.a, p.b) }

func pairKey(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

func segmentPairs(o Overlay) []segmentPair {
	var out []segmentPair
	at := map[[2]string]int{}
	for i := range o.Segments {
		g := &o.Segments[i]
		k := pairKey(g.From, g.To)
		j, ok := at[k]
		if !ok {
			j = len(out)
			at[k] = j
			out = append(out, segmentPair{a: g.From, b: g.To})
		}
		if g.From == out[j].a {
			out[j].toB = g
		} else {
			out[j].toA = g
		}
	}
	return out
}

// onRoute says which segments a route uses; all of them when no routes are known.
func onRoute(o Overlay) map[[2]string]bool {
	used := map[[2]string]bool{}
	for _, r := range o.Routes {
		for i := 1; i < len(r.PoPs); i++ {
			used[pairKey(r.PoPs[i-1], r.PoPs[i])] = true
		}
	}
	if len(o.Routes) == 0 {
		for _, g := range o.Segments {
			used[pairKey(g.From, g.To)] = true
		}
	}
	return used
}

func pairWords(p segmentPair) []string {
	head := "segment"
	for _, g := range []*Segment{p.toB, p.toA} {
		if g != nil && g.RTTMs != nil {
			head = "RTT " + millisOf(g.RTTMs)
			break
		}
	}
	lines := []string{head}
	for _, g := range []struct {
		*Segment
		arrow string
	}{{p.toB, "→"}, {p.toA, "←"}} {
		if g.Segment == nil {
			continue
		}
		s := fmt.Sprintf("%s lost %s, then %s", g.arrow, percent(g.RawLoss), percent(g.Residual))
		if g.OverheadPackets > 0 {
			s += fmt.Sprintf("; ×%.2f", g.OverheadPackets)
		}
		lines = append(lines, s)
	}
	return lines
}
