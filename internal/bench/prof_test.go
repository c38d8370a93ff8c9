package bench

import "testing"

func BenchmarkCell(b *testing.B) {
	c := Default()
	c.Budget, _ = ParseBudget("2rtt+20ms")
	c.Loss = "bernoulli:0.5"
	c.Packets = 50000
	for b.Loop() {
		Run(c)
	}
}
