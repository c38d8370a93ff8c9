package resequence

import (
	"encoding/binary"

	"causeway/internal/mono"
)

// esp lays out an ESP packet whose body repeats its number, so that mixed-up
// bytes are noticed.
func esp(spi, seq uint32, size int) []byte {
	b := make([]byte, max(size, 16))
	for i := range b {
		b[i] = byte(seq) + byte(i)
	}
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], seq)
	return b
}

func seqOf(payload []byte) uint32 { return binary.BigEndian.Uint32(payload[4:]) }

// peer accepts ESP as RFC 4303 appendix A and strongSwan do: a bitmap of the last
// window numbers, by 64-bit numbers that the test knows.
type peer struct {
	window int64
	top    int64
	seen   map[int64]bool
}

func newPeer(window int) *peer { return &peer{window: int64(window), seen: map[int64]bool{}} }

func (p *peer) accepts(seq int64) bool {
	if seq <= p.top-p.window || p.seen[seq] {
		return false
	}
	p.seen[seq] = true
	p.top = max(p.top, seq)
	return true
}

// twin does for one SPI what a stream does, slowly, on 64-bit numbers, without
// limits of memory or span and without suspicion.
type twin struct {
	config   Config
	began    bool
	base     int64
	top      int64
	released map[int64]bool
	entries  map[int64]twinEntry
	out      []int64
}

type twinEntry struct {
	due  mono.Time
	left bool
}

func newTwin(c Config) *twin {
	return &twin{config: c, released: map[int64]bool{}, entries: map[int64]twinEntry{}}
}

func (w *twin) push(now mono.Time, seq int64, deadline mono.Time) {
	if !w.began {
		w.began, w.base, w.top = true, seq-1, seq-1
	}
	_, waits := w.entries[seq]
	switch {
	case w.released[seq] || waits:
		return
	case seq <= w.base:
		if w.top-seq < int64(w.config.acceptable()) {
			w.release(seq)
		}
		return
	}
	due := mono.Earliest(deadline, now.Add(w.config.hold()))
	if w.config.Mode == Off {
		due = now
	}
	w.entries[seq] = twinEntry{due: due}
	if !due.After(now) {
		w.giveUpTo(seq)
	}
	w.proceed()
}

func (w *twin) due(now mono.Time) {
	for len(w.entries) > 0 && !w.next().After(now) {
		w.giveUpTo(w.first())
		w.proceed()
	}
}

func (w *twin) next() (at mono.Time) {
	for _, e := range w.entries {
		at = mono.Earliest(at, e.due)
	}
	return at
}

func (w *twin) first() int64 {
	first := int64(1) << 62
	for seq := range w.entries {
		first = min(first, seq)
	}
	return first
}

// giveUpTo releases all entries before seq in order and makes it the next.
func (w *twin) giveUpTo(seq int64) {
	for {
		first := w.first()
		if first >= seq {
			break
		}
		w.base = first - 1
		w.proceed()
	}
	w.base = max(w.base, seq-1)
}

func (w *twin) proceed() {
	for {
		e, ok := w.entries[w.base+1]
		if !ok {
			break
		}
		if !e.left {
			w.release(w.base + 1)
		}
		w.base++
		w.released[w.base] = true
		delete(w.entries, w.base)
	}
	for seq := w.base + 1; seq <= w.base+int64(w.config.reach()); seq++ {
		if e, ok := w.entries[seq]; ok && !e.left {
			w.release(seq)
			w.entries[seq] = twinEntry{e.due, true}
		}
	}
}

func (w *twin) release(seq int64) {
	w.out = append(w.out, seq)
	w.top = max(w.top, seq)
	w.released[seq] = true
}

// waiting is how many entries have not left.
func (w *twin) waiting() (n int) {
	for _, e := range w.entries {
		if !e.left {
			n++
		}
	}
	return n
}
