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
	assocs map[assocKey]*Association
	prefix map[netip.Prefix]int

	ring      []uint32 // slots of unconfirmed sessions + 1; 0: empty place
	ringAt    int
	confirmed int
	sweepAt   uint32

	// Gone is called for every session that leaves the table, before it does;
	// the owner releases what the session held (sockets, buffers). Set before use.
	Gone func(*Session)
	// Wall is the clock that survives a restart: last activity is kept on disk in
	// it, because a monotonic clock begins anew. time.Now unless a test sets it.
	Wall func() time.Time

	record [RecordLen]byte // scratch

	// Counts since the table was made.
	Opened, Closed uint64 // sessions that came and went, of whatever kind
	Evicted        uint64 // unconfirmed sessions pushed out by newer ones
	Restored       uint64 // sessions brought back from the store
}

// NewTable returns an empty table that writes confirmed sessions to store; a
// nil store keeps nothing.
func NewTable(l Limits, store Store) *Table {
	return &Table{
		limits: l, store: store,
		byID: map[uint64]uint32{}, byFlow: map[flowKey]uint32{}, byOut: map[egressKey]uint32{},
		assocs: map[assocKey]*Association{}, prefix: map[netip.Prefix]int{},
		ring: make([]uint32, l.Unconfirmed),
		Gone: func(*Session) {}, Wall: time.Now,
	}
}

// SetLimits changes the bounds; sessions already there stay.
func (t *Table) SetLimits(l Limits) {
	if l.Unconfirmed != len(t.ring) {
		old := t.ring
		t.ring, t.ringAt = make([]uint32, l.Unconfirmed), 0
		for _, place := range old {
			if place != 0 {
				t.enterRing(t.at(place - 1))
			}
		}
	}
	t.limits = l
}

// Len returns how many sessions there are and how many of them are confirmed.
func (t *Table) Len() (all, confirmed int) { return len(t.byID), t.confirmed }

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
// a confirmed one. The returned session belongs to the table.
func (t *Table) Add(now mono.Time, s Session) (*Session, Refusal) {
	p := prefixOf(s.Client.Addr())
	if t.prefix[p] >= t.limits.PerPrefix {
		return nil, PrefixFull
	}
	return t.addAt(t.slot(), now, s), Admitted
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
	if n.Role&Egress != 0 && n.Egress.Port() != 0 {
		t.byOut[egressOf(n.Egress, n.Endpoint)] = slot + 1
	}
	if n.Confirmed {
		t.confirmed++
	} else {
		t.enterRing(n)
	}
	return n
}

// Rename lets s also be found as id, for when both ends opened the same flow at
// once under names of their own.
func (t *Table) Rename(s *Session, id uint64) {
	if s.ID == id || s.Alias == id {
		return
	}
	if s.Alias != 0 {
		delete(t.byID, s.Alias)
	}
	s.Alias = id
	t.byID[id] = s.slot + 1
	t.save(s)
}

// SetEgress records the address the egress gave the session.
func (t *Table) SetEgress(s *Session, egress netip.AddrPort) {
	if s.Egress == egress {
		return
	}
	if s.Role&Egress != 0 {
		delete(t.byOut, egressOf(s.Egress, s.Endpoint))
		t.byOut[egressOf(egress, s.Endpoint)] = s.slot + 1
	}
	s.Egress = egress
	t.save(s)
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

// Remove takes s out.
func (t *Table) Remove(s *Session) {
	t.Gone(s)
	t.Closed++
	t.leaveRing(s)
	delete(t.byID, s.ID)
	delete(t.byID, s.Alias)
	delete(t.byFlow, flowOf(s.IngressPoP, s.Client, s.Accelerated))
	if s.Role&Egress != 0 {
		delete(t.byOut, egressOf(s.Egress, s.Endpoint))
	}
	p := prefixOf(s.Client.Addr())
	if t.prefix[p]--; t.prefix[p] <= 0 {
		delete(t.prefix, p)
	}
	if s.Confirmed {
		t.confirmed--
		if t.store != nil {
			t.store.Erase(int(s.slot))
		}
	}
	if a := s.Assoc; a != nil {
		if a.sessions--; a.sessions == 0 {
			delete(t.assocs, a.key)
		}
	}
	slot := s.slot
	*s = Session{}
	t.used[slot] = false
	t.free = append(t.free, slot)
}

// saveEvery bounds how stale a confirmed session's last activity is on disk.
const saveEvery = 20 * time.Second

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
			t.Remove(s)
			removed++
		case s.Confirmed && s.LastActive > s.Saved && now.Sub(s.Saved) >= saveEvery:
			t.Save(now, s)
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

// FreePort finds a port of egressIP that no session uses towards endpoint:
// want if it can be had, else one of the range 20,000–65,535 beginning at a
// place that depends on want and endpoint. usable is asked before a port is
// taken (it may have to be bound).
func (t *Table) FreePort(egressIP netip.Addr, endpoint netip.AddrPort, want uint16, usable func(uint16) bool) (uint16, bool) {
	free := func(p uint16) bool {
		_, taken := t.byOut[egressOf(netip.AddrPortFrom(egressIP, p), endpoint)]
		return !taken && usable(p)
	}
	if want != 0 && free(want) {
		return want, true
	}
	const low, span = 20000, 65536 - 20000
	start := uint32(want)*40503 + uint32(endpoint.Port())*9973
	refused := 0
	for i := range uint32(span) {
		p := uint16(low + (start+i*7919)%span)
		if _, taken := t.byOut[egressOf(netip.AddrPortFrom(egressIP, p), endpoint)]; taken {
			continue
		}
		if usable(p) {
			return p, true
		}
		if refused++; refused > 64 { // the system refuses whatever we try
			break
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
		a = &Association{key: k, Endpoint: s.Endpoint.Addr()}
		t.assocs[k] = a
	}
	a.sessions++
	a.LastActive = now
	return a
}

// enterRing puts s in the ring's next place, pushing out who stands there.
func (t *Table) enterRing(s *Session) {
	if place := t.ring[t.ringAt]; place != 0 {
		t.Evicted++
		t.Remove(t.at(place - 1))
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
