package dataplane

import (
	"fmt"
	"net/netip"
	"time"

	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// Flow logs: the ingress hands out a record when a session of a listener that
// asks for it ends, and every flowEvery while it lasts. Only confirmed sessions
// have one: what strangers send must not fill a disk. Records wait in a channel of
// bounded room for whoever writes them; one that finds no room is lost and counted.

const (
	flowEvery = 5 * time.Minute
	// flowRoom is how many records may wait to be written.
	flowRoom = 2048
)

// logs is the listener of a session whose flows are logged here; nil: they are not.
func (e *Engine) logs(s *session.Session) *listener {
	if e.cfg.Flows == nil || !s.Confirmed() || s.Role&session.Ingress == 0 {
		return nil
	}
	if l := e.plan.listeners[s.Listener]; l != nil && l.FlowLog {
		return l
	}
	return nil
}

// logLong hands out a record of a session each time that it has lasted flowEvery longer.
func (e *Engine) logLong(now mono.Time, s *session.Session) {
	periods := now.Sub(s.Created) / flowEvery
	if periods <= time.Duration(s.Logged) {
		return
	}
	if l := e.logs(s); l != nil {
		e.logFlow(now, l, s, "update", "")
	}
	s.Logged = uint16(min(periods, 1<<16-1))
}

// logEnd hands out the last record of a session.
func (e *Engine) logEnd(s *session.Session) {
	if l := e.logs(s); l != nil {
		e.logFlow(e.now, l, s, "end", s.End.String())
	}
}

// logStop hands out records of all sessions before the engine ends. They are
// on disk, and go on with the next process as new ones.
func (e *Engine) logStop() {
	if e.table == nil {
		return
	}
	e.table.All(func(s *session.Session) bool {
		s.End = session.Stopped
		e.logEnd(s)
		return true
	})
}

func (e *Engine) logFlow(now mono.Time, l *listener, s *session.Session, event, reason string) {
	wall := e.cfg.Wall().UTC()
	r := report.Flow{
		Event: event, Reason: reason, Session: fmt.Sprintf("%016x", s.ID), PoP: e.plan.snap.PoP.Name,
		Accelerator: l.Accelerator, Listener: l.text,
		Client: s.Client(), Accelerated: publicOf(s.Accelerated, l.Addresses), Egress: s.Egress(), Endpoint: s.Endpoint,
		Start: wall.Add(-now.Sub(s.Created)), End: wall,
		ToEndpoint: report.Counter(s.ToEndpoint), ToClient: report.Counter(s.ToClient), Moves: uint64(s.Moves),
	}
	if g := e.plan.groups[s.Group]; g != nil {
		r.Group, r.Egress = g.text, publicOf(s.Egress(), []snapshot.Address{g.EgressIP})
	}
	if event == "end" {
		r.End = wall.Add(-now.Sub(s.LastActive))
	}
	select {
	case e.cfg.Flows <- r:
	default:
		e.flowsLost++
	}
}

// publicOf is a bound address as the world sees it.
func publicOf(bound netip.AddrPort, list []snapshot.Address) netip.AddrPort {
	for _, a := range list {
		if a.Bind == bound.Addr() && a.Public.IsValid() {
			return netip.AddrPortFrom(a.Public, bound.Port())
		}
	}
	return bound
}

// Flows is where a Plane's records of flows come out, of all its engines. What
// nobody takes is lost, when flowRoom of them wait.
func (p *Plane) Flows() <-chan report.Flow { return p.flows }
