package repair

import (
	"math/bits"
	"time"
)

// delays counts by how much later than unrepaired ones packets were given out, of the
// newest million or so. Steps are a millisecond at first and an eighth of the delay
// further up.
type delays struct {
	n     [delaySteps]uint32
	total uint32
}

const (
	delaySteps = 88
	delaysMost = 1 << 20
)

// delayStep is the step of d.
func delayStep(d time.Duration) int {
	ms := uint(max(d.Milliseconds(), 0))
	if ms < 16 {
		return int(ms)
	}
	octave := bits.Len(ms) - 4
	return min(8*octave+int(ms>>octave), delaySteps-1)
}

// delayOf is the least delay of a step.
func delayOf(step int) time.Duration {
	if step < 16 {
		return time.Duration(step) * time.Millisecond
	}
	octave := step/8 - 1
	return time.Duration((8+step%8)<<octave) * time.Millisecond
}

func (t *delays) add(d time.Duration) {
	t.n[delayStep(d)]++
	if t.total++; t.total < delaysMost {
		return
	}
	t.total = 0
	for i := range t.n {
		t.n[i] /= 2
		t.total += t.n[i]
	}
}

// quantile is the delay that a share q of the packets had at most, to the step; 0 if
// there were none.
func (t *delays) quantile(q float64) time.Duration {
	left := uint32(q * float64(t.total))
	for i, n := range t.n {
		if left < n {
			return delayOf(i)
		}
		left -= n
	}
	return 0
}
