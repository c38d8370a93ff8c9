package vpngw

import (
	"slices"
	"time"

	"causeway/internal/report"
	"causeway/internal/vpn"
	"causeway/internal/vpn/diagnose"
	"causeway/internal/vpngw/swan"
)

// tell writes down how everything is.
func (e *engine) tell() {
	g := report.Gateway{
		Name: e.snapshot.Name, Region: e.snapshot.Region,
		Daemon: report.Daemon{
			Up: e.care.up && e.care.problem == "", Since: e.care.since, Version: e.care.version, PID: e.daemon.PID(), ESP: e.esp(),
			Restarts: e.care.restarts, Problem: e.care.problem,
		},
		Connections: []report.VPNConnection{}, Routes: append([]report.VPNRoute{}, e.routes...), Log: append([]report.LogLine{}, e.book.lines...),
	}
	if !e.care.up {
		g.Daemon.Since = time.Time{}
	}
	for _, c := range e.connections {
		k := report.VPNConnection{Name: c.Name, ID: c.ID, State: c.state, Since: c.since, Active: append([]string{}, c.active...), Health: c.health}
		for _, t := range c.tunnels {
			k.Tunnels = append(k.Tunnels, t.report())
		}
		g.Connections = append(g.Connections, k)
	}
	var all []vpn.Connection
	for _, c := range e.connections {
		all = append(all, c.Connection)
	}
	e.mu.Lock()
	e.told, e.diagnosed, e.masked = g, all, e.hide
	e.mu.Unlock()
}

// findings says what is wrong, by what charon logged and by whether it is there.
func findings(g report.Gateway, all []vpn.Connection, hide hider) []vpn.Finding {
	found := []vpn.Finding{}
	if !g.Daemon.Up && g.Daemon.Problem != "" {
		found = append(found, vpn.Finding{Code: vpn.DaemonUnreachable, Severity: vpn.Critical, At: g.At,
			Text: "charon does not answer: " + g.Daemon.Problem + ".", Fix: "The agent starts it again by itself. When that does not help, look at the agent's log."})
	}
	lines := make([]diagnose.Line, len(g.Log))
	for i, l := range g.Log {
		lines[i] = diagnose.Line(l)
	}
	for _, c := range all {
		for _, f := range diagnose.Log(lines, c) {
			if f.Code != vpn.NoExceptionFound {
				found = append(found, f)
			}
		}
	}
	for i := range found {
		f := &found[i]
		f.Text, f.Fix, f.Source, f.Local, f.Remote = hide.text(f.Text), hide.text(f.Fix), hide.text(f.Source), hide.text(f.Local), hide.text(f.Remote)
	}
	slices.SortStableFunc(found, func(a, b vpn.Finding) int { return b.At.Compare(a.At) })
	return found
}

func (t *tunnel) report() report.VPNTunnel {
	r := report.VPNTunnel{
		Name: t.Name, State: t.state, Since: t.since, LocalID: t.Local.ID, RemoteID: t.Remote.ID, Children: []report.ChildSA{},
		IKERekeys: t.ikeRekeys, ESPRekeys: t.espRekeys, DPDTimeouts: t.dpdTimeouts, Ups: t.ups,
	}
	if s := t.best(); s != nil {
		r.Local, r.Remote, r.IKEVersion, r.IKEProposal = s.Local, s.Remote, s.Version, s.Proposal
		r.NATHere, r.NATThere, r.Established, r.RekeyIn = s.NATLocal, s.NATRemote, s.Established, s.RekeyIn
	}
	for _, s := range t.sas {
		for _, c := range s.Children {
			r.Children = append(r.Children, childReport(c, t.lastFrom[c.SPIIn]))
		}
	}
	return r
}

func childReport(c swan.Child, last time.Time) report.ChildSA {
	return report.ChildSA{
		Name: c.Name, Local: append([]string{}, c.Local...), Remote: append([]string{}, c.Remote...), SPIIn: c.SPIIn, SPIOut: c.SPIOut, Proposal: c.Proposal, Encap: c.Encap,
		Established: c.Installed, RekeyIn: c.RekeyIn, LastFrom: last,
		FromPeer: report.Counter{Packets: c.PacketsIn, Bytes: c.BytesIn}, ToPeer: report.Counter{Packets: c.PacketsOut, Bytes: c.BytesOut},
	}
}

// report is the newest report. Nothing in it is older than two seconds: when the
// engine has not heard of charon for longer, nothing is said to be up.
func (e *engine) report() report.Gateway {
	e.mu.Lock()
	g, looked, all, hide := e.told, e.looked, e.diagnosed, e.masked
	e.mu.Unlock()
	g.At = time.Now()
	if g.Daemon.Up && time.Since(looked) > stale {
		g = withoutTunnels(g)
	}
	g.Findings = findings(g, all, hide)
	return g
}

// withoutTunnels is g where charon has not answered.
func withoutTunnels(g report.Gateway) report.Gateway {
	g.Daemon.Up, g.Daemon.Problem = false, "it has not answered for two seconds"
	g.Connections = slices.Clone(g.Connections)
	for i := range g.Connections {
		c := &g.Connections[i]
		c.State, c.Active, c.Tunnels = report.IKENotEstablished, []string{}, slices.Clone(c.Tunnels)
		for j := range c.Tunnels {
			c.Tunnels[j].State, c.Tunnels[j].Children = report.IKENotEstablished, []report.ChildSA{}
		}
	}
	return g
}
