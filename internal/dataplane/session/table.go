package session

import (
	"net/netip"
	"time"

	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Limits bound a table.
type Limits struct {
	Confirmed   int // sessions whose endpoint has answered
	Unconfirmed int // ring of the others
	PerPrefix   int // of either kind, per client /24 (IPv4) or /48 (IPv6)
}

// Refusal says why a session was not made; the zero Refusal means it was.
type Refusal uint8

const (
	Admitted Refusal = iota
	PrefixFull
	PortsTaken // every port of the egress IP is in use towards the endpoint
)

const chunk = 1024 // sessions a slab chunk holds

// Table holds the sessions of one worker. Not safe for concurrent use.
type Table struct {
	limits Limits
	store  Store

	slabs  []*[chunk]Session
	free   []uint32
	used   []bool // by slot
	byID   map[uint64]uint32
	byFlow map[flowKey]uint32
	byOut  map[egressKey]uint32
	claims map[uint64]uint32
	ports  map[portsKey]*ports
	assocs map[assocKey]*Association
	prefix map[netip.Prefix]int

	ring      []uint32 // slots of unconfirmed sessions + 1; 0: empty place
	ringAt    int
	confirmed int
	sweepAt   uint32

	// Gone is called for every session that leaves the table, before it does;
	// the owner releases what the session held (sockets, buffers). Set before use.
	Gone func(*Session)
	// Claims is told of each claim that comes to be held, and that is no more; nil: nobody wants to know.
	Claims func(claim uint64, held bool)
	// Visit is called for sessions that Sweep looks at and that go on; nil: nobody wants to know.
	Visit func(now mono.Time, s *Session)
	// Wall is the clock that survives a restart: last activity is kept on disk in
	// it, because a monotonic clock begins anew. time.Now unless a test sets it.
	Wall func() time.Time

	record [RecordLen]byte // scratch

	// Counts since the table was made.
	Opened, Closed uint64 // sessions that came and went, of whatever kind
	Evicted        uint64 // unconfirmed sessions pushed out by newer ones
	Restored       uint64 // sessions brought back from the store
	Moved          uint64 // times that a session's client got another address
}

// NewTable returns an empty table that writes confirmed sessions to store; a
// nil store keeps nothing.
func NewTable(l Limits, store Store) *Table {
	return &Table{
		limits: l, store: store,
		byID: map[uint64]uint32{}, byFlow: map[flowKey]uint32{}, byOut: map[egressKey]uint32{}, claims: map[uint64]uint32{}, ports: map[portsKey]*ports{},
		assocs: map[assocKey]*Association{}, prefix: map[netip.Prefix]int{},
		ring: make([]uint32, l.Unconfirmed),
		Gone: func(*Session) {}, Wall: time.Now,
	}
}

// SetLimits changes the bounds; sessions already there stay.
func (t *Table) SetLimits(l Limits) {
	if l.Unconfirmed != len(t.ring) {
		old, oldest := t.ring, t.ringAt
		t.ring, t.ringAt = make([]uint32, l.Unconfirmed), 0
		for i := range old { // the oldest first, so that they are pushed out
			if place := old[(oldest+i)%len(old)]; place != 0 {
				t.enterRing(t.at(place - 1))
			}
		}
	}
	t.limits = l
}

// Len returns how many sessions there are and how many of them are confirmed.
func (t *Table) Len() (all, confirmed int) { return len(t.used) - len(t.free), t.confirmed }

// ByID finds a session by either of its names.
func (t *Table) ByID(id uint64) *Session { return t.find(t.byID[id]) }

// ByFlow finds a session by what a client's packet shows.
func (t *Table) ByFlow(ingress snapshot.Label, client, accelerated netip.AddrPort) *Session {
	return t.find(t.byFlow[flowOf(ingress, client, accelerated)])
}

// ByEgress finds a session by what an endpoint's packet shows.
func (t *Table) ByEgress(egress, endpoint netip.AddrPort) *Session {
	return t.find(t.byOut[egressOf(egress, endpoint)])
}

// Association finds what is known of a client and an endpoint group.
func (t *Table) Association(ingress snapshot.Label, client netip.Addr, group Name) *Association {
	return t.assocs[assocKey{client.As16(), group, ingress}]
}

// Add makes a session like s, unconfirmed unless s.Confirmed is set, and joins
// it to its association. It may push out the oldest unconfirmed session, never
// a confirmed one. The returned session belongs to the table. Its names and
// addresses must be nobody else's: see ByID, ByFlow, ByEgress.
func (t *Table) Add(now mono.Time, s Session) (*Session, Refusal) {
	p := prefixOf(s.Client.Addr())
	if t.prefix[p] >= t.limits.PerPrefix {
		return nil, PrefixFull
	}
	n := t.addAt(t.slot(), now, s)
	if n.Confirmed {
		t.Save(now, n)
	}
	return n, Admitted
}

func (t *Table) addAt(slot uint32, now mono.Time, s Session) *Session {
	n := t.at(slot)
	s.slot, s.ring = slot, -1
	s.Created, s.LastActive = now, now
	s.Assoc = t.associate(now, &s)
	*n = s
	t.used[slot] = true
	t.prefix[prefixOf(s.Client.Addr())]++
	t.Opened++
	t.byID[n.ID] = slot + 1
	if n.Alias != 0 {
		t.byID[n.Alias] = slot + 1
	}
	t.byFlow[flowOf(n.IngressPoP, n.Client, n.Accelerated)] = slot + 1
	t.listEgress(n)
	if n.Confirmed {
		t.confirmed++
	} else {
		t.enterRing(n)
	}
	return n
}

// Rename calls s by the name that its other end has for it, for when both opened
// the same flow at once, or one forgot the name; s is still found under the name
// it had. Another session's name is left alone.
func (t *Table) Rename(s *Session, id uint64) {
	if s.ID == id || t.byID[id] != 0 && t.byID[id] != s.slot+1 {
		return
	}
	if s.Alias != 0 && s.Alias != id {
		delete(t.byID, s.Alias)
	}
	s.ID, s.Alias = id, s.ID
	t.byID[id] = s.slot + 1
	t.save(s)
}

// SetEgress records the address the egress gave the session.
func (t *Table) SetEgress(s *Session, egress netip.AddrPort) {
	if s.Egress == egress {
		return
	}
	t.unlistEgress(s)
	s.Egress = egress
	t.listEgress(s)
	t.save(s)
}

func (t *Table) listEgress(s *Session) {
	if s.Role&Egress == 0 || s.Egress.Port() == 0 {
		return
	}
	t.byOut[egressOf(s.Egress, s.Endpoint)] = s.slot + 1
	k := portsOf(s)
	p := t.ports[k]
	if p == nil {
		p = &ports{}
		t.ports[k] = p
	}
	p.given[rangeOf(s.Egress.Port())]++
}

func (t *Table) unlistEgress(s *Session) {
	if s.Role&Egress == 0 || s.Egress.Port() == 0 {
		return
	}
	delete(t.byOut, egressOf(s.Egress, s.Endpoint))
	k := portsOf(s)
	p := t.ports[k]
	if p.given[rangeOf(s.Egress.Port())]--; p.given == [3]int{} {
		delete(t.ports, k)
	}
}

// Touch marks s and its association as alive.
func (t *Table) Touch(now mono.Time, s *Session) {
	s.LastActive = now
	s.Assoc.LastActive = now
}

// Confirm marks that the endpoint has answered: the session leaves the ring
// and is kept on disk. When the table is full of confirmed sessions it stays
// unconfirmed and Confirm reports false.
func (t *Table) Confirm(now mono.Time, s *Session) bool {
	if s.Confirmed {
		return true
	}
	if t.confirmed >= t.limits.Confirmed {
		return false
	}
	t.leaveRing(s)
	s.Confirmed = true
	t.confirmed++
	s.Saved = now
	t.save(s)
	return true
}

// Save writes s to the store if it is confirmed.
func (t *Table) Save(now mono.Time, s *Session) {
	s.Saved = now
	t.save(s)
}

// Remove takes s out, for the reason that s.End says.
func (t *Table) Remove(s *Session) {
	t.Gone(s)
	t.Closed++
	t.leaveRing(s)
	delete(t.byID, s.ID)
	if s.Alias != 0 {
		delete(t.byID, s.Alias)
	}
	delete(t.byFlow, flowOf(s.IngressPoP, s.Client, s.Accelerated))
	t.unlistEgress(s)
	t.leavePrefix(s)
	if s.claims != nil {
		for _, c := range s.claims.held {
			t.disclaim(s, c)
		}
	}
	if s.Confirmed {
		t.confirmed--
		if t.store != nil {
			t.store.Erase(int(s.slot))
		}
	}
	t.leaveAssociation(s)
	slot := s.slot
	*s = Session{}
	t.used[slot] = false
	t.free = append(t.free, slot)
}

// saveEvery bounds how stale a confirmed session's last activity is on disk; it
// is a quarter of the idle timeout where that is less.
const saveEvery = 20 * time.Second

func (s *Session) saveEvery() time.Duration { return min(saveEvery, s.Idle/4) }

// Sweep looks at up to n sessions, in turn from call to call, and removes
// those whose association has been idle longer than they may be.
func (t *Table) Sweep(now mono.Time, n int) (removed int) {
	for range min(n, len(t.used)) {
		if t.sweepAt >= uint32(len(t.used)) {
			t.sweepAt = 0
		}
		slot := t.sweepAt
		t.sweepAt++
		if !t.used[slot] {
			continue
		}
		s := t.at(slot)
		switch {
		case now.Sub(s.Assoc.LastActive) >= s.Idle:
			s.End = Idle
			t.Remove(s)
			removed++
			continue
		case s.Confirmed && s.LastActive >= s.Saved && now.Sub(s.Saved) >= s.saveEvery():
			t.Save(now, s)
		}
		if t.Visit != nil {
			t.Visit(now, s)
		}
	}
	return removed
}

// All calls f for every session until it returns false. f must not add or
// remove sessions.
func (t *Table) All(f func(*Session) bool) {
	for slot, used := range t.used {
		if used && !f(t.at(uint32(slot))) {
			return
		}
	}
}

// Associations calls f for every association.
func (t *Table) Associations(f func(*Association)) {
	for _, a := range t.assocs {
		f(a)
	}
}

// ports is what is given out of an egress IP's ports towards one endpoint.
type ports struct {
	given [3]int // by range
	turn  uint32 // where the next search goes on
}

// portRanges are what FreePort gives out beside clients' own ports: the first
// while it lasts, then the second.
var portRanges = [...]struct{ low, span uint32 }{{20000, 1<<16 - 20000}, {1024, 20000 - 1024}}

// rangeOf is the range that a port is in; 2: in none.
func rangeOf(port uint16) int {
	for i, r := range portRanges {
		if uint32(port)-r.low < r.span {
			return i
		}
	}
	return len(portRanges)
}

// refusals is after how many the system refuses whatever we try.
const refusals = 64

// FreePort finds a port of egressIP that no session uses towards endpoint: want
// if it can be had, else one of 20,000–65,535, or when those are taken of
// 1,024–19,999. usable is asked before a port is taken (it may have to be bound).
func (t *Table) FreePort(egressIP netip.Addr, endpoint netip.AddrPort, want uint16, usable func(uint16) bool) (uint16, bool) {
	at := egressOf(netip.AddrPortFrom(egressIP, want), endpoint)
	if want != 0 && t.byOut[at] == 0 && usable(want) {
		return want, true
	}
	var none ports
	p := t.ports[portsKey{at.egress, at.endpoint, at.endpointPort}]
	if p == nil {
		p = &none
		p.turn = uint32(want)*40503 + uint32(endpoint.Port())*9973
	}
	refused := 0
	for i, r := range portRanges {
		if p.given[i] >= int(r.span) {
			continue
		}
		for range r.span {
			p.turn++
			port := uint16(r.low + p.turn%r.span*7919%r.span)
			if at.egressPort = port; t.byOut[at] != 0 {
				continue
			}
			if usable(port) {
				return port, true
			}
			if refused++; refused > refusals {
				return 0, false
			}
		}
	}
	return 0, false
}

func (t *Table) find(place uint32) *Session {
	if place == 0 {
		return nil
	}
	return t.at(place - 1)
}

func (t *Table) at(slot uint32) *Session { return &t.slabs[slot/chunk][slot%chunk] }

func (t *Table) slot() uint32 {
	if n := len(t.free); n > 0 {
		s := t.free[n-1]
		t.free = t.free[:n-1]
		return s
	}
	return t.newSlot()
}

// newSlot returns a slot that was never used.
func (t *Table) newSlot() uint32 {
	s := uint32(len(t.used))
	if s%chunk == 0 {
		t.slabs = append(t.slabs, new([chunk]Session))
	}
	t.used = append(t.used, false)
	return s
}

func (t *Table) associate(now mono.Time, s *Session) *Association {
	k := assocKey{s.Client.Addr().As16(), s.Group, s.IngressPoP}
	a := t.assocs[k]
	if a == nil {
		a = &Association{key: k, Endpoint: s.Endpoint.Addr(), LastActive: now}
		t.assocs[k] = a
	}
	a.sessions++
	a.LastActive = max(a.LastActive, now)
	a.IKE = a.IKE || s.Seen&SeenIKE != 0
	return a
}

// enterRing puts s in the ring's next place, pushing out who stands there.
func (t *Table) enterRing(s *Session) {
	if place := t.ring[t.ringAt]; place != 0 {
		t.Evicted++
		oldest := t.at(place - 1)
		oldest.End = Pushed
		t.Remove(oldest)
	}
	t.ring[t.ringAt] = s.slot + 1
	s.ring = int32(t.ringAt)
	t.ringAt = (t.ringAt + 1) % len(t.ring)
}

func (t *Table) leaveRing(s *Session) {
	if s.ring >= 0 && !s.Confirmed {
		t.ring[s.ring] = 0
	}
	s.ring = -1
}

func prefixOf(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() && !a.Is4In6() {
		bits = 48
	}
	p, _ := a.Unmap().Prefix(bits)
	return p
}
