package service

import (
	"cmp"
	"fmt"
	"slices"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// vpnGateway is how a VPN gateway fares.
func (v *view) vpnGateway(g *resource.VPNGateway) resource.VPNGatewayStatus {
	agent := resource.AgentOf(resource.RefOf(g))
	r := v.reports[agent]
	s := resource.VPNGatewayStatus{State: resource.Connected, Since: r.Since, Applied: r.Version, Desired: uint64(v.World.Revision), Build: r.Build}
	for i := range v.World.IPsecConnections {
		c := &v.World.IPsecConnections[i]
		if c.VPNGateway != g.Name {
			continue
		}
		s.Connections++
		if told := r.VPN.connection(c.Name); told != nil && told.State == resource.IPsecEstablished && r.Connected {
			s.Up++
		}
	}
	if g.Unmanaged {
		return resource.VPNGatewayStatus{State: resource.Unmanaged, Connections: s.Connections}
	}
	if r.Digest == v.Plan.Digests[agent] {
		s.Desired = r.Version
	}
	if r.VPN != nil {
		s.Daemon = r.VPN.Daemon
	}
	problem, blocked := v.problem(resource.RefOf(g))
	switch {
	case blocked:
		s.State, s.Reason = problem.State, sentence(problem)
	case !r.Connected:
		s.State, s.Reason = resource.Away, "its agent is not connected; it runs on with what it was told last"
	case v.refuses(agent):
		s.State, s.Reason, s.Refusal = resource.Refused, "it would not take its snapshot; the one before goes on: "+firstLine(r.Refusal), r.Refusal
	case r.Digest != v.Plan.Digests[agent]:
		s.State, s.Reason = resource.Configuring, "it has not said yet that it runs its newest snapshot"
	case r.VPN != nil && !r.VPN.DaemonUp:
		s.State, s.Reason = resource.Blocked, "its strongSwan is not up: "+r.VPN.Daemon
	}
	return s
}

// gatewayState is why what hangs on a VPN gateway cannot be known from what it
// tells; empty when it can.
func (v *view) gatewayState(name string) (resource.State, string) {
	g := lookup[resource.VPNGateway](v.Compiled, name)
	if g == nil {
		return resource.Blocked, fmt.Sprintf("there is no VPN gateway %q", name)
	}
	switch s := v.vpnGateway(g); s.State {
	case resource.Unmanaged:
		return resource.Unmanaged, fmt.Sprintf("no agent of ours runs on %s", resource.RefOf(g))
	case resource.NotEnrolled:
		return resource.Configuring, fmt.Sprintf("%s: %s", resource.RefOf(g), s.Reason)
	case resource.Away, resource.Refused:
		return s.State, fmt.Sprintf("%s: %s", resource.RefOf(g), s.Reason)
	}
	return "", ""
}

// ipsecConnection is how an IPsec connection fares: what its gateway tells.
func (v *view) ipsecConnection(c *resource.IPsecConnection) resource.IPsecConnectionStatus {
	var s resource.IPsecConnectionStatus
	built, refusal, _ := v.World.Around().Connection(c)
	for i := range built.Tunnels {
		t := &built.Tunnels[i]
		role := resource.MasterTunnel
		if i > 0 {
			role = resource.SlaveTunnel
		}
		s.Tunnels = append(s.Tunnels, resource.IPsecTunnelStatus{Name: t.Name, Role: role, Local: addressText(t.Local), Peer: addressText(t.Remote)})
	}
	s.Findings = append(v.findingsOf(c), v.World.Around().Lint(c)...)
	r := v.reports[resource.AgentOf(resource.Ref{Kind: resource.KindVPNGateway, Name: c.VPNGateway})]
	told := r.VPN.connection(c.Name)
	problem, blocked := v.problem(resource.RefOf(c))
	state, reason := v.gatewayState(c.VPNGateway)
	switch {
	case !c.IsEnabled():
		s.State, s.Reason = resource.Disabled, "it is switched off"
		return s
	case blocked:
		s.State, s.Reason = problem.State, sentence(problem)
		return s
	case refusal != "":
		s.State, s.Reason = resource.Blocked, refusal
		return s
	case state != "":
		s.State, s.Reason = state, reason
		return s
	case told == nil:
		s.State, s.Reason = resource.Configuring, fmt.Sprintf("VPN gateway %q has not told of it yet", c.VPNGateway)
		return s
	}
	s.State, s.Since, s.Active, s.Health = told.State, told.Since, told.Active, told.Health
	for i := range s.Tunnels {
		for _, t := range told.Tunnels {
			if t.Name == s.Tunnels[i].Name {
				s.Tunnels[i].State, s.Tunnels[i].Since = t.State, t.Since
			}
		}
	}
	if s.State != resource.IPsecEstablished {
		for _, f := range s.Findings {
			if f.Severity == vpn.Critical && !f.At.IsZero() {
				s.Reason = f.Text
				break
			}
		}
	}
	return s
}

func addressText(e vpn.End) string {
	if e.Address.IsValid() {
		return e.Address.String()
	}
	return e.Domain
}

// findingsOf is what its gateway concluded about c, the newest first.
func (v *view) findingsOf(c *resource.IPsecConnection) []vpn.Finding {
	var list []vpn.Finding
	r := v.reports[resource.AgentOf(resource.Ref{Kind: resource.KindVPNGateway, Name: c.VPNGateway})]
	if r.VPN != nil {
		for _, f := range r.VPN.Findings {
			if f.Connection == c.Name {
				f.Field = c.FieldOfBuilt(f.Field)
				list = append(list, f)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b vpn.Finding) int { return b.At.Compare(a.At) })
	return list
}

// vpnRoute is how a VPN route fares.
func (v *view) vpnRoute(r *resource.VPNRoute) resource.VPNRouteStatus {
	s := resource.VPNRouteStatus{State: resource.Active}
	if c := lookup[resource.IPsecConnection](v.Compiled, r.Connection); c != nil && !c.IsEnabled() {
		return resource.VPNRouteStatus{State: resource.Disabled, Reason: resource.RefOf(c).String() + " is switched off"}
	}
	if state, reason := v.gatewayState(r.Given.VPNGateway); state != "" {
		s.State, s.Reason = state, reason
		return s
	}
	report := v.reports[resource.AgentOf(resource.Ref{Kind: resource.KindVPNGateway, Name: r.Given.VPNGateway})]
	if report.VPN != nil {
		for _, told := range report.VPN.Routes {
			if told.Destination == r.Destination && told.Source == r.Source && told.Connection == r.Connection {
				s.Tunnel, s.Problem = told.Tunnel, told.Problem
				if told.Problem != "" {
					s.State, s.Reason = resource.Blocked, told.Problem
				} else if told.Tunnel == "" {
					s.State, s.Reason = resource.Incomplete, fmt.Sprintf("IPsec connection %q is not up, so it leads nowhere", r.Connection)
				}
				return s
			}
		}
	}
	s.State, s.Reason = resource.Configuring, cmp.Or(s.Reason, fmt.Sprintf("VPN gateway %q has not told of it yet", r.Given.VPNGateway))
	return s
}
