package xdp

// level is how many frames the kernel is given ahead, to put packets in. It takes them in
// turn, so of few each comes round while it is still in the processor's cache, which takes up to a
// fifth off what receiving costs; but a burst beyond them is lost, as comes when something keeps the worker from
// its core. So there are twice as many as soon as more than half were used between two looks, and
// half as many when for long no quarter was.
type level struct {
	n    int // 0: firstLevel
	calm int // looks
}

const (
	firstLevel = 2048
	leastLevel = 1024
	calmLooks  = 4096
)

// now is how many there are to be.
func (l *level) now() int {
	if l.n == 0 {
		return firstLevel
	}
	return l.n
}

// look is told how many of them were used since the last look.
func (l *level) look(used int) {
	switch n := l.now(); {
	case used > n/2:
		l.n, l.calm = min(2*n, frames), 0
	case used > n/4:
		l.calm = 0
	default:
		if l.calm++; l.calm == calmLooks {
			l.n, l.calm = max(n/2, leastLevel), 0
		}
	}
}
