package netbench

import (
	"runtime"
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

func TestATimeWithoutTheCoreIsNoticed(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := pacing{ran: threadTimeNow(), seen: time.Now()}
	time.Sleep(5 * heldUpFor) // the thread rests: as good as being kept from running
	if away := p.heldUp(time.Now()); away < heldUpFor || p.unseen == 0 {
		t.Errorf("away for %v, packets before %d are not judged", away, p.unseen)
	}
}
