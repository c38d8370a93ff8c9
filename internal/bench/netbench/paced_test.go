package netbench

import (
	"testing"
	"time"
)

func TestQuantilesAndLossOfWhatWasPaced(t *testing.T) {
	r := PacedResult{Sent: 8, Arrived: 6, Delays: []time.Duration{1, 2, 3, 4, 5, 6}}
	if r.At(0) != 1 || r.At(0.5) != 4 || r.At(0.99) != 6 || r.At(1) != 6 {
		t.Errorf("quantiles %v %v %v %v", r.At(0), r.At(0.5), r.At(0.99), r.At(1))
	}
	if r.Lost() != 0.25 {
		t.Errorf("lost %v", r.Lost())
	}
	var none PacedResult
	if none.At(0.5) != 0 || none.Lost() != 0 {
		t.Errorf("of nothing: %v, %v", none.At(0.5), none.Lost())
	}
}
