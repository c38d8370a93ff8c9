package sessions

import "testing"

func TestAHundredThousandSessionsFitInSixtyMegabytes(t *testing.T) {
	n, limit := 100_000, 600.0 // bytes each
	if slow || testing.Short() {
		n, limit = 10_000, 1500 // few sessions' tables are emptier
	}
	results, err := Measure(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Logf("%s: %d sessions, %.1f MB, %.0f bytes each", r.Role, r.Sessions, float64(r.Heap)/1e6, r.PerEach)
		if r.PerEach > limit {
			t.Errorf("%s: a session takes %.0f bytes, at most %.0f are allowed", r.Role, r.PerEach, limit)
		}
	}
}

// The bench is only as good as its tunnel: what stands for IKE must be taken as such,
// and every packet must come through.
func TestEveryPacketComesThroughBothWays(t *testing.T) {
	w, err := newWorld(3000) // so many that sessions are read together
	if err != nil {
		t.Fatal(err)
	}
	if err := w.openAll(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		w.once()
	}
	if w.turn.arrived != 20*batch || w.turn.returned != 20*batch {
		t.Errorf("%d of %d packets arrived, %d answers returned", w.turn.arrived, 20*batch, w.turn.returned)
	}
}

func TestCountsOutsideTheBoundsAreRefused(t *testing.T) {
	for _, n := range []int{0, -1, 1_000_001} {
		if _, err := Measure(n); err == nil {
			t.Errorf("%d sessions are measured; want a refusal", n)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		results, err := Measure(100_000)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			b.ReportMetric(r.PerEach, r.Role+"-bytes/session")
			b.ReportMetric(float64(r.Heap)/1e6, r.Role+"-MB/100k")
		}
	}
}
