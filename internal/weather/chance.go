package weather

import "math"

// stream is a seeded sequence that can be read at any place: value n is the
// SplitMix64 output for counter n (Steele, Lea, Flood 2014), so a packet's
// number alone fixes its fate.
type stream uint64

// Derive returns a seed of its own for each name under one seed.
func Derive(seed uint64, name string) uint64 {
	h := mix(seed ^ 0x6a09e667f3bcc909)
	for i := 0; i < len(name); i++ {
		h = mix(h ^ uint64(name[i]) + golden)
	}
	return mix(h + uint64(len(name)))
}

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform returns value n in [0, 1).
func (s stream) uniform(n uint64) float64 {
	return float64(mix(uint64(s)+(n+1)*golden)>>11) * 0x1p-53
}

// hit reports whether value n falls within probability p.
func (s stream) hit(n uint64, p float64) bool { return p > 0 && s.uniform(n) < p }

// exponential returns value n with mean 1.
func (s stream) exponential(n uint64) float64 { return -math.Log(1 - s.uniform(n)) }

// normal returns value n with mean 0 and variance 1 (Box–Muller).
func (s stream) normal(n uint64) float64 {
	r := math.Sqrt(2 * s.exponential(2*n))
	return r * math.Cos(2*math.Pi*s.uniform(2*n+1))
}
