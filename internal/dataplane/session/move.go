package session

import (
	"net/netip"

	"causeway/internal/mono"
)

// claims are a session's newest ones; 0: none.
type claims struct {
	held [claimsHeld]uint64
	next uint8
}

// claimsHeld is how many claims a session has at most: its newest SAs.
const claimsHeld = 4

// ByClaim finds the session that a packet may belong to although its source is
// not the client's; see ClaimOf.
func (t *Table) ByClaim(claim uint64) *Session {
	for c := t.claims.seek(claimHash(claim)); ; {
		slot, ok := c.next()
		if !ok {
			return nil
		}
		if s := t.at(slot); t.holds(s, claim) {
			return s
		}
	}
}

func (t *Table) holds(s *Session, claim uint64) bool {
	if s.claims == 0 || claim == 0 {
		return false
	}
	for _, held := range t.claimed.at(s.claims - 1).held {
		if held == claim {
			return true
		}
	}
	return false
}

// Claim lets s be found by claim, in the place of its oldest claim when it has as
// many as it may. One that a session of a proven client has is not taken
// away by another that is not.
func (t *Table) Claim(s *Session, claim uint64) {
	if other := t.ByClaim(claim); other == s {
		return
	} else if other != nil {
		if other.Proven() && !s.Proven() {
			return
		}
		t.disclaim(other, claim)
	}
	if s.claims == 0 {
		s.claims = t.claimed.take() + 1
	}
	c := t.claimed.at(s.claims - 1)
	place := c.next
	c.next = (place + 1) % claimsHeld
	t.disclaim(s, c.held[place])
	c.held[place] = claim
	t.claims.put(claimHash(claim), s.slot)
	if t.Claims != nil {
		t.Claims(claim, true)
	}
}

// disclaim ends that s is found by a claim, if it is.
func (t *Table) disclaim(s *Session, claim uint64) {
	if !t.holds(s, claim) {
		return
	}
	c := t.claimed.at(s.claims - 1)
	for i, held := range c.held {
		if held == claim {
			c.held[i] = 0
		}
	}
	t.claims.drop(claimHash(claim), s.slot)
	if t.Claims != nil {
		t.Claims(claim, false)
	}
}

func (t *Table) disclaimAll(s *Session) {
	if s.claims == 0 {
		return
	}
	place := s.claims - 1
	for _, c := range t.claimed.at(place).held {
		t.disclaim(s, c)
	}
	*t.claimed.at(place) = claims{}
	t.claimed.give(place)
	s.claims = 0
}

// Moving is what is known of s's client at an address that is not its own; nil: it has stayed.
func (t *Table) Moving(s *Session) *Moving {
	if !s.Roams() {
		return nil
	}
	return t.moving[s.slot]
}

// Roam is Moving, made if there is none.
func (t *Table) Roam(s *Session) *Moving {
	m := t.Moving(s)
	if m == nil {
		m = new(Moving)
		t.moving[s.slot] = m
		s.set(roams, true)
	}
	return m
}

// Move gives s's client another address, which no session may have towards the
// accelerated address. What is known of the client goes with it.
func (t *Table) Move(now mono.Time, s *Session, client netip.AddrPort) {
	t.byFlow.drop(t.flowHash(s.IngressPoP, s.Client(), s.Accelerated), s.slot)
	t.leavePrefix(s)
	before, watch := *s.Assoc, s.Assoc.watch
	old := s.Assoc
	t.leaveAssociation(s)
	s.setClient(client)
	t.byFlow.put(t.flowHash(s.IngressPoP, client, s.Accelerated), s.slot)
	t.prefix[prefixOf(client.Addr())]++
	t.associate(now, s)
	a := s.Assoc
	if a.sessions == 1 { // nobody was there: all of it goes
		a.endpoint, a.Proving = before.endpoint, nil
		if before.Proving != nil {
			a.Proving = new(Proving)
			*a.Proving = *before.Proving
		}
	}
	a.ike = a.ike || before.ike
	if before.proven {
		t.Prove(a)
	}
	if a.watch == nil && watch != nil {
		if !old.Ended() && old.watch == watch { // one association's at a time
			t.SetWatch(old, nil)
		}
		t.SetWatch(a, watch)
	}
	a.active = max(a.active, now)
	t.spread(a)
	s.Moves++
	t.Moved++
	t.save(s)
}

func (t *Table) leavePrefix(s *Session) {
	p := prefixOf(s.Client().Addr())
	if t.prefix[p]--; t.prefix[p] == 0 {
		delete(t.prefix, p)
	}
}
