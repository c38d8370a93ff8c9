package limit

import "causeway/internal/mono"

// Direction names where a packet goes.
type Direction uint8

const (
	ToEndpoint Direction = iota
	ToClient
	Directions
)

// Allowance is what some listeners may use together: bandwidth in each
// direction by itself, and sessions. The zero Allowance bounds nothing.
type Allowance struct {
	Name  string
	Lanes [Directions]Lane

	Sessions        int    // confirmed sessions that may exist at once; 0: not bounded
	Open            int    // confirmed sessions that exist; kept by the owner
	RefusedSessions uint64 // sessions that were not let in, or packets of them
}

// Lane is one direction of an Allowance.
type Lane struct {
	Bucket
	Meter   Meter
	Passed  Count
	Dropped Count
	Told    uint64 // bytes of Passed and Dropped that the owner has told those it shares the allowance with
}

// Count is packets and their bytes.
type Count struct{ Packets, Bytes uint64 }

// Add counts one packet of n bytes.
func (c *Count) Add(n int) { c.Packets++; c.Bytes += uint64(n) }

// Set changes the bounds; see Bucket.Set.
func (a *Allowance) Set(now mono.Time, rate, burst int64, sessions int) {
	for d := range a.Lanes {
		a.Lanes[d].Set(now, rate, burst)
	}
	a.Sessions = sessions
}

// Full reports whether no further session may be confirmed.
func (a *Allowance) Full() bool { return a.Sessions > 0 && a.Open >= a.Sessions }

// Admit reports whether a packet of n bytes may pass all of the allowances, and
// charges all of them or none. The one that refuses counts the packet.
func Admit(now mono.Time, all []*Allowance, d Direction, n int, urgent bool) bool {
	for _, a := range all {
		if l := &a.Lanes[d]; !l.Open(now, urgent) {
			l.Dropped.Add(n)
			return false
		}
	}
	for _, a := range all {
		l := &a.Lanes[d]
		l.Take(n)
		l.Passed.Add(n)
		l.Meter.Add(now, n)
	}
	return true
}

// Refund undoes an Admit that has just let a packet pass which then did not leave.
func Refund(all []*Allowance, d Direction, n int) {
	for _, a := range all {
		l := &a.Lanes[d]
		l.Give(n)
		l.Meter.Take(n)
		l.Passed.Packets--
		l.Passed.Bytes -= uint64(n)
	}
}

// FirstFull returns the first allowance that has no room for another session, nil
// when all have.
func FirstFull(all []*Allowance) *Allowance {
	for _, a := range all {
		if a.Full() {
			return a
		}
	}
	return nil
}
