package sessions

import (
	"testing"
)

func TestAHundredThousandSessionsFitInAHundredMegabytes(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	results, err := Measure(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Logf("%s: %d sessions, %d confirmed, %.1f MB, %.0f bytes each", r.Role, r.Sessions, r.Confirmed, float64(r.Heap)/1e6, r.PerEach)
		if r.Confirmed != n {
			t.Errorf("%s: %d of %d sessions are confirmed", r.Role, r.Confirmed, n)
		}
		if limit := 1000.0; r.PerEach > limit {
			t.Errorf("%s: a session takes %.0f bytes, at most %.0f are allowed", r.Role, r.PerEach, limit)
		}
	}
}
