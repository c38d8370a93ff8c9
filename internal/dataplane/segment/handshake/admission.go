package handshake

import (
	"cmp"
	"net/netip"
	"time"

	"causeway/internal/mono"
)

// How many handshakes a second a Responder works on. One costs five curve
// operations, about 0.25 ms (BenchmarkRespond): the first figure is 1.3 % of a
// core for anybody who knows our public key, the second 25 % for addresses that
// proved themselves, which is enough for a thousand PoPs that come back at once.
const (
	defaultRate             = 50 // for anybody; see SetRate. The burst is as much
	provenRate, provenBurst = 1000, 200
	sourceRate, sourceBurst = 20, 20 // a proven source, by /24 or /48
	sourceCells             = 1024   // sources share a cell by chance
)

// bucket holds tokens that come at a rate. The zero value is full.
type bucket struct {
	used float64 // tokens taken and not come back yet
	last mono.Time
}

// take takes a token if there is one.
func (b *bucket) take(now mono.Time, rate, burst float64) bool {
	if passed := now.Sub(b.last); passed > 0 {
		b.used = max(0, b.used-rate*float64(passed)/float64(time.Second))
		b.last = now
	}
	if b.used+1 > burst {
		return false
	}
	b.used++
	return true
}

// admission decides who may cost us curve operations. Its size is fixed.
type admission struct {
	anybody, proven bucket
	sources         [sourceCells]bucket
	rate            float64 // for anybody, and the burst; 0: defaultRate
	salt            *mac    // so that nobody can choose a cell to share
}

// admitAnybody decides about an address that has shown nothing.
func (a *admission) admitAnybody(now mono.Time) bool {
	rate := cmp.Or(a.rate, defaultRate)
	return a.anybody.take(now, rate, rate)
}

// admitProven decides about an address that showed its cookie.
func (a *admission) admitProven(now mono.Time, from netip.AddrPort) bool {
	bits := 48
	if from.Addr().Unmap().Is4() {
		bits = 24
	}
	prefix, err := from.Addr().Unmap().Prefix(bits)
	if err != nil {
		return false
	}
	ip := prefix.Addr().As16()
	sum := a.salt.of(ip[:])
	cell := &a.sources[(int(sum[0])<<8|int(sum[1]))%sourceCells]
	return cell.take(now, sourceRate, sourceBurst) && a.proven.take(now, provenRate, provenBurst)
}
