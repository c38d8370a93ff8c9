package dataplane

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"causeway/internal/snapshot"
)

// The obvious way to judge: walk both lists.
func slowJudge(l *snapshot.Listener, a netip.Addr) bool {
	in := func(list []netip.Prefix) bool {
		for _, p := range list {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return !in(l.Deny) && (len(l.Allow) == 0 || in(l.Allow))
}

func TestTheTablesOfClientsSayWhatTheListsSay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	address := func() netip.Addr {
		if rng.IntN(4) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(rng.IntN(3)), byte(rng.IntN(256)), 15: byte(rng.IntN(256))})
		}
		return netip.AddrFrom4([4]byte{10, byte(rng.IntN(3)), byte(rng.IntN(256)), byte(rng.IntN(256))})
	}
	list := func() (out []netip.Prefix) {
		for range rng.IntN(30) {
			a := address()
			out = append(out, netip.PrefixFrom(a, rng.IntN(a.BitLen()-8)+8).Masked())
		}
		return out
	}
	for range 200 {
		l := snapshot.Listener{Allow: list(), Deny: list()}
		c := clientsOf(&l)
		for range 200 {
			a := address()
			if _, ok := c.judge(a); ok != slowJudge(&l, a) {
				t.Fatalf("%v: tables say %v; allow %v, deny %v", a, ok, l.Allow, l.Deny)
			}
		}
	}
}

func BenchmarkJudgingAClientAmong10000Prefixes(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := snapshot.Listener{}
	for range snapshot.MaxClientPrefixes {
		l.Deny = append(l.Deny, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), 0}), 24))
	}
	c := clientsOf(&l)
	b.ReportAllocs()
	for b.Loop() {
		c.judge(clientIP)
	}
}
