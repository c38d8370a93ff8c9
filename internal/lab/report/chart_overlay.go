package report

import (
	"cmp"
	"fmt"

	"causeway/internal/lab/report/draw"
)

const (
	nodeW, nodeH = 164.0, 46.0
	noteW        = 204.0
)

// overlayChart draws where the packets went: the two VPN devices, the PoPs
// between them with what each segment lost and got back, and the direct path
// below.
func overlayChart(d Data, w float64) draw.Scene {
	o := d.Overlay
	relays := relaysOf(o)
	base := 40.0
	if len(relays) > 0 {
		base = 190
	}
	base = max(base, 30+62*float64(max(len(popsWith(o, RoleIngress)), len(popsWith(o, RoleEgress)))-1))
	height := base + 190
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
	near, far := gatewayNames(d)
	node(&s, client, near, "VPN gateway", draw.Body)
	node(&s, endpoint, far, "VPN gateway", draw.Body)
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

// gatewayNames are what the two VPN devices are called.
func gatewayNames(d Data) (client, endpoint string) {
	client, endpoint = d.Overlay.Client, d.Overlay.Endpoint
	if peers := d.Accelerated.Peers; len(peers) == 2 {
		client, endpoint = cmp.Or(client, peers[0].Gateway), cmp.Or(endpoint, peers[1].Gateway)
	}
	return cmp.Or(plain(client), "client"), cmp.Or(plain(endpoint), "endpoint")
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

// place gives each PoP its middle: ingress and egress from the base line up,
// relays at the top.
func place(o Overlay, relays []PoP, w, base float64) map[string]draw.Point {
	at := map[string]draw.Point{}
	left, right := 0.235*w, 0.765*w
	for i, p := range popsWith(o, RoleIngress) {
		at[p.Name] = draw.Point{X: left, Y: base - 62*float64(i)}
	}
	for i, p := range popsWith(o, RoleEgress) {
		at[p.Name] = draw.Point{X: right, Y: base - 62*float64(i)}
	}
	for i, p := range relays {
		share := float64(i+1) / float64(len(relays)+1)
		at[p.Name] = draw.Point{X: left + (right-left)*share, Y: 30}
	}
	return at
}

// relaysOf is every PoP that is neither ingress nor egress, whatever it calls itself.
func relaysOf(o Overlay) []PoP {
	var out []PoP
	for _, p := range o.PoPs {
		if p.Role != RoleIngress && p.Role != RoleEgress {
			out = append(out, p)
		}
	}
	return out
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
