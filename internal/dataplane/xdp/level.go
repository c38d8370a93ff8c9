package xdp

// level is how many frames the kernel is given ahead, to put packets in. It takes them in
// turn, so of few each comes round while it is still in the processor's cache, which takes a
// fifth off what receiving costs; but a burst beyond them is lost. So there are twice as many as soon as more than
// three quarters were used between two looks, and half as many when for long not half of those were.
type level struct {
	n    int // 0: leastLevel
	calm int // looks
}

const (
	leastLevel = 1024
	calmLooks  = 4096
)

// now is how many there are to be.
func (l *level) now() int { return max(l.n, leastLevel) }

// look is told how many of them were used since the last look.
func (l *level) look(used int) {
	switch n := l.now(); {
	case used > n*3/4:
		l.n, l.calm = min(2*n, frames), 0
	case used > n*3/8:
		l.calm = 0
	default:
		if l.calm++; l.calm == calmLooks {
			l.n, l.calm = max(n/2, leastLevel), 0
		}
	}
}
