package report

import (
	"math"
	"testing"
)

func TestStretchesAreTheDifferenceOfWhatTwoPoPsSaw(t *testing.T) {
	esp := func(packets, lost uint64) IPsecLane {
		l := ESPLane{Packets: packets, Lost: lost}
		if packets+lost > 0 {
			l.Loss = float64(lost) / float64(packets+lost)
		}
		return IPsecLane{ESP: l}
	}
	for name, c := range map[string]struct {
		ingress, egress IPsec
		want            [4]float64 // negative: not known
	}{
		"nothing was seen":                           {IPsec{}, IPsec{}, [4]float64{-1, -1, -1, -1}},
		"all came":                                   {IPsec{ToEndpoint: esp(100, 0), ToClient: esp(50, 0)}, IPsec{ToEndpoint: esp(100, 0), ToClient: esp(50, 0)}, [4]float64{0, 0, 0, 0}},
		"one in ten before, one in nine between":     {IPsec{ToEndpoint: esp(90, 10)}, IPsec{ToEndpoint: esp(80, 20)}, [4]float64{0.1, 1.0 / 9, -1, -1}},
		"the egress counts since later":              {IPsec{ToEndpoint: esp(900, 100)}, IPsec{ToEndpoint: esp(80, 20)}, [4]float64{0.1, 1.0 / 9, -1, -1}},
		"on the way back":                            {IPsec{ToClient: esp(72, 28)}, IPsec{ToClient: esp(80, 20)}, [4]float64{-1, -1, 0.2, 0.1}},
		"less is missing behind than before: chance": {IPsec{ToEndpoint: esp(98, 2)}, IPsec{ToEndpoint: esp(99, 1)}, [4]float64{0.02, 0, -1, -1}},
		"nothing has come to the far end yet":        {IPsec{ToEndpoint: esp(98, 2)}, IPsec{}, [4]float64{0.02, -1, -1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, s := range Stretches(c.ingress, c.egress) {
				if s.Known != (c.want[i] >= 0) || s.Known && math.Abs(s.Loss-c.want[i]) > 1e-9 {
					t.Errorf("%s to %s: %+v, want %v", s.From, s.To, s, c.want[i])
				}
			}
		})
	}
}
