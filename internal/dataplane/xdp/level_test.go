package xdp

import (
	"sync/atomic"
	"testing"
)

func TestFramesAheadFollowWhatIsUsed(t *testing.T) {
	var l level
	look := func(used, times, want int) {
		t.Helper()
		for range times {
			l.look(used)
		}
		if l.now() != want {
			t.Fatalf("%d times %d used: %d are given ahead, want %d", times, used, l.now(), want)
		}
	}
	const most = leastLevel / 2
	look(0, calmLooks-1, firstLevel)
	look(0, 1, leastLevel)
	look(0, 3*calmLooks, leastLevel)
	look(most, 3*calmLooks, leastLevel)
	look(most+1, 1, 2*leastLevel)
	look(most+1, 3*calmLooks, 2*leastLevel) // more than half would do with: as it is
	look(most, calmLooks-1, 2*leastLevel)
	look(most, 1, leastLevel)
	for range 10 {
		look(l.now(), 1, min(2*l.now(), frames))
	}
	look(1, calmLooks-1, frames)
	look(frames, 1, frames)
	look(frames/4, calmLooks-1, frames)
	look(frames/4, 1, frames/2)
	look(1, 10*calmLooks, leastLevel)
}

// No frame is lost or given twice, whatever comes and goes.
func TestFramesGoRound(t *testing.T) {
	q, kernel := ringOfMemory(frames)
	s := &socket{queue: q, lent: make([]uint64, 0, frames)}
	q.socks = []*socket{s}
	for i := range frames {
		q.spare = append(q.spare, uint64(i*frameSize))
	}
	q.giveAhead()
	for _, burst := range []int{1, 64, 300, 900, 1800, 4096, 4096, 10, 1, 1} {
		for range calmLooks + 10 {
			var got [frames]uint64
			n := kernel(got[:burst])
			s.lent = append(s.lent, got[:n]...)
			s.release()
			if n == burst && n == 4096 {
				break
			}
		}
	}
	seen := map[uint64]bool{}
	var got [frames]uint64
	for _, f := range append(append([]uint64(nil), q.spare...), got[:kernel(got[:])]...) {
		if seen[f] || f%frameSize != 0 || f >= frames*frameSize {
			t.Fatalf("frame %d is there twice, or none", f)
		}
		seen[f] = true
	}
	if len(seen) != frames {
		t.Fatalf("%d frames of %d are left", len(seen), frames)
	}
}

// ringOfMemory is a queue whose fill ring is here; kernel takes from it.
func ringOfMemory(size int) (q *queue, kernel func([]uint64) int) {
	q = &queue{fill: ring[uint64]{producer: new(atomic.Uint32), consumer: new(atomic.Uint32), slots: make([]uint64, size), mask: uint32(size - 1)}}
	return q, q.fill.take
}
