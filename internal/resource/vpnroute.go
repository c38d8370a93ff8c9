package resource

import (
	"net/netip"

	"causeway/internal/problem"
)

// VPNRoute sends packets into an IPsec connection: by where they go to, or,
// policy-based, also by where they come from.
type VPNRoute struct {
	Meta         `yaml:",inline"`
	VPNRouteSpec `yaml:",inline"`
	Given        VPNRouteGiven  `json:"given" yaml:"-"`
	Status       VPNRouteStatus `json:"status" yaml:"-"`
}

// VPNRouteSpec is what users say of a VPN route.
type VPNRouteSpec struct {
	Connection  string       `json:"connection" yaml:"connection"`                 // the IPsec connection it leads into
	Source      netip.Prefix `json:"source,omitzero" yaml:"source,omitempty"`      // makes it policy-based: only what comes from there; never changes
	Destination netip.Prefix `json:"destination" yaml:"destination"`               // never changes
	Weight      *int         `json:"weight,omitempty" yaml:"weight,omitempty"`     // 0 or 100: of two routes alike, the one with 100 is used while its connection is up; default 100
	Priority    int          `json:"priority,omitempty" yaml:"priority,omitempty"` // of a policy-based one, 1–100, the smallest first; default 10
	Publish     bool         `json:"publish,omitempty" yaml:"publish,omitempty"`   // also into the gateway's route tables
}

// VPNRouteGiven is what follows from the connection.
type VPNRouteGiven struct {
	VPNGateway string `json:"vpn_gateway,omitempty"` // the connection's
}

// VPNRouteStatus is how a VPN route fares: active, configuring, incomplete,
// unmanaged or away.
type VPNRouteStatus struct {
	State   State  `json:"state,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Tunnel  string `json:"tunnel,omitempty"`  // that it leads to now
	Problem string `json:"problem,omitempty"` // why the gateway could not put it into its kernel
}

// Limits and defaults of VPN routes.
const (
	MaxVPNRoutes       = 20 // of each sort, on one gateway
	DefaultVPNPriority = 10
	StandbyWeight      = 0
	ActiveWeight       = 100
)

func (*VPNRoute) Kind() Kind { return KindVPNRoute }

func (r *VPNRoute) Parents() []Parent {
	return append(parent(KindIPsecConnection, r.Connection, ""), parent(KindVPNGateway, r.Given.VPNGateway, "")...)
}

// IsPolicy reports whether the source of a packet counts as well.
func (r *VPNRoute) IsPolicy() bool { return r.Source.IsValid() }

func (r *VPNRoute) FillDefaults() {
	r.Weight = defaultTo(r.Weight, ActiveWeight)
	if r.IsPolicy() {
		setDefault(&r.Priority, DefaultVPNPriority)
	}
}

func (r *VPNRoute) Validate() problem.List {
	var j judge
	j.meta(&r.Meta)
	j.reference("connection", r.Connection)
	if !r.Destination.IsValid() {
		j.missing("destination", "an IP prefix, such as 192.168.10.0/24", "")
	}
	j.routed("destination", r.Destination)
	j.routed("source", r.Source)
	if r.IsPolicy() {
		if r.Destination.IsValid() && r.Source.Addr().Is4() != r.Destination.Addr().Is4() {
			j.refuse("source", r.Source, "a prefix of the destination's family", "")
		}
		for _, p := range []struct {
			path   string
			prefix netip.Prefix
		}{{"source", r.Source}, {"destination", r.Destination}} {
			if p.prefix.IsValid() && p.prefix.Bits() == 0 {
				j.refuse(p.path, p.prefix, "a prefix of a network of its own; not everything", "give the networks that this is about; for everything, make a route without source")
			}
		}
		j.between("priority", r.Priority, 1, 100)
	} else if r.Priority != 0 {
		j.refuse("priority", r.Priority, "nothing, as only policy-based routes have priorities", "leave it out, or give a source")
	}
	if r.Weight != nil && *r.Weight != StandbyWeight && *r.Weight != ActiveWeight {
		j.refuse("weight", *r.Weight, "0 or 100", "100 for the one that is used first, 0 for the one that waits")
	}
	return j.found
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// routed judges a prefix that packets are routed by; the invalid one is well.
func (j *judge) routed(path string, p netip.Prefix) {
	switch {
	case !p.IsValid():
	case p.Addr().Is4In6():
		j.refuse(path, p, "IPv4 prefixes in their own form", "write the IPv4 prefix")
	case p != p.Masked():
		j.refuse(path, p, "a prefix without bits after its length", "write %v", p.Masked())
	case p.Bits() > 0 && p.Overlaps(sharedSpace):
		j.refuse(path, p, "a prefix outside 100.64.0.0/10", "that space is the carriers' and the cloud's own; use RFC 1918 addresses")
	case p.Addr().IsMulticast(), p.Bits() > 0 && p.Addr().IsLoopback(), p.Bits() > 0 && p.Addr().IsLinkLocalUnicast():
		j.refuse(path, p, "a prefix of a network of machines", "")
	}
}
