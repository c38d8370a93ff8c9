package resource

import (
	"fmt"
	"net/netip"
	"time"

	"causeway/internal/problem"
)

// VPNGateway is a device of ours that ends IPsec connections: strongSwan with
// `causeway gateway` beside it, or, unmanaged, one that only gets configurations.
type VPNGateway struct {
	Meta           `yaml:",inline"`
	VPNGatewaySpec `yaml:",inline"`
	Given          VPNGatewayGiven  `json:"given" yaml:"-"`
	Status         VPNGatewayStatus `json:"status" yaml:"-"`
}

// VPNGatewaySpec is what users say of a VPN gateway.
type VPNGatewaySpec struct {
	Region      string           `json:"region" yaml:"region"`                                 // where it stands; never changes
	Addresses   []GatewayAddress `json:"addresses" yaml:"addresses"`                           // its outer ones, 1–8; tunnels use the first unless they name another
	Networks    []netip.Prefix   `json:"networks,omitempty" yaml:"networks,omitempty"`         // behind it; connections that name no local networks join these
	UserCIDRs   []netip.Prefix   `json:"user_cidrs,omitempty" yaml:"user_cidrs,omitempty"`     // at most 3: public prefixes that are used as private ones behind it
	RouteTables []int            `json:"route_tables,omitempty" yaml:"route_tables,omitempty"` // of its kernel, that published routes go into, 1–2,147,483,647 without 220, 255 and 22100–23099; default 254, main
	Propagate   bool             `json:"propagate,omitempty" yaml:"propagate,omitempty"`       // publish a route for each remote network of its connections, without a VPN route for it
	ASN         uint32           `json:"asn,omitempty" yaml:"asn,omitempty"`                   // for device configurations; default 45104
	Unmanaged   bool             `json:"unmanaged,omitempty" yaml:"unmanaged,omitempty"`       // no agent runs there: connections are for configurations only
}

// GatewayAddress is one outer address of a VPN gateway in its two forms.
type GatewayAddress struct {
	Bind   netip.Addr `json:"bind" yaml:"bind"`                        // as the machine has it
	Public netip.Addr `json:"public,omitzero" yaml:"public,omitempty"` // as the world sees it, behind 1:1 NAT; default Bind
}

// VPNGatewayGiven is what became of a VPN gateway.
type VPNGatewayGiven struct {
	Enrolment *Enrolment `json:"enrolment,omitempty"`
}

// VPNGatewayStatus is how a VPN gateway fares: unmanaged, not-enrolled,
// configuring, connected, refused or away.
type VPNGatewayStatus struct {
	State       State     `json:"state,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Since       time.Time `json:"since,omitzero"`        // of being in reach, or away
	Applied     uint64    `json:"applied,omitempty"`     // version of the snapshot it runs
	Desired     uint64    `json:"desired,omitempty"`     // version of the one it should run
	Refusal     string    `json:"refusal,omitempty"`     // why it would not take the newest, whole
	Build       string    `json:"build,omitempty"`       // version of its program
	Daemon      string    `json:"daemon,omitempty"`      // its strongSwan: a version, or why it does not answer
	Connections int       `json:"connections,omitempty"` // that hang on it
	Up          int       `json:"up,omitempty"`          // of these, as it told last
}

// Limits of VPN gateways.
const (
	MaxGatewayAddresses = 8
	MaxUserCIDRs        = 3
	GatewayASN          = 45104 // what VPN gateways have; no customer gateway can have it
)

func (*VPNGateway) Kind() Kind { return KindVPNGateway }

func (g *VPNGateway) Parents() []Parent { return parent(KindRegion, g.Region, "") }

// PublicOf is how the world sees the address a of g, in either form; invalid
// for one that g does not have. The invalid address stands for the first.
func (g *VPNGateway) PublicOf(a netip.Addr) (bind, public netip.Addr) {
	for _, own := range g.Addresses {
		if !a.IsValid() || own.Bind == a || own.Public == a {
			if !own.Public.IsValid() {
				return own.Bind, own.Bind
			}
			return own.Bind, own.Public
		}
	}
	return netip.Addr{}, netip.Addr{}
}

func (g *VPNGateway) FillDefaults() {
	addresses := make([]GatewayAddress, len(g.Addresses))
	for i, a := range g.Addresses {
		if !a.Public.IsValid() {
			a.Public = a.Bind
		}
		addresses[i] = a
	}
	if g.Addresses != nil {
		g.Addresses = addresses
	}
	setDefault(&g.ASN, GatewayASN)
	if len(g.RouteTables) == 0 {
		g.RouteTables = []int{254}
	}
}

func (g *VPNGateway) Validate() problem.List {
	var j judge
	j.meta(&g.Meta)
	j.reference("region", g.Region)
	switch n := len(g.Addresses); {
	case n == 0:
		j.missing("addresses", "at least one address that peers send to", "give it, such as {bind: 203.0.113.7}")
	case n > MaxGatewayAddresses:
		j.refuse("addresses", n, fmt.Sprintf("at most %d addresses", MaxGatewayAddresses), "make another VPN gateway")
	}
	binds, publics := map[netip.Addr]int{}, map[netip.Addr]int{}
	for i, a := range g.Addresses {
		path := fmt.Sprintf("addresses[%d]", i)
		if first, twice := binds[a.Bind]; twice && a.Bind.IsValid() {
			j.refuse(path+".bind", a.Bind, "each address once", "addresses[%d] has it; remove one", first)
		}
		if first, twice := publics[a.Public]; twice && a.Public.IsValid() && a.Public != a.Bind {
			j.refuse(path+".public", a.Public, "each address once", "addresses[%d] has it", first)
		}
		binds[a.Bind], publics[a.Public] = i, i
		if j.address(path+".bind", a.Bind, false) && a.Public != a.Bind && j.address(path+".public", a.Public, false) && a.Public.Is4() != a.Bind.Is4() {
			j.refuse(path+".public", a.Public, "an address of bind's family", "give the 1:1 NAT's outside address for %v", a.Bind)
		}
	}
	j.networks("networks", g.Networks)
	j.networks("user_cidrs", g.UserCIDRs)
	if n := len(g.UserCIDRs); n > MaxUserCIDRs {
		j.refuse("user_cidrs", n, fmt.Sprintf("at most %d prefixes", MaxUserCIDRs), "join neighbouring ones")
	}
	for i, p := range g.UserCIDRs {
		if p.IsValid() && privateNetwork(p) {
			j.refuse(fmt.Sprintf("user_cidrs[%d]", i), p, "a prefix outside 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16", "leave it out: it counts as private by itself")
		}
	}
	for i, n := range g.RouteTables {
		path := fmt.Sprintf("route_tables[%d]", i)
		j.between(path, n, 1, 1<<31-1)
		if n == 255 || n == 220 || n >= 22100 && n < 23100 {
			j.refuse(path, n, "a table that has no other use: not 220, 255 or 22100 to 23099", "255 is the kernel's own, the others are the gateway's; 254 is the main one")
		}
		for k := range i {
			if g.RouteTables[k] == n {
				j.refuse(path, n, "each table once", "remove the repetition")
				break
			}
		}
	}
	return j.found
}

var privateSpace = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

// privateNetwork reports whether all of p is private (RFC 1918, RFC 4193).
func privateNetwork(p netip.Prefix) bool {
	for _, s := range privateSpace {
		if s.Bits() <= p.Bits() && s.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
