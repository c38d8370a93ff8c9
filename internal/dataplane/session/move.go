package session

import (
	"net/netip"

	"causeway/internal/mono"
)

// ByClaim finds the session that a packet may belong to although its source is
// not the client's; see ClaimOf.
func (t *Table) ByClaim(claim uint64) *Session { return t.find(t.claims[claim]) }

// Claim lets s be found by claim, in the place of its oldest claim when it has as
// many as it may. One that a session of a proven client has is not taken
// away by another that is not.
func (t *Table) Claim(s *Session, claim uint64) {
	place := t.claims[claim]
	if place == s.slot+1 {
		return
	}
	if other := t.find(place); other != nil && other.Assoc.Proven && !s.Assoc.Proven {
		return
	}
	if s.claims == nil {
		s.claims = new(claims)
	}
	at := &s.claims.held[s.claims.next]
	s.claims.next = (s.claims.next + 1) % claimsHeld
	t.disclaim(s, *at)
	*at = claim
	t.claims[claim] = s.slot + 1
	if t.Claims != nil {
		t.Claims(claim, true)
	}
}

func (t *Table) disclaim(s *Session, claim uint64) {
	if claim != 0 && t.claims[claim] == s.slot+1 {
		delete(t.claims, claim)
		if t.Claims != nil {
			t.Claims(claim, false)
		}
	}
}

// Move gives s's client another address, which no session may have towards the
// accelerated address. What is known of the client goes with it.
func (t *Table) Move(now mono.Time, s *Session, client netip.AddrPort) {
	delete(t.byFlow, flowOf(s.IngressPoP, s.Client, s.Accelerated))
	t.leavePrefix(s)
	old := s.Assoc
	t.leaveAssociation(s)
	s.Client = client
	t.byFlow[flowOf(s.IngressPoP, s.Client, s.Accelerated)] = s.slot + 1
	t.prefix[prefixOf(client.Addr())]++
	s.Assoc = t.associate(now, s)
	if a := s.Assoc; a != old {
		if a.sessions == 1 {
			key := a.key
			*a = *old
			a.key, a.sessions = key, 1
		}
		a.Proven, a.IKE = a.Proven || old.Proven, a.IKE || old.IKE
		if a.Watch == nil {
			a.Watch = old.Watch
		}
		if a.Watch != nil && a.Watch == old.Watch { // one association's at a time
			a.Watch.Owner, old.Watch = a, nil
		}
		a.LastActive = now
	}
	s.Moves++
	t.Moved++
	t.save(s)
}

func (t *Table) leavePrefix(s *Session) {
	p := prefixOf(s.Client.Addr())
	if t.prefix[p]--; t.prefix[p] <= 0 {
		delete(t.prefix, p)
	}
}

func (t *Table) leaveAssociation(s *Session) {
	if a := s.Assoc; a != nil {
		if a.sessions--; a.sessions == 0 {
			delete(t.assocs, a.key)
		}
	}
}
