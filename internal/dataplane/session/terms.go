package session

// shared are terms and how many sessions have them.
type shared struct {
	Terms
	uses int
}

// share returns the terms of a session to be, for it to keep until unshare.
func (t *Table) share(o *Opening) *Terms {
	terms := o.Terms
	terms.egressIP = o.Egress.Addr()
	s := t.terms[terms]
	if s == nil {
		s = &shared{Terms: terms}
		t.terms[terms] = s
	}
	s.uses++
	return &s.Terms
}

func (t *Table) unshare(terms *Terms) {
	s := t.terms[*terms]
	if s.uses--; s.uses == 0 {
		delete(t.terms, *terms)
	}
}

// Renew gives a session other settings: Idle, Mode, Order, Window and Listener of
// terms. The others must be as they were.
func (t *Table) Renew(s *Session, terms Terms) {
	if *s.Terms == terms {
		return
	}
	old := s.Terms
	s.Terms = t.share(&Opening{Egress: s.Egress(), Terms: terms})
	t.unshare(old)
}
