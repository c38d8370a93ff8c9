package wan

import "causeway/internal/mono"

// due is a packet on its way: slot says where its bytes are.
type due struct {
	at   mono.Time
	seq  uint32 // order of entry among equals, around the clock
	slot uint32
}

func (a due) before(b due) bool {
	return a.at < b.at || a.at == b.at && int32(a.seq-b.seq) < 0
}

// dueHeap is a heap with four children to a node, which is shallower and keeps
// siblings in one cache line. Its memory is all taken at the start.
type dueHeap struct {
	d   []due
	seq uint32
}

func newDueHeap(size int) *dueHeap { return &dueHeap{d: make([]due, 0, size)} }

func (h *dueHeap) len() int { return len(h.d) }

// top returns the earliest; the heap must not be empty.
func (h *dueHeap) top() due { return h.d[0] }

// push adds a slot due at that time. There must be room.
func (h *dueHeap) push(at mono.Time, slot uint32) {
	e := due{at, h.seq, slot}
	h.seq++
	i := len(h.d)
	h.d = append(h.d, e)
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(h.d[parent]) {
			break
		}
		h.d[i] = h.d[parent]
		i = parent
	}
	h.d[i] = e
}

// pop takes the earliest away.
func (h *dueHeap) pop() due {
	first, last := h.d[0], h.d[len(h.d)-1]
	h.d = h.d[:len(h.d)-1]
	if n := len(h.d); n > 0 {
		h.sink(last, n)
	}
	return first
}

// sink puts e where the hole at the root ends up.
func (h *dueHeap) sink(e due, n int) {
	i := 0
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, n); c++ {
			if h.d[c].before(h.d[least]) {
				least = c
			}
		}
		if !h.d[least].before(e) {
			break
		}
		h.d[i] = h.d[least]
		i = least
	}
	h.d[i] = e
}
