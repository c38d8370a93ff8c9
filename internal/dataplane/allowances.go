package dataplane

import (
	"slices"

	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// Allowances bound what a listener's clients may use, at their ingress: the
// bytes of each direction as they enter and leave there, and confirmed sessions.
// A session is held against those of its listener and those of its endpoint group.

// heldTo is what packets to and from a group are held against.
func (l *listener) heldTo(name session.Name) []*limit.Allowance {
	for i, g := range l.groups {
		if g.name == name {
			return l.held[i]
		}
	}
	return nil
}

// admit holds one packet of a session against its allowances. IKE and keepalives
// pass a little longer than the rest: a tunnel that uses its bandwidth up must
// not lose its peer over it.
func (e *Engine) admit(now mono.Time, l *listener, s *session.Session, d limit.Direction, what ipsec.Packet, n int) bool {
	all := l.heldTo(s.Group)
	if len(all) == 0 {
		return true
	}
	urgent := what.Kind == ipsec.IKE || what.Kind == ipsec.Keepalive
	if !limit.Admit(now, all, d, n, urgent) {
		e.drops.add(DropBandwidth)
		return false
	}
	return true
}

// hasRoom reports whether one more session may be confirmed, and counts why not.
func (e *Engine) hasRoom(s *session.Session) bool { return e.room(e.allowancesOf(s)) }

func (e *Engine) room(all []*limit.Allowance) bool {
	if a := limit.FirstFull(all); a != nil {
		a.RefusedSessions++
		e.drops.add(DropAllowanceSessions)
		return false
	}
	return true
}

// count takes a place for a session that has been confirmed.
func (e *Engine) count(s *session.Session) {
	for _, a := range e.allowancesOf(s) {
		a.Open++
	}
}

// uncount gives a session's place back.
func (e *Engine) uncount(s *session.Session) {
	if !s.Confirmed() {
		return
	}
	for _, a := range e.allowancesOf(s) {
		a.Open--
	}
}

// allowancesOf are what s counts against, where it enters.
func (e *Engine) allowancesOf(s *session.Session) []*limit.Allowance {
	if s.Role&session.Ingress == 0 {
		return nil
	}
	sock := e.byAddr[s.Accelerated]
	if sock == nil || sock.listener == nil {
		return nil
	}
	return sock.listener.heldTo(s.Group)
}

// countAllowances counts all sessions anew, after listeners have changed.
func (e *Engine) countAllowances() {
	for _, a := range e.plan.allowances {
		a.Open = 0
	}
	e.table.All(func(s *session.Session) bool {
		if s.Confirmed() {
			e.count(s)
		}
		return true
	})
}

// allowances makes the plan's, and goes on with those that were there: what
// they have left, and what they have counted.
func (b *builder) allowances() {
	b.e.syncBelow(b.now) // what was forwarded until now counts for the allowances of until now
	b.e.takeLoansBack()
	for _, s := range b.plan.snap.Allowances {
		a := &limit.Allowance{Name: s.Name}
		if b.e.plan != nil && b.e.plan.allowances[s.Name] != nil {
			a = b.e.plan.allowances[s.Name]
		}
		a.Set(b.now, s.Rate, s.Burst, s.Sessions)
		b.plan.allowances[s.Name] = a
	}
}

// held lists the allowances of a listener and of one of its groups, each once.
func (b *builder) held(l *listener, g *group) (all []*limit.Allowance) {
	for _, names := range [...][]string{l.Allowances, g.Allowances} {
		for _, name := range names {
			if a := b.plan.allowances[name]; !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}
