package wan

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
)

func TestTheHeapGivesPacketsByTimeThenByOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newDueHeap(1000)
		h.seq = rapid.SampledFrom([]uint32{0, 1<<32 - 50}).Draw(t, "first number")
		var sorted []due // the slow twin
		slot := uint32(0)
		for range rapid.IntRange(0, 300).Draw(t, "operations") {
			if len(sorted) > 0 && rapid.Bool().Draw(t, "pop") {
				want := sorted[0]
				sorted = sorted[1:]
				if top, got := h.top(), h.pop(); got.slot != want.slot || top != got {
					t.Fatalf("popped %+v (top said %+v), want %+v", got, top, want)
				}
				continue
			}
			at := mono.Time(rapid.IntRange(0, 20).Draw(t, "at"))
			h.push(at, slot)
			i := slices.IndexFunc(sorted, func(d due) bool { return d.at > at })
			if i < 0 {
				i = len(sorted)
			}
			sorted = slices.Insert(sorted, i, due{at: at, slot: slot})
			slot++
		}
		if h.len() != len(sorted) {
			t.Fatalf("%d in the heap, want %d", h.len(), len(sorted))
		}
	})
}

func TestTheHistogramBoundsQuantilesFromAbove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(30*time.Second)), 1, 200).Draw(t, "durations")
		for _, d := range all {
			h.add(time.Duration(d))
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			exact := time.Duration(all[min(int(q*float64(len(all))), len(all)-1)])
			if got := h.quantile(q); got < exact || got > exact+exact/8+time.Microsecond {
				t.Fatalf("quantile %v is %v, want %v and at most an eighth more", q, got, exact)
			}
		}
		if h.quantile(1) != h.max || h.max != time.Duration(all[len(all)-1]) {
			t.Fatalf("max %v, want %v", h.max, all[len(all)-1])
		}
	})
	if got := (&histogram{}).quantile(0.99); got != 0 {
		t.Errorf("an empty one: %v", got)
	}
	for i := range len(histogram{}.buckets) {
		if first := upper(i); bucketOf(first-1) != i || bucketOf(first) != i+1 {
			t.Errorf("bucket %d ends at %v, which is in %d, after %d", i, first, bucketOf(first), bucketOf(first-1))
		}
	}
}

func TestARunIsJudgedByItsLatenessAndStalls(t *testing.T) {
	for _, c := range []struct {
		name  string
		stats Stats
		valid bool
	}{
		{"in time", Stats{Since: time.Minute, Lateness: Lateness{P99: 300 * time.Microsecond, Max: 6 * ms}}, true},
		{"one in a hundred late", Stats{Since: time.Minute, Lateness: Lateness{P99: 1100 * time.Microsecond}}, false},
		{"a stall in ten seconds", Stats{Since: 10 * time.Second, Lateness: Lateness{Stalls: 1, Stalled: 16 * ms}}, false},
		{"two short stalls in a minute", Stats{Since: time.Minute, Lateness: Lateness{Stalls: 2, Stalled: 40 * ms}}, true},
		{"a long stall in a minute", Stats{Since: time.Minute, Lateness: Lateness{Stalls: 1, Stalled: 250 * ms}}, false},
		{"packets lost by the emulator", Stats{Since: time.Minute, Nodes: []NodeStats{{Unread: 1}}}, false},
	} {
		c.stats.judge()
		if c.stats.Valid != c.valid || (c.stats.Reason == "") != c.valid {
			t.Errorf("%s: valid %v, %q", c.name, c.stats.Valid, c.stats.Reason)
		}
	}
}
