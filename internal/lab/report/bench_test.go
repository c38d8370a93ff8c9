package report

import "testing"

// What one picture costs; a run makes one.
func BenchmarkPNG(b *testing.B) {
	d := sample(600, 200)
	for b.Loop() {
		if _, err := PNG(d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHTML(b *testing.B) {
	d := sample(17_280, 1000)
	for b.Loop() {
		if _, err := HTML(d); err != nil {
			b.Fatal(err)
		}
	}
}
