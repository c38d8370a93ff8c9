package sessions

import "testing"

func TestCostsAreOfTheSessionsThatWereAskedFor(t *testing.T) {
	list, err := Costs([]int{1, 1000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Sessions != 1 || list[1].Sessions != 1000 {
		t.Fatalf("%+v", list)
	}
	if list[0].Packet <= 0 || list[1].Packet <= 0 || list[1].Ratio != 1 || list[1].PerEach <= 0 || list[1].PerEachOut <= 0 {
		t.Errorf("%+v", list)
	}
}
