package limits

import (
	"fmt"
	"testing"
)

func TestPrint(t *testing.T) {
	for _, c := range []struct {
		p    float64
		j    int
		want map[int]float64
	}{
		{.05, 1, map[int]float64{1: 1.150, 4: 1.143, 16: 1.105, 64: 1.076}},
		{.2, 0, map[int]float64{1: 8, 4: 3.5, 16: 2.06, 64: 1.594}},
		{.2, 1, map[int]float64{1: 2.24, 4: 1.657, 16: 1.418, 64: 1.319, 128: 1.293}},
		{.2, 2, map[int]float64{1: 1.448, 4: 1.405, 64: 1.273}},
		{.2, 3, map[int]float64{1: 1.28, 64: 1.259}},
		{.5, 1, map[int]float64{1: 4.75, 64: 2.197}},
		{.5, 2, map[int]float64{1: 3.125, 64: 2.081}},
	} {
		for k, w := range c.want {
			fmt.Println(c.p, c.j, k, w, Hybrid{c.p, c.j, k}.Best(1e-5))
		}
	}
}
