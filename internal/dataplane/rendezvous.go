package dataplane

import (
	"math"
	"net/netip"
)

// rendezvous scores an endpoint for a client; the highest score wins. The same
// client scores the same on every PoP and after every restart.
func rendezvous(client, endpoint netip.Addr, weight int) float64 {
	h := uint64(14695981039346656037)
	for _, a := range [...]netip.Addr{client, endpoint} {
		b := a.As16()
		for _, c := range b {
			h = (h ^ uint64(c)) * 1099511628211
		}
	}
	return -float64(weight) / math.Log(fraction(h))
}

// share is the client's place in (0, 1) for a question with the given salt: as
// evenly spread over clients as over salts, and always the same.
func share(client netip.Addr, salt uint64) float64 {
	h := salt
	for _, c := range client.As16() {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fraction(h)
}

// fraction mixes h's bits into a number in (0, 1).
func fraction(h uint64) float64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return (float64(h>>11) + 0.5) / (1 << 53)
}
