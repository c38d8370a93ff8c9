package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/dataplane/admission"
	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/resequence"
	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/session"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/problem"
	"causeway/internal/snapshot"
)

// capabilities of this program's segments.
const capabilities = segment.CanRepair | segment.CanControl

// ipsecPorts are the ports an egress IP listens on before any session: where
// endpoints begin.
var ipsecPorts = [...]uint16{500, 4500}

// Apply makes the engine carry what the snapshot says: whole, or not at all
// when it returns an error. What is new is made before what is old is taken
// away; sessions that the snapshot still allows go on.
func (e *Engine) Apply(now mono.Time, s snapshot.Snapshot) error {
	e.now = now
	s = snapshot.WithDefaults(s)
	if problems := append(s.Consistent(), e.checkKey(&s)...); len(problems) > 0 {
		return problems
	}
	b := builder{e: e, now: now, plan: newPlan(s)}
	if err := errors.Join(b.sockets(), b.segments()); err != nil {
		b.undo()
		return fmt.Errorf("snapshot %d was not applied: %w", s.Version, err)
	}
	b.routes()
	b.groups()
	b.allowances()
	b.listeners()
	b.commit()
	return nil
}

func (e *Engine) checkKey(s *snapshot.Snapshot) problem.List {
	if s.PoP.PublicKey == "" || s.PoP.PublicKey == e.cfg.Key.Public().String() {
		return nil
	}
	return problem.List{problem.New("pop.public_key", s.PoP.PublicKey, e.cfg.Key.Public().String()+", the public half of the key this PoP was started with").
		WithFix("start the PoP with the key that belongs to this snapshot, or correct the snapshot")}
}

func newPlan(s snapshot.Snapshot) *plan {
	return &plan{
		snap: s, self: s.PoP.Label,
		overlay: map[string]*overlayAddr{}, peers: map[snapshot.Label]*peer{}, byName: map[string]*peer{},
		ends: map[handshake.Segment]*peer{}, through: map[hop]*peer{}, bySegment: map[*segment.Segment]*peer{},
		ways: map[snapshot.Label]*way{}, listeners: map[session.Name]*listener{}, groups: map[session.Name]*group{},
		allowances: map[string]*limit.Allowance{},
	}
}

// builder turns one snapshot into a plan.
type builder struct {
	e    *Engine
	now  mono.Time
	plan *plan
	made []*socket          // opened for this plan
	born []*segment.Segment // made for this plan
	want map[*socket]bool   // sockets that the plan needs

	listening map[*socket]*listener
	fixed     map[*socket]bool
}

// suits reports whether a session has the listener's settings.
func (l *listener) suits(s *session.Session) bool {
	return s.Idle == l.idle && s.Mode == l.mode && s.Order == l.order && s.Window == l.window
}

func (b *builder) listen(addr netip.AddrPort, use Use) (*socket, error) {
	known := b.e.byAddr[addr] != nil
	s, err := b.e.listenShared(addr, use)
	if err != nil {
		return nil, err
	}
	if !known {
		b.made = append(b.made, s)
	}
	b.want[s] = true
	return s, nil
}

// sockets opens what the snapshot names: overlay addresses, listeners, egress addresses.
func (b *builder) sockets() error {
	b.want, b.listening, b.fixed = map[*socket]bool{}, map[*socket]*listener{}, map[*socket]bool{}
	var errs []error
	for i, o := range b.plan.snap.PoP.Overlay {
		sock, err := b.listen(o.Bind, Overlay)
		if err != nil {
			errs = append(errs, fmt.Errorf("pop.overlay[%d].bind: %w", i, err))
			continue
		}
		b.plan.overlay[o.Name] = &overlayAddr{Overlay: o, sock: sock}
	}
	errs = append(errs, b.passthroughs())
	for i := range b.plan.snap.Listeners {
		l := listenerOf(b.plan.snap.Listeners[i])
		b.plan.listeners[l.name] = l
		for j, a := range l.Addresses {
			for _, port := range l.Ports {
				sock, err := b.listen(netip.AddrPortFrom(a.Bind, port), Edge)
				if err != nil {
					errs = append(errs, fmt.Errorf("listeners[%d].addresses[%d], port %d: %w", i, j, port, err))
					continue
				}
				b.listening[sock] = l
			}
		}
	}
	for i, g := range b.plan.snap.EndpointGroups {
		if g.PoP != b.plan.snap.PoP.Name {
			continue
		}
		for _, port := range ipsecPorts {
			sock, err := b.listen(netip.AddrPortFrom(g.EgressIP.Bind, port), Edge)
			if err != nil {
				errs = append(errs, fmt.Errorf("endpoint_groups[%d].egress_ip, port %d: %w", i, port, err))
				continue
			}
			b.fixed[sock] = true
		}
	}
	return errors.Join(errs...)
}

func listenerOf(l snapshot.Listener) *listener {
	mode, _ := repair.ParseMode(string(l.Repair)) // Consistent knows the same names
	order, _ := resequence.ParseMode(string(l.Order))
	return &listener{
		Listener: l, text: l.Name, name: session.NameOf(l.Name),
		idle: l.IdleTimeout, mode: uint8(mode), order: uint8(order), window: uint16(min(l.ReplayWindow, 1<<16-1)),
		clients: clientsOf(&l), known: new(admission.Known), gates: map[netip.Addr]*admission.Gate{},
	}
}

// segments makes a segment for each peer with wires, or keeps the one there is.
func (b *builder) segments() error {
	var errs []error
	for i := range b.plan.snap.Peers {
		p := &peer{Peer: b.plan.snap.Peers[i]}
		p.key, _ = keys.ParsePublic(p.PublicKey)
		b.plan.peers[p.Label], b.plan.byName[p.Name] = p, p
		if len(p.Wires) > 0 {
			errs = append(errs, b.segment(fmt.Sprintf("peers[%d]", i), p, p.Wires))
		}
	}
	for i := range b.plan.snap.Peers {
		for k, t := range b.plan.snap.Peers[i].Through {
			to := b.plan.byName[b.plan.snap.Peers[i].Name]
			p := &peer{Peer: to.Peer, key: to.key, relay: b.plan.byName[t.Relay]}
			b.plan.through[p.hop()] = p
			errs = append(errs, b.segment(fmt.Sprintf("peers[%d].through[%d]", i, k), p, t.Wires))
		}
	}
	return errors.Join(errs...)
}

// segment gives p the segment over these wires that it has, or makes one.
func (b *builder) segment(path string, p *peer, wires []snapshot.Wire) error {
	for _, w := range wires {
		if o := b.plan.overlay[w.Local]; o != nil {
			p.wires = append(p.wires, peerWire{name: w.Local, sock: o.sock, remote: w.Remote})
		}
	}
	if old := b.old(p); old != nil {
		p.segment, p.links, p.toldUp, p.fates = old.segment, old.links, old.toldUp, old.fates
	} else {
		s, err := segment.New(segment.Config{
			Name: p.title(), Local: b.e.cfg.Key, Peer: p.key, Label: b.plan.self, PeerLabel: p.Label, Through: p.hop().through, Lane: b.e.lane(),
			Incarnation: b.e.cfg.Random(), Capabilities: capabilities, Repair: p.Repair, Log: b.e.cfg.Log, NarrowAES: b.e.cfg.NarrowAES,
		}, b.e)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		p.segment = s
		b.born = append(b.born, s)
	}
	b.plan.bySegment[p.segment], b.plan.ends[p.end()] = p, p
	b.plan.neighbours = append(b.plan.neighbours, p)
	return nil
}

// old is the running peer whose segment can be kept.
func (b *builder) old(p *peer) *peer {
	if b.e.plan == nil || b.e.plan.self != b.plan.self {
		return nil
	}
	old := b.e.plan.ends[p.end()]
	if old == nil || old.Label != p.Label || old.Repair != p.Repair || old.title() != p.title() {
		return nil
	}
	return old
}

func (b *builder) routes() {
	for _, r := range b.plan.snap.Routes {
		to := b.plan.byName[r.To]
		w := newWay(to, r.Policy == snapshot.Fixed, b.e.predictor)
		w.chooser.Joint = w.jointOf(b.e)
		for _, via := range r.Candidates {
			if len(via) > 0 {
				if relay, through := snapshot.ThroughOf(via[0]); through {
					w.add(via, []snapshot.Label{to.Label}, b.plan.byName[relay].Label)
					continue
				}
			}
			labels := make([]snapshot.Label, 0, len(via)+1)
			for _, name := range via {
				labels = append(labels, b.plan.byName[name].Label)
			}
			w.add(via, append(labels, to.Label), 0)
		}
		if b.e.plan != nil {
			w.keep(b.e.plan.ways[to.Label])
		}
		w.resolve(b.plan)
		b.plan.ways[to.Label] = w
	}
}

func (b *builder) groups() {
	for _, sg := range b.plan.snap.EndpointGroups {
		g := &group{
			EndpointGroup: sg, text: sg.Name, name: session.NameOf(sg.Name),
			pop: b.labelOf(sg.PoP), egress: sg.EgressIP.Bind, last: map[netip.Addr]callee{}, health: map[netip.Addr]endpointHealth{}, bears: map[netip.Addr]bool{}, wasLost: map[netip.Addr]bool{},
		}
		for _, c := range sg.Initiate {
			g.calls = append(g.calls, call{c.Endpoint, callee{
				client: c.Client, accelerated: c.Accelerated, ingress: b.labelOf(c.Ingress),
				listener: session.NameOf(c.Listener), idle: snapshot.DefaultIdle,
				order: uint8(resequence.Ordered), window: snapshot.ReplayWin,
			}})
		}
		if b.e.plan != nil {
			if old := b.e.plan.groups[g.name]; old != nil {
				g.last, g.bears = old.last, old.bears
				g.keepHealth(old, b.plan.self)
			}
		}
		b.plan.groups[g.name] = g
	}
}

func (b *builder) labelOf(pop string) snapshot.Label {
	if pop == b.plan.snap.PoP.Name {
		return b.plan.self
	}
	if p := b.plan.byName[pop]; p != nil {
		return p.Label
	}
	return 0
}

func (b *builder) listeners() {
	for _, l := range b.plan.listeners {
		l.group = b.plan.groups[session.NameOf(l.EndpointGroup)]
		l.groups = []*group{l.group}
		for _, name := range l.Failover {
			l.groups = append(l.groups, b.plan.groups[session.NameOf(name)])
		}
		for _, g := range l.groups {
			l.held = append(l.held, b.held(l, g))
		}
		if b.e.plan != nil {
			if old := b.e.plan.listeners[l.name]; old != nil {
				l.moved, l.openedBlind, l.lostSince = old.moved, old.openedBlind, old.lostSince
				l.known, l.gates = old.known, old.gates
			}
		}
	}
}

// undo closes what was opened for a plan that is not to be.
func (b *builder) undo() {
	for _, s := range b.made {
		b.e.closeSocket(s)
	}
	for _, s := range b.born {
		s.Close()
	}
}

// commit makes the plan the running one. Nothing in it can fail.
func (b *builder) commit() {
	e, old := b.e, b.e.plan
	e.plan = b.plan
	if e.responder == nil {
		e.responder = handshake.NewResponder(e.cfg.Key, handshake.Hello{
			VersionMin: segment.OldestVersion, VersionMax: segment.Version, Capabilities: capabilities,
			Label: uint16(b.plan.self), Incarnation: e.incarnation, Shard: e.lane(),
		}, e.hasEnd, e.newIndex, segment.Entropy)
	}
	e.responder.SetIncarnations(func(s handshake.Segment) uint64 { return e.plan.ends[s].segment.Incarnation() })
	e.responder.SetRate(b.plan.snap.Limits.HandshakesPerSec)
	for s := range e.sockets.all() {
		s.listener, s.fixed = b.listening[s], b.fixed[s]
		s.overlay, s.passes = nil, nil
	}
	for _, o := range b.plan.overlay {
		o.sock.overlay = o
	}
	for _, p := range b.plan.passthroughs {
		p.sock.passes = p
	}
	if old != nil {
		for _, p := range old.neighbours {
			if b.plan.bySegment[p.segment] == nil {
				p.segment.Close()
				e.responder.Forget(p.end())
			}
		}
	}
	for _, p := range b.plan.neighbours {
		p.segment.Owner = p
		p.segment.SetWires(b.now, b.wireConfigs(p))
	}
	b.sessions()
	e.countAllowances()
	e.replanned, e.healthAt = true, b.now
	for s := range e.sockets.all() {
		if !b.want[s] && s.egress <= 0 {
			e.closeSocket(s)
		}
	}
	e.judgeBelow(old)
	e.chooseWays(b.now)
	e.sharesAt = b.now
	e.linksAt = b.now // neighbours route over us by what we said
}

func (e *Engine) hasEnd(s handshake.Segment) bool { return e.plan.ends[s] != nil }

func (b *builder) wireConfigs(p *peer) []segment.WireConfig {
	list := make([]segment.WireConfig, len(p.wires))
	for i, w := range p.wires {
		list[i] = segment.WireConfig{
			Name: w.name, Remote: w.remote, MTU: b.plan.overlay[w.name].MTU, IPv6: w.remote.Addr().Is6(),
		}
	}
	return list
}

// sessions keeps the sessions that the plan allows: those of the running plan,
// or at the first Apply those on disk.
func (b *builder) sessions() {
	e, lim := b.e, b.plan.snap.Limits
	limits := session.Limits{Confirmed: e.among(lim.Sessions), Unconfirmed: e.among(lim.Unconfirmed), PerPrefix: lim.SessionsPerPrefix}
	if e.table == nil {
		e.table = session.NewTable(limits, e.cfg.Store)
		e.table.Gone, e.table.Warmer, e.table.Wall = e.gone, e.warmExit, e.cfg.Wall
		if e.cfg.Flows != nil {
			e.table.Visit = e.logLong
		}
		if e.cfg.Siblings != nil {
			e.table.Claims = e.tellClaim
		}
		restored, damaged := e.table.Restore(b.now, func(s *session.Session) bool { return e.allowed(s) && e.reopen(s) })
		if restored+damaged > 0 {
			e.cfg.Log.Info("sessions restored", "sessions", restored, "damaged_records", damaged)
		}
		b.rememberCallees()
		b.rememberClients()
		return
	}
	e.table.SetLimits(limits)
	var end []*session.Session
	e.table.All(func(s *session.Session) bool {
		if !e.allowed(s) {
			end = append(end, s)
		} else if l := e.plan.listeners[s.Listener]; l != nil && s.Role&session.Ingress != 0 && !l.suits(s) {
			terms := *s.Terms
			terms.Idle, terms.Mode, terms.Order, terms.Window = l.idle, l.mode, l.order, l.window
			e.table.Renew(s, terms)
			e.reorder(s)
			s.SetPeerKnows(false) // tell the egress of changed settings
		}
		return true
	})
	for _, s := range end {
		e.tellClosed(b.now, s)
		e.end(s, session.NotAllowed)
	}
}

// allowed reports whether the running plan allows a session.
func (e *Engine) allowed(s *session.Session) bool {
	g := e.plan.groups[s.Group]
	if g == nil || g.pop != s.EgressPoP || !g.lists(s.Endpoint.Addr()) {
		return false
	}
	if s.Role&session.Ingress != 0 {
		sock := e.byAddr[s.Accelerated]
		if s.IngressPoP != e.plan.self || sock == nil || sock.listener == nil || !sock.listener.goesTo(g) || !sock.listener.allows(s.Client().Addr()) {
			return false
		}
	}
	if s.Role&session.Egress == 0 {
		return true
	}
	sock := e.byAddr[s.Egress()]
	return s.EgressPoP == e.plan.self && s.Egress().Addr() == g.egress && (sock == nil || sock.listener == nil)
}

// reopen takes a restored session's egress address back.
func (e *Engine) reopen(s *session.Session) bool {
	if s.Role&session.Egress == 0 {
		e.hold(s)
		return true
	}
	sock, err := e.listen(s.Egress(), Edge)
	if err != nil || sock.listener != nil {
		return false
	}
	sock.egress++
	e.hold(s)
	return true
}

// rememberCallees learns from restored sessions whom endpoints reach.
func (b *builder) rememberCallees() {
	var all []*session.Session
	b.e.table.All(func(s *session.Session) bool {
		if s.Role&session.Egress != 0 {
			all = append(all, s)
		}
		return true
	})
	slices.SortFunc(all, func(x, y *session.Session) int { return cmp.Compare(x.LastActive, y.LastActive) })
	for _, s := range all {
		b.plan.groups[s.Group].remember(s)
	}
}

// rememberClients learns from restored sessions who is no stranger to endpoints.
func (b *builder) rememberClients() {
	b.e.table.All(func(s *session.Session) bool {
		if l := b.plan.listeners[s.Listener]; l != nil && s.Role&session.Ingress != 0 && s.Seen&session.SeenOwnESP != 0 {
			l.known.Good(admission.Source(s.Client().Addr()))
		}
		return true
	})
}
