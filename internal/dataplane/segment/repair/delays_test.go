package repair

import (
	"testing"
	"time"
)

func TestDelaysAreCountedToAnEighth(t *testing.T) {
	for d := time.Duration(0); d < 6*time.Second; d += 700 * time.Microsecond {
		got := delayOf(delayStep(d))
		if got > d || d-got > max(d/8, time.Millisecond) {
			t.Fatalf("%v counts as %v", d, got)
		}
	}
	if delayStep(time.Hour) != delaySteps-1 || delayStep(-time.Second) != 0 {
		t.Error("delays beyond the steps are not in the outermost")
	}
	var l delays
	for i := range 3 * delaysMost {
		d := time.Duration(0)
		if i%10 == 0 {
			d = 100 * time.Millisecond
		}
		l.add(d)
	}
	if l.quantile(0.5) != 0 || l.quantile(0.89) != 0 || l.quantile(0.91) != delayOf(delayStep(100*time.Millisecond)) || l.total > delaysMost {
		t.Errorf("p50 %v p89 %v p91 %v of %d", l.quantile(0.5), l.quantile(0.89), l.quantile(0.91), l.total)
	}
}
