package session

import (
	"testing"

	"pgregory.net/rapid"
)

// invariants: every entry is in the page that its hash leads to, can be reached
// there, and is counted.
func (x *index) invariants(f interface{ Fatalf(string, ...any) }) {
	n := 0
	seen := map[*page]bool{}
	for at, p := range x.pages {
		if seen[p] {
			continue
		}
		seen[p] = true
		if p.depth > x.depth || at>>(x.depth-p.depth)<<(x.depth-p.depth) != at {
			f.Fatalf("a page of depth %d begins at %d of a directory of depth %d", p.depth, at, x.depth)
		}
		used := 0
		for _, e := range p.entries {
			if e == 0 {
				continue
			}
			used++
			hash, place := uint32(e>>32), uint32(e)-1
			if x.page(hash) != p {
				f.Fatalf("hash %x stands in another's page", hash)
			}
			if !x.holds(hash, place) {
				f.Fatalf("place %d is not found under its hash %x", place, hash)
			}
		}
		if used != p.used || used == len(p.entries) {
			f.Fatalf("a page of %d counts %d entries, and has %d", len(p.entries), p.used, used)
		}
		n += used
	}
	if n != x.n {
		f.Fatalf("%d entries, counted %d", n, x.n)
	}
}

func (x *index) holds(hash, place uint32) bool {
	for c := x.seek(hash); ; {
		got, ok := c.next()
		if !ok || got == place {
			return ok
		}
	}
}

func TestAnIndexDoesWhatAMapWouldDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few bits make many meet; the rest spread them over the directory.
		hash := func(n uint32) uint32 { return n * 2654435761 }
		if rapid.Bool().Draw(t, "hashes that meet") {
			hash = func(n uint32) uint32 { return n % 7 * 0x20000001 }
		}
		x, m := newIndex(), map[uint32]bool{}
		rounds := rapid.IntRange(1, 6).Draw(t, "rounds")
		for range rounds {
			from, n := rapid.Uint32Range(0, 3000).Draw(t, "from"), rapid.Uint32Range(1, 400).Draw(t, "n")
			put := rapid.IntRange(0, 2).Draw(t, "put") > 0
			for place := from; place < from+n; place++ {
				if put && !m[place] {
					x.put(hash(place), place)
					m[place] = true
				} else if !put {
					x.drop(hash(place), place) // which may not be there
					delete(m, place)
				}
			}
			x.invariants(t)
		}
		for place := range uint32(3500) {
			if x.holds(hash(place), place) != m[place] {
				t.Fatalf("place %d: %v, want %v", place, !m[place], m[place])
			}
		}
	})
}

func TestAnIndexGrowsInPartsAndForgetsNothing(t *testing.T) {
	x := newIndex()
	hash := func(n uint32) uint32 { return n*2654435761 ^ n>>7 }
	const n = 50_000
	for place := range uint32(n) {
		x.put(hash(place), place)
	}
	x.invariants(t)
	if len(x.pages) < n/pageMost {
		t.Errorf("%d pages for %d entries", len(x.pages), n)
	}
	for place := range uint32(n) {
		if !x.holds(hash(place), place) {
			t.Fatalf("place %d is not found", place)
		}
		if place%3 != 0 {
			x.drop(hash(place), place)
		}
	}
	x.invariants(t)
	for place := range uint32(n) {
		if x.holds(hash(place), place) != (place%3 == 0) {
			t.Fatalf("place %d", place)
		}
	}
}
