package segment

import (
	"fmt"
	"testing"
	"time"
)

// sized lets packets of at most mtu bytes pass, each with a chance.
func sized(p *pair, mtu *int, loss float64) func(*end, int, int) []time.Duration {
	return func(_ *end, _ int, size int) []time.Duration {
		if size > *mtu || p.rng.Float64() < loss {
			return nil
		}
		return []time.Duration{20 * time.Millisecond}
	}
}

func (p *pair) mtu() int { return p.a.seg.Wires(p.now)[0].MTU }

func TestThePathMTUIsFound(t *testing.T) {
	for mtu := 1280; mtu <= 1500; mtu += 1 + mtu%7 {
		p := newPair(t, uint64(mtu), 1)
		p.path = sized(p, &mtu, 0)
		p.startBoth().run(3 * time.Second)
		if got := p.mtu(); got > mtu || got < mtu-probeGrain {
			t.Errorf("on a path of %d: found %d", mtu, got)
		}
	}
}

func TestThePathMTUIsFoundWhereHalfOfAllIsLost(t *testing.T) {
	for _, mtu := range []int{1280, 1300, 1387, 1420, 1499, 1500} {
		for seed := range uint64(4) {
			p := newPair(t, seed, 1)
			p.path = sized(p, &mtu, 0.5)
			p.startBoth().run(20 * time.Second)
			if got := p.mtu(); got > mtu || got < mtu-probeGrain {
				t.Errorf("on a path of %d, seed %d: found %d", mtu, seed, got)
			}
		}
	}
}

func TestALongPathIsNotTakenForANarrowOne(t *testing.T) {
	p := newPair(t, 1, 1)
	p.path = clean(400 * time.Millisecond)
	p.startBoth().run(10 * time.Second)
	lowest := 9999
	for range 300 { // busy, so that it is asked often
		p.traffic(100*time.Millisecond, 50*time.Millisecond, off)
		lowest = min(lowest, p.mtu())
	}
	if lowest != 1500 {
		t.Errorf("MTU fell to %d", lowest)
	}
}

func TestAPathThatShrinksWithoutAWordIsFoundOut(t *testing.T) {
	for _, busy := range []bool{true, false} {
		t.Run(fmt.Sprintf("busy %v", busy), func(t *testing.T) {
			mtu := 1500
			p := newPair(t, 1, 1)
			p.path = sized(p, &mtu, 0.05)
			p.startBoth().run(3 * time.Second)
			if p.mtu() != 1500 {
				t.Fatalf("MTU %d at first", p.mtu())
			}
			mtu = 1350
			wait := 15 * time.Second
			if busy {
				p.traffic(4*time.Second, 20*time.Millisecond, off)
				wait = 0
			}
			p.run(wait)
			if got := p.mtu(); got > 1350 || got < 1350-probeGrain {
				t.Errorf("MTU %d after the path shrank to 1350", got)
			}
			if body := p.a.seg.Body(); body+28+32 > 1350 {
				t.Errorf("bodies of up to %d bytes", body)
			}
		})
	}
}

func TestAPathThatGrowsIsFoundOut(t *testing.T) {
	for _, before := range []int{1280, 1440, 1403, 1390} { // the search ends by a failure, or by a success
		mtu := before
		p := newPair(t, 1, 1)
		p.path = sized(p, &mtu, 0)
		p.startBoth().run(5 * time.Second)
		mtu = 1500
		p.run(raiseEvery - 20*time.Second)
		if got := p.mtu(); got > before {
			t.Errorf("before the time to try again: %d", got)
		}
		p.run(time.Minute)
		if got := p.mtu(); got != 1500 {
			t.Errorf("from %d: %d after the path grew to 1500", before, got)
		}
	}
}

func TestLargerMTUsAreTriedWhereTheyAreConfigured(t *testing.T) {
	for _, c := range []struct{ configured, path, least, most int }{
		{9000, 9000, 9000, 9000}, {9000, 1500, 1500 - probeGrain, 1500}, {1400, 9000, 1400, 1400}, {1280, 1500, 1280, 1280},
	} {
		p := newPair(t, 1, 1)
		p.path = sized(p, &c.path, 0)
		p.a.wires[0].MTU, p.b.wires[0].MTU = c.configured, c.configured
		p.startBoth().run(10 * time.Second)
		if got := p.mtu(); got < c.least || got > c.most {
			t.Errorf("configured %d on a path of %d: found %d", c.configured, c.path, got)
		}
	}
}

func TestTheSearchIsNotMistakenForLoss(t *testing.T) {
	mtu := 1281
	p := newPair(t, 1, 1)
	p.path = sized(p, &mtu, 0)
	p.startBoth()
	for range 60 {
		p.run(100 * time.Millisecond)
		if q, up := p.a.seg.Quality(p.now); up && q.Loss > 0.02 {
			t.Fatalf("%v: loss %v on a path that loses nothing", p.now, q.Loss)
		}
		for _, w := range p.a.seg.wires {
			if l := w.loss(p.now); l > 0 {
				t.Fatalf("ping loss %v on a path that loses nothing", l)
			}
		}
	}
}

func TestIPv6HasALargerHeader(t *testing.T) {
	mtu := 1400
	p := newPair(t, 1, 1)
	p.path = sized(p, &mtu, 0)
	for _, e := range []*end{p.a, p.b} {
		e.wires[0].IPv6 = true
	}
	largest := 0
	p.tap = func(from *end, wire int, b []byte) {
		if len(b)+48 <= mtu {
			largest = max(largest, len(b)+48)
		}
	}
	p.startBoth().run(5 * time.Second)
	if got := p.mtu(); got > mtu || got < mtu-probeGrain || largest > mtu {
		t.Errorf("MTU %d on a path of %d, largest packet %d", got, mtu, largest)
	}
	if body := p.a.seg.Body(); body != p.mtu()-40-8-32 {
		t.Errorf("a body has %d bytes at an MTU of %d", body, p.mtu())
	}
	// What is sent at that size arrives.
	for range 20 {
		p.a.send(off, make([]byte, 5000))
		p.run(50 * time.Millisecond)
	}
	if len(p.b.frames) != 20 {
		t.Errorf("%d of 20 large frames arrived", len(p.b.frames))
	}
}
