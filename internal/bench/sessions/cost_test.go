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
	for _, c := range list {
		if c.Packet <= 0 || c.PacketOut <= 0 || c.FromClient <= 0 || c.ToClient <= 0 || c.FromEndpoint <= 0 || c.ToEndpoint <= 0 || c.Ratio <= 0 || c.Worst <= 0 {
			t.Errorf("%+v", c)
		}
	}
	if c := list[1]; c.Ratio != 1 || c.RatioOut != 1 || c.PerEach <= 0 || c.PerEachOut <= 0 {
		t.Errorf("%+v", c)
	}
}
