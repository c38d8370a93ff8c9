package seal

// Window is how far behind a wire's newest packet number another may be and
// still be opened: at 90,000 packets a second, 0.7 s of skew.
const Window = 1 << 16

// windowWords holds Window bits and one word more, so that the newest word,
// which is only partly in use, never covers one that is still needed.
const windowWords = Window/64 + 1

// window remembers which of a wire's last packet numbers were opened. It is the
// ring of RFC 6479: bits never move, and words are cleared as the newest number
// passes them. The zero value has seen nothing.
type window struct {
	bits [windowWords]uint64
	top  uint64 // one more than the newest number seen
}

// check tells whether pn would be news.
func (w *window) check(pn uint64) Reason {
	switch {
	case pn >= w.top:
		return OK
	case w.top-pn > Window:
		return TooOld
	case w.bits[pn/64%windowWords]&(1<<(pn%64)) != 0:
		return Replayed
	}
	return OK
}

// mark records pn as seen; check must have found it to be news.
func (w *window) mark(pn uint64) {
	if pn >= w.top {
		w.advance(pn)
	}
	w.bits[pn/64%windowWords] |= 1 << (pn % 64)
}

// advance makes pn the newest number and forgets what its words held before.
func (w *window) advance(pn uint64) {
	if w.top == 0 { // nothing seen, so nothing to forget
		w.top = pn + 1
		return
	}
	from, to := (w.top-1)/64, pn/64
	for word := from + 1; word <= to && word <= from+windowWords; word++ {
		w.bits[word%windowWords] = 0
	}
	w.top = pn + 1
}
