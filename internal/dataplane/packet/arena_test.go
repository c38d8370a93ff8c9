package packet

import "testing"

func TestSlicesStayApartUntilReset(t *testing.T) {
	var a Arena
	var held [][]byte
	for i := range 2000 {
		b := a.Alloc(1 + i%1500)
		for j := range b {
			b[j] = byte(i)
		}
		held = append(held, b)
	}
	for i, b := range held {
		for _, c := range b {
			if c != byte(i) {
				t.Fatalf("slice %d was overwritten", i)
			}
		}
	}
}

func TestArenaAllocatesNothingOnceWarm(t *testing.T) {
	var a Arena
	use := func() {
		for range 500 {
			a.Alloc(1500)
		}
		a.Reset()
	}
	use()
	if n := testing.AllocsPerRun(20, use); n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
}

func TestAppendingToASliceCannotReachItsNeighbour(t *testing.T) {
	var a Arena
	first, second := a.Alloc(4), a.Alloc(4)
	_ = append(first, 9)
	if second[0] != 0 {
		t.Error("append ran into the next slice")
	}
}
