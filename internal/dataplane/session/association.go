package session

import (
	"net/netip"

	"causeway/internal/ipsec"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Association is what one client's sessions towards one endpoint group share. What
// every packet asks for, sessions have themselves: see Prove, SetIKE and SetWatch of Table.
type Association struct {
	// Proving is what is seen until the client is proven; nil: nothing yet. To be set.
	Proving *Proving

	client   [16]byte
	endpoint [16]byte
	group    Name
	ingress  snapshot.Label
	proven   bool // the client receives at its address; kept on disk
	ike      bool // one of the sessions has carried IKE
	place    uint32
	first    uint32    // slot + 1 of one of its sessions; the others follow
	sessions uint32    // how many there are
	active   mono.Time // not before the newest activity of sessions that ended or left
	watch    *Watched
}

// Proving is what is seen of a client's exchanges until it is proven to be at its
// address: a client's packet after one to it is one.
type Proving struct {
	Proof       ipsec.Proof
	Rounds      uint8
	RoundsSince mono.Time
	Answered    bool // one has gone to the client since its last
}

// Watched is a Watch and whose it is.
type Watched struct {
	ipsec.Watch
	owner *Association
}

// Owner is the association that w is of; nil: of none, or of one that has ended.
func (w *Watched) Owner() *Association {
	if a := w.owner; a != nil && a.watch == w {
		return a
	}
	return nil
}

// Ended reports whether none of a's sessions is left.
func (a *Association) Ended() bool { return a.sessions == 0 }

// Client is the association's client address.
func (a *Association) Client() netip.Addr { return netip.AddrFrom16(a.client).Unmap() }

// Endpoint is where its sessions go.
func (a *Association) Endpoint() netip.Addr { return netip.AddrFrom16(a.endpoint).Unmap() }

// Proven reports whether the client receives at its address.
func (a *Association) Proven() bool { return a.proven }

// Watch is what is seen of its IPsec; nil: it is not watched.
func (a *Association) Watch() *Watched { return a.watch }

// Association finds what is known of a client and an endpoint group.
func (t *Table) Association(ingress snapshot.Label, client netip.Addr, group Name) *Association {
	ip := client.As16()
	for c := t.assocs.seek(t.assocHash(ip, group, ingress)); ; {
		place, ok := c.next()
		if !ok {
			return nil
		}
		if a := t.associations.at(place); a.client == ip && a.group == group && a.ingress == ingress {
			return a
		}
	}
}

// Associations calls f for every association.
func (t *Table) Associations(f func(*Association)) {
	for place := range t.associations.made {
		if a := t.associations.at(place); a.sessions > 0 {
			f(a)
		}
	}
}

// LastActive is when a session of a was last active, of those that it has and those it had.
func (t *Table) LastActive(a *Association) mono.Time {
	t.each(a, func(s *Session) { a.active = max(a.active, s.LastActive) })
	return a.active
}

// Prove notes that a's client receives at its address.
func (t *Table) Prove(a *Association) {
	a.proven, a.Proving = true, nil
	t.spread(a)
}

// SetIKE notes that one of a's sessions has carried IKE.
func (t *Table) SetIKE(a *Association) {
	a.ike = true
	t.spread(a)
}

// SetWatch gives a Watch to a, and takes it from whose it was; nil takes a's.
func (t *Table) SetWatch(a *Association, w *Watched) {
	if old := a.watch; old != nil && old != w {
		old.owner = nil
	}
	a.watch = w
	t.spread(a)
	if w == nil {
		return
	}
	if before := w.Owner(); before != nil && before != a {
		before.watch = nil
		t.spread(before)
	}
	w.owner = a
}

// spread tells a's sessions what they have of it.
func (t *Table) spread(a *Association) {
	t.each(a, func(s *Session) { s.learn(a) })
}

func (s *Session) learn(a *Association) {
	s.set(proven, a.proven)
	s.set(ike, a.ike)
	s.set(watched, a.watch != nil)
}

func (t *Table) each(a *Association, f func(*Session)) {
	for place := a.first; place != 0; {
		s := t.at(place - 1)
		f(s)
		place = s.next
	}
}

// associate makes s, whose addresses stand, one of its client's sessions.
func (t *Table) associate(now mono.Time, s *Session) {
	a := t.Association(s.IngressPoP, s.Client().Addr(), s.Group)
	if a == nil {
		place := t.associations.take()
		a = t.associations.at(place)
		*a = Association{client: s.client, endpoint: s.Endpoint.Addr().As16(), group: s.Group, ingress: s.IngressPoP, place: place}
		t.assocs.put(t.assocHash(a.client, a.group, a.ingress), place)
	}
	a.sessions++
	a.active = max(a.active, now)
	s.Assoc, s.next, a.first = a, a.first, s.slot+1
	if s.Seen&SeenIKE != 0 && !a.ike {
		t.SetIKE(a)
	}
	s.learn(a)
}

// leaveAssociation takes s out of its association, which ends with its last session.
func (t *Table) leaveAssociation(s *Session) {
	a := s.Assoc
	at := &a.first
	for *at != s.slot+1 {
		at = &t.at(*at - 1).next
	}
	*at, s.next, s.Assoc = s.next, 0, nil
	a.active = max(a.active, s.LastActive)
	if a.sessions--; a.sessions > 0 {
		return
	}
	if a.watch != nil {
		a.watch.owner = nil
	}
	t.assocs.drop(t.assocHash(a.client, a.group, a.ingress), a.place)
	t.associations.give(a.place)
	*a = Association{}
}
