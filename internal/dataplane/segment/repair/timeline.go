package repair

import "causeway/internal/mono"

// timeline remembers an instant for each of the newest numbers. It grows with how many
// are wanted, up to a limit beyond which the oldest are overwritten.
type timeline struct {
	at   []mono.Time // ring by number, a power of two
	most int
}

const firstTimeline = 1024

func newTimeline(most int) timeline {
	return timeline{at: make([]mono.Time, min(firstTimeline, most)), most: most}
}

// of returns the instant of seq.
func (t *timeline) of(seq uint32) mono.Time { return t.at[seq&uint32(len(t.at)-1)] }

// set notes the instant of seq.
func (t *timeline) set(seq uint32, at mono.Time) { t.at[seq&uint32(len(t.at)-1)] = at }

// room sees to it that what is known from first on stays known when numbers up to end
// are set, which it is of before next.
func (t *timeline) room(first, next, end uint32) {
	n := len(t.at)
	for int(end-first) > n && n < t.most {
		n *= 2
	}
	if n == len(t.at) {
		return
	}
	if int(next-first) > len(t.at) {
		first = next - uint32(len(t.at))
	}
	old := *t
	t.at = make([]mono.Time, n)
	for seq := first; seq != next; seq++ {
		t.set(seq, old.of(seq))
	}
}
