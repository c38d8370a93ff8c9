package session

// index finds places by the hashes of what stands there: a few bytes an entry, no
// pointers, and most often one cache line to look at. What it finds must be compared:
// two things may have one hash.
//
// It grows in parts: a page that is full is split in two, so that no entry waits for
// more than a page to be gone through, however many there are.
type index struct {
	pages []*page // by a hash's first bits; several in a row may be the same
	depth uint8   // how many bits
	n     int     // entries
}

// page has the entries of the hashes that begin with the same bits, each where its
// last bits say or as soon behind as there is room. An entry is the hash and the place + 1;
// zero is none.
type page struct {
	entries []uint64
	used    int
	depth   uint8 // how many first bits they have in common
}

const (
	pageLeast = 64
	pageMost  = 4096
)

func newIndex() index {
	return index{pages: []*page{{entries: make([]uint64, pageLeast)}}}
}

func (x *index) page(hash uint32) *page { return x.pages[hash>>(32-x.depth)] }

// cursor goes over the places that may be meant.
type cursor struct {
	entries []uint64
	hash    uint32
	at      uint32
}

func (x *index) seek(hash uint32) cursor { return cursor{x.page(hash).entries, hash, hash} }

func (c *cursor) next() (place uint32, ok bool) {
	mask := uint32(len(c.entries) - 1)
	for {
		e := c.entries[c.at&mask]
		c.at++
		switch {
		case e == 0:
			return 0, false
		case uint32(e>>32) == c.hash:
			return uint32(e) - 1, true
		}
	}
}

// warm reads where a search for the hash begins, and returns something of it.
func (x *index) warm(hash uint32) uint64 {
	entries := x.page(hash).entries
	return entries[hash&uint32(len(entries)-1)]
}

// put adds a place under a hash. The same must not be there.
func (x *index) put(hash, place uint32) {
	p := x.page(hash)
	for 4*(p.used+1) > 3*len(p.entries) {
		x.grow(p, hash)
		p = x.page(hash)
	}
	p.put(uint64(hash)<<32 | uint64(place+1))
	x.n++
}

func (p *page) put(e uint64) {
	mask := uint32(len(p.entries) - 1)
	at := uint32(e>>32) & mask
	for p.entries[at] != 0 {
		at = (at + 1) & mask
	}
	p.entries[at] = e
	p.used++
}

// drop takes a place out, if it is there.
func (x *index) drop(hash, place uint32) {
	p := x.page(hash)
	mask := uint32(len(p.entries) - 1)
	hole := hash & mask
	for e := uint64(hash)<<32 | uint64(place+1); p.entries[hole] != e; hole = (hole + 1) & mask {
		if p.entries[hole] == 0 {
			return
		}
	}
	// What stands behind the hole moves up, unless it would stand before where it belongs.
	for at := (hole + 1) & mask; p.entries[at] != 0; at = (at + 1) & mask {
		if home := uint32(p.entries[at]>>32) & mask; (at-home)&mask >= (at-hole)&mask {
			p.entries[hole], hole = p.entries[at], at
		}
	}
	p.entries[hole] = 0
	p.used--
	x.n--
}

// grow makes room in a page, or splits it.
func (x *index) grow(p *page, hash uint32) {
	old := p.entries
	p.used = 0
	if len(old) < pageMost {
		p.entries = make([]uint64, 2*len(old))
		for _, e := range old {
			if e != 0 {
				p.put(e)
			}
		}
		return
	}
	if p.depth == x.depth {
		pages := make([]*page, 2*len(x.pages))
		for i, q := range x.pages {
			pages[2*i], pages[2*i+1] = q, q
		}
		x.pages, x.depth = pages, x.depth+1
	}
	p.entries = make([]uint64, pageMost)
	p.depth++
	q := &page{entries: make([]uint64, pageMost), depth: p.depth}
	for _, e := range old {
		switch {
		case e == 0:
		case uint32(e>>32)>>(32-p.depth)&1 == 0:
			p.put(e)
		default:
			q.put(e)
		}
	}
	// The second half of the directory's places for p is q's.
	span := 1 << (x.depth - p.depth)
	begin := int(hash>>(32-p.depth)|1) * span
	for i := range span {
		x.pages[begin+i] = q
	}
}
