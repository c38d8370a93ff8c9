package seal

import (
	"testing"

	"pgregory.net/rapid"
)

// naive is the window as one would say it: what was seen, and how far behind the newest.
type naive struct {
	seen   map[uint64]bool
	newest uint64
}

func (n *naive) take(pn uint64) Reason {
	switch {
	case len(n.seen) > 0 && pn < n.newest && n.newest-pn >= Window:
		return TooOld
	case n.seen[pn]:
		return Replayed
	}
	if len(n.seen) == 0 || pn > n.newest {
		n.newest = pn
	}
	n.seen[pn] = true
	return OK
}

// takeAs does with a window what Open does.
func (w *window) takeAs(pn uint64) Reason {
	reason := w.check(pn)
	if reason == OK {
		w.mark(pn)
	}
	return reason
}

// Each of rapid's 100 checks takes 1,200 numbers: the next ones, jumps of all
// sizes, numbers long past, and those at the edges of window and ring.
func TestWindowAgreesWithTheNaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		n := naive{seen: map[uint64]bool{}}
		choice := rapid.IntRange(0, 9)
		near := rapid.Uint64Range(0, 200)
		within := rapid.Uint64Range(0, 2*Window)
		far := rapid.Uint64Range(0, 1<<40)
		n.newest = rapid.OneOf(rapid.Just(uint64(0)), far).Draw(t, "start")
		for range 1200 {
			pn := n.newest
			switch choice.Draw(t, "step") {
			case 0, 1, 2:
				pn++
			case 3:
				pn += near.Draw(t, "ahead")
			case 4:
				pn += within.Draw(t, "jump")
			case 5:
				if far := far.Draw(t, "leap"); far%8 == 0 {
					pn += far
				}
			case 6, 7:
				pn -= min(pn, near.Draw(t, "behind"))
			case 8:
				pn -= min(pn, within.Draw(t, "long past"))
			case 9:
				pn -= min(pn, Window-100+near.Draw(t, "edge"))
			}
			if got, want := w.takeAs(pn), n.take(pn); got != want {
				t.Fatalf("number %d with newest %d: %v, want %v", pn, n.newest, got, want)
			}
		}
	})
}

func TestWindowEdges(t *testing.T) {
	for _, first := range []uint64{0, 1, 63, 64, 65, Window - 1, Window, Window + 1, 1 << 55} {
		var w window
		for _, step := range []struct {
			pn   uint64
			want Reason
		}{
			{first, OK}, {first, Replayed},
			{first + Window - 1, OK}, {first, Replayed}, {first + 1, OK},
			{first + Window, OK}, {first, TooOld}, {first + 1, Replayed}, {first + 2, OK},
			{first + 3*Window, OK}, {first + 2*Window, TooOld}, {first + 2*Window + 1, OK}, {first + 2*Window + 1, Replayed},
			{first + 3*Window + windowWords*64, OK}, {first + 3*Window + 1, TooOld}, {first + 3*Window + windowWords*64 - 1, OK},
		} {
			if got := w.takeAs(step.pn); got != step.want {
				t.Errorf("first %d, then %d: %v, want %v", first, step.pn, got, step.want)
			}
		}
	}
}

// A whole window's worth in any order is taken, each number once.
func TestWindowTakesEverythingOnce(t *testing.T) {
	for _, stride := range []uint64{1, 3, 4097, 65535} { // all odd, so each number comes up
		var w window
		w.takeAs(Window - 1) // the newest first: the worst order
		for i := range uint64(Window) {
			pn := i * stride % Window
			want := OK
			if pn == Window-1 {
				want = Replayed
			}
			if got := w.takeAs(pn); got != want {
				t.Fatalf("number %d: %v, want %v", pn, got, want)
			}
			if got := w.takeAs(pn); got != Replayed {
				t.Fatalf("number %d again: %v", pn, got)
			}
		}
	}
}
