package seal

import (
	"fmt"
	"testing"
)

var sizes = []int{64, 256, 1400}

func BenchmarkSeal(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dB", n), func(b *testing.B) {
			s := NewSealer(key, 9)
			buf := make([]byte, n+Overhead)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				s.Seal(buf, n, 0)
			}
		})
	}
}

// BenchmarkSealAndOpen is what two PoPs do together; less BenchmarkSeal, it is Open.
func BenchmarkSealAndOpen(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dB", n), func(b *testing.B) {
			s, o := NewSealer(key, 9), NewOpener(key)
			buf := make([]byte, n+Overhead)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				datagram, _, _ := s.Seal(buf, n, 0)
				if _, _, _, reason := o.Open(datagram); reason != OK {
					b.Fatal(reason)
				}
			}
		})
	}
}

func BenchmarkRefuseReplay(b *testing.B) {
	s, o := NewSealer(key, 9), NewOpener(key)
	buf := make([]byte, 256+Overhead)
	datagram, _, _ := s.Seal(buf, 256, 0)
	o.Open(datagram)
	b.ReportAllocs()
	for b.Loop() {
		o.Open(datagram)
	}
}
