package dataplane

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/dataplane/frame"
	"causeway/internal/mono"
	"causeway/internal/route"
	"causeway/internal/snapshot"
)

// FuzzFrame gives an engine frames of an authentic peer. Whatever they are,
// what leaves goes to an endpoint of the snapshot or to a client that is proven
// or vouched for, and what is held stays bounded.
func FuzzFrame(f *testing.F) {
	description := frame.Description{
		Client: port(clientIP, 4500), Accelerated: netip.MustParseAddrPort("203.0.113.10:4500"), Endpoint: port(endpointIP, 4500),
		Egress: netip.MustParseAddrPort("203.0.113.20:0"), WantPort: 4500, Ingress: 1, EgressPoP: 2, Order: 1, Window: 64, Idle: 300 * time.Second, Group: "seoul", Listener: "vpn",
	}
	for kind := range frame.Kind(16) {
		for _, h := range []frame.Header{
			{Kind: kind, Hops: 4, Origin: 1, Session: 7},
			{Kind: kind, Hops: 4, Origin: 2, Session: 7, Flags: frame.ToClient},
			{Kind: kind, Hops: 4, Origin: 3, Session: 7, NRoute: 2, Route: [3]snapshot.Label{2, 1}},
		} {
			f.Add(append(description.Append(h.Append(nil)), espPacket(700, 1, 40)...))
			f.Add(append(h.Append(nil), espPacket(700, 2, 40)...))
		}
	}
	var r *rig
	uses := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		if uses--; uses < 0 {
			r, uses = newRig(t, nil), 500
			r.tunnel(port(clientIP, 500))
		}
		r.t = t
		r.got = nil
		for _, to := range []*rigPoP{r.sh, r.se} {
			r.tk.frame(to, b)
		}
		r.sh.frame(r.se, b)
		r.se.frame(r.sh, b)
		r.run(10 * time.Millisecond)
		for _, p := range r.got {
			toEndpoint := p.from.Addr() == r.se.addr && p.to.Addr() == endpointIP
			toClient := p.from.Addr() == r.sh.addr && p.to.Addr() == clientIP
			if !toEndpoint && !toClient {
				t.Fatalf("%x made %v send to %v", b, p.from, p.to)
			}
		}
		for _, p := range []*rigPoP{r.sh, r.tk, r.se} {
			p.mustBeSound()
			if n := p.sessions(); n > 1100 {
				t.Fatalf("%d sessions", n)
			}
		}
	})
}

func FuzzLinks(f *testing.F) {
	f.Add([]byte{controlLinks, 0})
	f.Add(append([]byte{controlLinks, 2}, make([]byte, 2*linkLen)...))
	f.Add(appendLink([]byte{controlLinks, 1}, link{to: 3, up: true, quality: route.Quality{Known: true, RTT: time.Second, Loss: 0.3}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 2 {
			return
		}
		var l links
		if !l.parse(mono.Time(time.Hour), b) {
			if len(l.list) != 0 {
				t.Error("something was kept of a message that makes no sense")
			}
			return
		}
		again := []byte{controlLinks, byte(len(l.list))}
		for _, k := range l.list {
			q := k.quality
			if q.RTT < 0 || q.OneWay < 0 || q.Jitter < 0 || q.Loss < 0 || q.Loss > 1 || q.ReverseLoss < 0 || q.ReverseLoss > 1 || q.Doubt < 0 || q.Doubt > 1 || q.Conditional < 0 || q.Conditional > 1 {
				t.Errorf("out of range: %+v", k)
			}
			again = appendLink(again, k)
		}
		if !bytes.Equal(again[2:], b[2:2+linkLen*len(l.list)]) {
			// Shares are rounded; a second way round changes nothing more.
			var m links
			if !m.parse(mono.Time(time.Hour), again) || !slices.EqualFunc(m.list, l.list, func(x, y link) bool { return x.to == y.to && x.up == y.up && x.quality.RTT == y.quality.RTT }) {
				t.Errorf("changed on its way: %+v, %+v", l.list, m.list)
			}
		}
	})
}

func TestLinksSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := func(name string) float64 { return rapid.Float64Range(0, 1).Draw(t, name) }
		micros := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 1<<30).Draw(t, name)) * time.Microsecond
		}
		in := link{to: snapshot.Label(rapid.Uint16().Draw(t, "label")), up: rapid.Bool().Draw(t, "up"), quality: route.Quality{
			Known: rapid.Bool().Draw(t, "known"), RTT: micros("rtt"), OneWay: micros("one way"), Jitter: time.Duration(rapid.IntRange(0, 65535).Draw(t, "jitter")) * 100 * time.Microsecond,
			Loss: share("loss"), Doubt: share("doubt"), Conditional: share("conditional"), ReverseLoss: share("reverse"),
		}}
		b := appendLink([]byte{controlLinks, 1}, in)
		var l links
		if !l.parse(1, b) || len(l.list) != 1 {
			t.Fatalf("%x is refused", b)
		}
		out := l.list[0]
		near := func(a, b float64) bool { return a-b < 2e-5 && b-a < 2e-5 }
		a, c := in.quality, out.quality
		if out.to != in.to || out.up != in.up || a.Known != c.Known || a.RTT != c.RTT || a.OneWay != c.OneWay || a.Jitter != c.Jitter ||
			!near(a.Loss, c.Loss) || !near(a.Doubt, c.Doubt) || !near(a.Conditional, c.Conditional) || !near(a.ReverseLoss, c.ReverseLoss) {
			t.Errorf("in %+v, out %+v", in, out)
		}
	})
}

func TestWhatANeighbourSaidGrowsOld(t *testing.T) {
	var l links
	now := mono.Time(time.Hour)
	if _, known := l.to(now, 3); known {
		t.Error("something is known of nothing")
	}
	l.parse(now, appendLink([]byte{controlLinks, 1}, link{to: 3, up: true}))
	if k, known := l.to(now.Add(linksAge), 3); !known || !k.up {
		t.Error("forgotten too early")
	}
	if _, known := l.to(now.Add(linksAge+1), 3); known {
		t.Error("believed too long")
	}
	if _, known := l.to(now, 4); known {
		t.Error("of another PoP nothing was said")
	}
}
