package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
	"causeway/internal/vpn"
)

// Around is what w's IPsec connections refer to.
func (w *World) Around() *resource.Around {
	return &resource.Around{VPNGateways: w.VPNGateways, CustomerGateways: w.CustomerGateways, IPSets: w.IPSets, Listeners: w.Listeners, EndpointGroups: w.EndpointGroups}
}

// gateways works out what each VPN gateway with an agent is told. Secrets are
// sealed in it, and so is what digests are made of.
func (c *compiler) gateways(plan *Plan) {
	around := c.Around()
	built := map[string][]vpn.Connection{} // by gateway
	for _, conn := range sorted(c.IPsecConnections) {
		if !conn.IsEnabled() {
			continue
		}
		v, refusal, fix := around.Connection(conn)
		if refusal != "" {
			c.problem(ref(resource.KindIPsecConnection, conn.Name), resource.Blocked, refusal, fix)
			continue
		}
		if found := conn.JudgeBuilt(v); len(found) > 0 {
			c.problem(ref(resource.KindIPsecConnection, conn.Name), resource.Blocked, found[0].String(), "")
			continue
		}
		built[conn.VPNGateway] = append(built[conn.VPNGateway], v)
	}
	for _, g := range sorted(c.VPNGateways) {
		r := ref(resource.KindVPNGateway, g.Name)
		switch e := g.Given.Enrolment; {
		case g.Unmanaged:
			continue
		case e == nil:
			c.problem(r, resource.NotEnrolled, "no machine has been enrolled as this VPN gateway", "make a token: causeway token create --gateway "+g.Name)
			continue
		case e.Revoked:
			c.problem(r, resource.NotEnrolled, "its certificate was revoked", "enrol it again with a new token")
			continue
		}
		s := c.gatewaySnapshot(g, built[g.Name])
		plan.Gateways[g.Name] = s
		plan.Digests[resource.AgentOf(r)] = gatewayDigest(s)
	}
}

func (c *compiler) gatewaySnapshot(g *resource.VPNGateway, connections []vpn.Connection) snapshot.Gateway {
	s := snapshot.Gateway{
		Format: snapshot.Format, Version: uint64(c.Revision), Name: g.Name, Region: g.Region,
		Networks: g.Networks, UserCIDRs: g.UserCIDRs, RouteTables: g.RouteTables, Connections: connections,
	}
	for _, a := range g.Addresses {
		s.Addresses = append(s.Addresses, snapshot.Address{Bind: a.Bind, Public: a.Public})
	}
	up := map[string]*vpn.Connection{}
	for i := range connections {
		up[connections[i].Name] = &connections[i]
	}
	led := map[netip.Prefix]bool{} // destinations that a VPN route of its own leads to
	for _, r := range sorted(c.VPNRoutes) {
		if up[r.Connection] == nil || r.Given.VPNGateway != g.Name {
			continue
		}
		if !r.IsPolicy() {
			led[r.Destination] = true
		}
		s.Routes = append(s.Routes, vpn.Route{Source: r.Source, Destination: r.Destination, Connection: r.Connection, Weight: *r.Weight, Priority: r.Priority, Publish: r.Publish})
	}
	if !g.Propagate {
		return s
	}
	for _, v := range connections {
		for _, n := range v.RemoteNetworks {
			if !led[n] {
				led[n] = true
				s.Routes = append(s.Routes, vpn.Route{Destination: n, Connection: v.Name, Weight: resource.ActiveWeight, Publish: true})
			}
		}
	}
	return s
}

// gatewayDigest is of everything in s but its version.
func gatewayDigest(s snapshot.Gateway) string {
	s.Version = 0
	encoded, err := json.Marshal(s)
	if err != nil {
		panic("compile: a VPN gateway's snapshot cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:16])
}
