package session

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
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

// Table holds the sessions of one worker. Not safe for concurrent use.
type Table struct {
	limits Limits
	store  Store

	sessions     slab[Session] // a session's slot is its place for life
	byID         index
	byFlow       index
	byOut        index
	latest       latest
	terms        map[Terms]*shared
	associations slab[Association]
	assocs       index
	claimed      slab[claims]
	claims       index
	moving       map[uint32]*Moving // by slot
	ports        map[portsKey]*ports
	prefix       map[prefix]uint32
	seed         maphash.Seed
	salt         uint64

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
	// Warmer reads what else a session's packets need, and returns something of it. It may be
	// called for sessions that have ended, too; nil: there is nothing. See Warm.
	Warmer func(*Session) uint64
	// Wall is the clock that survives a restart: last activity is kept on disk in
	// it, because a monotonic clock begins anew. time.Now unless a test sets it.
	Wall func() time.Time

	record  [RecordLen]byte // scratch
	warming warming

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
		byID: newIndex(), byFlow: newIndex(), byOut: newIndex(), assocs: newIndex(), claims: newIndex(),
		terms: map[Terms]*shared{}, moving: map[uint32]*Moving{}, ports: map[portsKey]*ports{}, prefix: map[prefix]uint32{},
		seed: maphash.MakeSeed(), salt: rand.Uint64(),
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
func (t *Table) Len() (all, confirmed int) { return t.sessions.inUse(), t.confirmed }

// latest are the sessions that were found last: a client's packets come in runs.
type latest struct{ byID, byFlow, byOut *Session }

// forget is for a session that is no more.
func (l *latest) forget(s *Session) {
	for _, p := range [...]**Session{&l.byID, &l.byFlow, &l.byOut} {
		if *p == s {
			*p = nil
		}
	}
}

// ByID finds a session by either of its names.
func (t *Table) ByID(id uint64) *Session {
	if s := t.latest.byID; s != nil && s.ID == id {
		return s
	}
	for c := t.byID.seek(t.idHash(id)); ; {
		slot, ok := c.next()
		if !ok {
			return nil
		}
		if s := t.at(slot); s.ID == id || s.alias == id && id != 0 {
			t.latest.byID = s
			return s
		}
	}
}

// ByFlow finds a session by what a client's packet shows.
func (t *Table) ByFlow(ingress snapshot.Label, client, accelerated netip.AddrPort) *Session {
	if s := t.latest.byFlow; s != nil && s.hasFlow(ingress, client, accelerated) {
		return s
	}
	for c := t.byFlow.seek(t.flowHash(ingress, client, accelerated)); ; {
		slot, ok := c.next()
		if !ok {
			return nil
		}
		if s := t.at(slot); s.hasFlow(ingress, client, accelerated) {
			t.latest.byFlow = s
			return s
		}
	}
}

// ByEgress finds a session by what an endpoint's packet shows.
func (t *Table) ByEgress(egress, endpoint netip.AddrPort) *Session {
	if s := t.latest.byOut; s != nil && s.hasEgress(egress, endpoint) {
		return s
	}
	for c := t.byOut.seek(t.outHash(egress, endpoint)); ; {
		slot, ok := c.next()
		if !ok {
			return nil
		}
		if s := t.at(slot); s.hasEgress(egress, endpoint) {
			t.latest.byOut = s
			return s
		}
	}
}

// Add makes a session of o, unconfirmed unless o.Confirmed is set, and joins
// it to its association. It may push out the oldest unconfirmed session, never
// a confirmed one. The returned session belongs to the table. Its names and
// addresses must be nobody else's: see ByID, ByFlow, ByEgress.
func (t *Table) Add(now mono.Time, o Opening) (*Session, Refusal) {
	if int(t.prefix[prefixOf(o.Client.Addr())]) >= t.limits.PerPrefix {
		return nil, PrefixFull
	}
	n := t.addAt(t.sessions.take(), now, &o)
	if n.Confirmed() {
		t.Save(now, n)
	}
	return n, Admitted
}

func (t *Table) addAt(slot uint32, now mono.Time, o *Opening) *Session {
	s := t.at(slot)
	*s = Session{
		Terms: t.share(o), ID: o.ID, alias: o.Alias, Role: o.Role, egressPort: o.Egress.Port(), Seen: o.Seen,
		slot: slot, ring: -1, Created: now, LastActive: now,
	}
	s.setClient(o.Client)
	s.set(confirmed, o.Confirmed)
	t.associate(now, s)
	t.prefix[prefixOf(o.Client.Addr())]++
	t.Opened++
	t.byID.put(t.idHash(s.ID), slot)
	if s.alias != 0 {
		t.byID.put(t.idHash(s.alias), slot)
	}
	t.byFlow.put(t.flowHash(s.IngressPoP, o.Client, s.Accelerated), slot)
	t.listEgress(s)
	if s.Confirmed() {
		t.confirmed++
	} else {
		t.enterRing(s)
	}
	return s
}

// Rename calls s by the name that its other end has for it, for when both opened
// the same flow at once, or one forgot the name; s is still found under the name
// it had. Another session's name is left alone.
func (t *Table) Rename(s *Session, id uint64) {
	if s.ID == id {
		return
	}
	if other := t.ByID(id); other != nil && other != s {
		return
	}
	if s.alias != id {
		if s.alias != 0 {
			t.byID.drop(t.idHash(s.alias), s.slot)
		}
		t.byID.put(t.idHash(id), s.slot)
	}
	s.ID, s.alias = id, s.ID
	t.save(s)
}

// SetEgress records the address the egress gave the session.
func (t *Table) SetEgress(s *Session, egress netip.AddrPort) {
	if s.Egress() == egress {
		return
	}
	t.unlistEgress(s)
	o := Opening{Egress: egress, Terms: *s.Terms}
	old := s.Terms
	s.Terms, s.egressPort = t.share(&o), egress.Port()
	t.unshare(old)
	t.listEgress(s)
	t.save(s)
}

func (t *Table) listEgress(s *Session) {
	if s.Role&Egress == 0 || s.egressPort == 0 {
		return
	}
	t.byOut.put(t.outHash(s.Egress(), s.Endpoint), s.slot)
	k := portsKey{s.egressIP, s.Endpoint}
	p := t.ports[k]
	if p == nil {
		p = &ports{}
		t.ports[k] = p
	}
	p.given[rangeOf(s.egressPort)]++
}

func (t *Table) unlistEgress(s *Session) {
	if s.Role&Egress == 0 || s.egressPort == 0 {
		return
	}
	t.byOut.drop(t.outHash(s.Egress(), s.Endpoint), s.slot)
	k := portsKey{s.egressIP, s.Endpoint}
	p := t.ports[k]
	if p.given[rangeOf(s.egressPort)]--; p.given == [3]int{} {
		delete(t.ports, k)
	}
}

// Touch marks s, and so its association, as alive.
func (t *Table) Touch(now mono.Time, s *Session) { s.LastActive = now }

// Confirm marks that the endpoint has answered: the session leaves the ring
// and is kept on disk. When the table is full of confirmed sessions it stays
// unconfirmed and Confirm reports false.
func (t *Table) Confirm(now mono.Time, s *Session) bool {
	if s.Confirmed() {
		return true
	}
	if t.confirmed >= t.limits.Confirmed {
		return false
	}
	t.leaveRing(s)
	s.set(confirmed, true)
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
	t.byID.drop(t.idHash(s.ID), s.slot)
	if s.alias != 0 {
		t.byID.drop(t.idHash(s.alias), s.slot)
	}
	t.byFlow.drop(t.flowHash(s.IngressPoP, s.Client(), s.Accelerated), s.slot)
	t.unlistEgress(s)
	t.leavePrefix(s)
	t.disclaimAll(s)
	delete(t.moving, s.slot)
	if s.Confirmed() {
		t.confirmed--
		if t.store != nil {
			t.store.Erase(int(s.slot))
		}
	}
	t.leaveAssociation(s)
	t.unshare(s.Terms)
	slot := s.slot
	t.latest.forget(s)
	*s = Session{}
	t.sessions.give(slot)
}

// saveEvery bounds how stale a confirmed session's last activity is on disk; it
// is a quarter of the idle timeout where that is less.
const saveEvery = 20 * time.Second

func (s *Session) saveEvery() time.Duration { return saveEveryOf(s.Idle) }

func saveEveryOf(idle time.Duration) time.Duration { return min(saveEvery, idle/4) }

// Sweep looks at up to n sessions, in turn from call to call, and removes
// those whose association has been idle longer than they may be.
func (t *Table) Sweep(now mono.Time, n int) (removed int) {
	made := t.sessions.made
	for range min(n, int(made)) {
		if t.sweepAt >= made {
			t.sweepAt = 0
		}
		s := t.at(t.sweepAt)
		t.sweepAt++
		if !s.inUse() {
			continue
		}
		switch {
		case now.Sub(s.LastActive) >= s.Idle && now.Sub(max(s.LastActive, s.Assoc.active)) >= s.Idle && now.Sub(t.LastActive(s.Assoc)) >= s.Idle:
			s.End = Idle
			t.Remove(s)
			removed++
			continue
		case s.Confirmed() && s.LastActive >= s.Saved && now.Sub(s.Saved) >= s.saveEvery():
			t.Save(now, s)
		}
		if t.Visit != nil {
			t.Visit(now, s)
		}
	}
	return removed
}

// inUse reports whether a session stands in s: one has terms.
func (s *Session) inUse() bool { return s.Terms != nil }

// All calls f for every session until it returns false. f must not add or
// remove sessions.
func (t *Table) All(f func(*Session) bool) {
	for slot := range t.sessions.made {
		if s := t.at(slot); s.inUse() && !f(s) {
			return
		}
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
	free := func(port uint16) bool { return t.ByEgress(netip.AddrPortFrom(egressIP, port), endpoint) == nil }
	if want != 0 && free(want) && usable(want) {
		return want, true
	}
	var none ports
	p := t.ports[portsKey{egressIP, endpoint}]
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
			if !free(port) {
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

func (t *Table) at(slot uint32) *Session { return t.sessions.at(slot) }

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
	if s.ring >= 0 && !s.Confirmed() {
		t.ring[s.ring] = 0
	}
	s.ring = -1
}

// prefix is a client's /24 (IPv4) or /48 (IPv6) as a number.
type prefix uint64

func prefixOf(a netip.Addr) prefix {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return prefix(1)<<63 | prefix(b[0])<<16 | prefix(b[1])<<8 | prefix(b[2])
	}
	b := a.As16()
	return prefix(binary.BigEndian.Uint64(b[:]) >> 16)
}
