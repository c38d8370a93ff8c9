package dataplane

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/dataplane/resequence"
	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/route"
)

// Report tells how the engine is. wall is the time of day at now.
func (e *Engine) Report(now mono.Time, wall time.Time) report.PoP {
	r := report.PoP{At: wall, PublicKey: e.cfg.Key.Public().String(), Drops: e.drops.Map()}
	if e.plan == nil {
		return r
	}
	e.syncBelow(now)
	r.Drops = e.drops.Map()
	at := func(t mono.Time) time.Time {
		if t == 0 {
			return time.Time{}
		}
		return wall.Add(-now.Sub(t))
	}
	p := e.plan
	r.Name, r.Region, r.Label = p.snap.PoP.Name, p.snap.PoP.Region, uint16(p.self)
	r.Snapshot.Version = p.snap.Version
	for _, o := range p.snap.PoP.Overlay {
		r.Overlay = append(r.Overlay, report.Overlay{Name: o.Name, Bind: o.Bind, Public: o.Public, Traffic: trafficOf(p.overlay[o.Name].sock)})
	}
	for _, n := range p.neighbours {
		r.Segments = append(r.Segments, e.reportSegment(now, at, n))
	}
	for _, t := range p.passthroughs {
		r.Passthroughs = append(r.Passthroughs, t.report())
	}
	for _, s := range p.snap.Routes {
		r.Routes = append(r.Routes, reportWay(now, at, p.ways[p.byName[s.To].Label]))
	}
	for _, s := range p.snap.Listeners {
		r.Listeners = append(r.Listeners, e.reportListener(now, at, p.listeners[session.NameOf(s.Name)]))
	}
	for _, s := range p.snap.EndpointGroups {
		if g := p.groups[session.NameOf(s.Name)]; g.pop == p.self {
			r.Egresses = append(r.Egresses, e.reportEgress(now, at, g))
		}
	}
	for _, s := range p.snap.Allowances {
		r.Allowances = append(r.Allowances, reportAllowance(now, s, p.allowances[s.Name]))
	}
	r.Alarms, r.FlowsLost = e.alarms(now, at), e.flowsLost
	e.reportSessions(&r, now)
	r.Forwarded = report.Forwarded{Sessions: len(e.below.list), Packets: e.below.total.Packets, Bytes: e.below.total.Bytes}
	return r
}

func trafficOf(s *socket) report.Traffic {
	return report.Traffic{
		PacketsToPeer: s.toPeer.Packets, BytesToPeer: s.toPeer.Bytes,
		PacketsFromPeer: s.fromPeer.Packets, BytesFromPeer: s.fromPeer.Bytes,
	}
}

func (e *Engine) reportSegment(now mono.Time, at func(mono.Time) time.Time, p *peer) report.Segment {
	s := p.segment
	st, c := s.State(), s.Counters
	r := report.Segment{
		Peer: p.Name, PeerLabel: uint16(p.Label), Up: s.Up(now), State: "down", Since: at(st.Since),
		Handshakes: c.Handshakes, HandshakesTried: c.HandshakesTried, ProtocolVersion: int(st.Version),
		MTU: s.Body(),
		Traffic: report.Traffic{
			PacketsToPeer: c.SentDatagrams, BytesToPeer: c.SentBytes,
			PacketsFromPeer: c.ReceivedDatagrams, BytesFromPeer: c.ReceivedBytes,
		},
		Refused: s.Refused(),
	}
	if p.relay != nil {
		r.Through = p.relay.Name
	}
	if q, _ := s.Quality(now); q.Known {
		r.RTT = ms(q.RTT)
	}
	switch {
	case r.Up:
		r.State = "up"
	case st.Shaking:
		r.State = "handshaking"
	}
	if st.KeysBorn != 0 {
		r.KeysAge, r.LastHandshake = now.Sub(st.KeysBorn).Seconds(), at(st.KeysBorn)
	}
	if st.Capabilities&segment.CanRepair != 0 {
		r.Capabilities = append(r.Capabilities, "repair")
	}
	if st.Capabilities&segment.CanControl != 0 {
		r.Capabilities = append(r.Capabilities, "links")
	}
	for i, w := range s.Wires(now) {
		state := "down"
		switch {
		case w.Up:
			state = "up"
		case w.RTT == 0:
			state = "probing"
		}
		r.Wires = append(r.Wires, report.Wire{
			Name: w.Name, Local: p.wires[i].sock.addr, Remote: p.wires[i].remote, Up: w.Up, State: state, Since: at(w.Since),
			MTU: w.MTU, RTT: ms(w.RTT), RTTMin: ms(w.MinRTT), Jitter: ms(w.Variation),
			ToPeer: lossOf(w.ToPeer), ToHere: lossOf(w.ToHere),
			Traffic: report.Traffic{PacketsToPeer: w.Sent, BytesToPeer: w.SentBytes, PacketsFromPeer: w.Received, BytesFromPeer: w.ReceivedBytes},
		})
	}
	s.FillReport(now, &r)
	return r
}

func lossOf(q route.Quality) report.Loss {
	return report.Loss{Ratio: q.LossLong, Conditional: q.Conditional, BurstMean: q.Burst}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func reportWay(now mono.Time, at func(mono.Time) time.Time, w *way) report.Route {
	out := report.Route{
		To: w.to.Name, Policy: "measured", Since: at(w.since), Switches: w.switches, Reason: w.decision.Reason, Pinned: w.chooser.Pinned != nil,
		Traffic: report.Traffic{PacketsToPeer: w.carried.Packets, BytesToPeer: w.carried.Bytes},
	}
	if w.chooser.Mode == route.Fixed {
		out.Policy = "fixed"
	}
	for i, v := range w.chooser.Explain(now, w.measured) {
		if i == w.decision.Main {
			out.Chosen, out.Up = append([]string{}, v.Route.Via...), v.Alive
		}
		c := report.Candidate{
			Via: append([]string{}, v.Route.Via...), Up: v.Alive, Chosen: i == w.decision.Main, Copy: i == w.decision.Also,
			Score: ms(v.Score.Cost), Why: v.Why,
		}
		pass := 1.0
		for _, q := range w.measured[i].Segments {
			c.RTT += ms(q.RTT)
			pass *= 1 - q.Loss
		}
		c.Loss = 1 - pass
		out.Candidates = append(out.Candidates, c)
	}
	return out
}

func (e *Engine) reportListener(now mono.Time, at func(mono.Time) time.Time, l *listener) report.Listener {
	r := report.Listener{
		Name: l.Name, Accelerator: l.Accelerator, EndpointGroup: l.EndpointGroup, Egress: l.group.PoP,
		Repair: repair.Mode(l.mode).String(), Order: resequence.Mode(l.order).String(),
		Allowances: append([]string(nil), l.Allowances...), Moved: l.moved,
	}
	r.Admission = l.reportAdmission(now)
	for _, g := range l.groups {
		r.Groups = append(r.Groups, e.reportTarget(now, at, g))
	}
	for _, a := range l.Addresses {
		for _, port := range l.Ports {
			r.Addresses = append(r.Addresses, netip.AddrPortFrom(a.Bind, port))
			r.Public = append(r.Public, netip.AddrPortFrom(a.Public, port))
			t := trafficOf(e.byAddr[netip.AddrPortFrom(a.Bind, port)])
			r.Traffic.PacketsToPeer += t.PacketsToPeer
			r.Traffic.BytesToPeer += t.BytesToPeer
			r.Traffic.PacketsFromPeer += t.PacketsFromPeer
			r.Traffic.BytesFromPeer += t.BytesFromPeer
		}
	}
	return r
}

func (e *Engine) reportEgress(now mono.Time, at func(mono.Time) time.Time, g *group) report.Egress {
	c := e.pool.Count
	r := report.Egress{
		EndpointGroup: g.Name, EgressIP: g.EgressIP.Bind, Public: g.EgressIP.Public,
		Resequencing: report.Resequencing{
			InOrder: c.Released - c.Waited, Held: c.Waited, GaveUp: c.GivenUp, Late: c.LateReplay, Duplicates: c.Duplicates, HeldNow: len(e.waiting),
		},
	}
	for _, ep := range g.Endpoints {
		h := e.reportHealth(now, at, g, ep)
		r.Endpoints = append(r.Endpoints, report.Endpoint{
			Address: ep.Address, Weight: h.Weight, Healthy: h.Health != "down", Health: h.Health, Since: h.Since, RTT: h.RTT, Domain: h.Domain,
		})
	}
	for s := range e.sockets.all() {
		if s.use == Edge && s.listener == nil && s.addr.Addr() == g.egress {
			r.PortsInUse++
		}
	}
	return r
}

// reportSessions fills in the table and what each listener and endpoint has of it.
func (e *Engine) reportSessions(r *report.PoP, now mono.Time) {
	all, confirmed := e.table.Len()
	r.Sessions.Confirmed, r.Sessions.Unconfirmed, r.Sessions.Pushed = confirmed, all-confirmed, e.table.Evicted
	r.Sessions.Opened, r.Sessions.Closed, r.Sessions.Restored = e.table.Opened, e.table.Closed, e.table.Restored
	r.Sessions.Moved, r.Sessions.Missed = e.table.Moved, e.missed()
	e.table.Associations(func(*session.Association) { r.Sessions.Associations++ })
	var list []*session.Session
	e.table.All(func(s *session.Session) bool {
		list = append(list, s)
		return true
	})
	slices.SortFunc(list, func(a, b *session.Session) int { return int(b.LastActive - a.LastActive) })
	for i, s := range list {
		if i == report.ListLimit {
			r.Sessions.Truncated = true
			break
		}
		r.Sessions.List = append(r.Sessions.List, e.reportSession(now, s))
	}
	for _, s := range list {
		for i := range r.Listeners {
			if s.Role&session.Ingress != 0 && session.NameOf(r.Listeners[i].Name) == s.Listener {
				r.Listeners[i].Sessions++
			}
		}
		for i := range r.Egresses {
			for j := range r.Egresses[i].Endpoints {
				if ep := &r.Egresses[i].Endpoints[j]; s.Role&session.Egress != 0 && ep.Address == s.Endpoint.Addr() {
					ep.Sessions++
					ep.Traffic.PacketsToPeer += s.ToEndpoint.Packets
					ep.Traffic.BytesToPeer += s.ToEndpoint.Bytes
					ep.Traffic.PacketsFromPeer += s.ToClient.Packets
					ep.Traffic.BytesFromPeer += s.ToClient.Bytes
				}
			}
		}
	}
}

func (e *Engine) reportSession(now mono.Time, s *session.Session) report.Session {
	r := report.Session{
		ID: fmt.Sprintf("%016x", s.ID), Association: fmt.Sprintf("%s>%s", s.Client().Addr(), s.Endpoint.Addr()),
		Client: s.Client(), Accelerated: s.Accelerated, Endpoint: s.Endpoint, Egress: s.Egress(),
		State: "unconfirmed", Age: now.Sub(s.Created).Seconds(), Idle: now.Sub(s.LastActive).Seconds(),
		ExpiresIn:  max(0, s.Idle-now.Sub(e.table.LastActive(s.Assoc))).Seconds(),
		ToClient:   report.Counter(s.ToClient),
		ToEndpoint: report.Counter(s.ToEndpoint),
	}
	if s.Confirmed() {
		r.State = "confirmed"
	}
	if l := e.plan.listeners[s.Listener]; l != nil {
		r.Listener = l.text
	}
	var parts []string
	other := s.EgressPoP
	if s.Role&session.Ingress != 0 {
		parts = append(parts, "ingress")
	}
	if s.Role&session.Egress != 0 {
		parts = append(parts, "egress")
		other = s.IngressPoP
	}
	if r.Part = strings.Join(parts, "+"); len(parts) == 2 {
		r.Part = "both"
	}
	if p := e.plan.peers[other]; p != nil {
		r.Peer = p.Name
	}
	if s.Seen&session.SeenIKE != 0 {
		r.Kinds = append(r.Kinds, "ike")
	}
	if s.Seen&session.SeenESP != 0 {
		r.Kinds = append(r.Kinds, "esp")
	}
	r.Moves = uint64(s.Moves)
	if r.IPsec = reportIPsec(now, s.Watch()); r.IPsec != nil {
		r.Rekeys = r.IPsec.Rekeys
	}
	return r
}
