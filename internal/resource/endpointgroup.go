package resource

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/problem"
	"causeway/internal/snapshot"
)

// EndpointGroup is where a listener's traffic leaves, and to whom.
type EndpointGroup struct {
	Meta              `yaml:",inline"`
	EndpointGroupSpec `yaml:",inline"`
	Given             EndpointGroupGiven  `json:"given" yaml:"-"`
	Status            EndpointGroupStatus `json:"status" yaml:"-"`
}

// EndpointGroupSpec is what users say of an endpoint group.
type EndpointGroupSpec struct {
	Listener          string       `json:"listener" yaml:"listener"`                                         // never changes
	Region            string       `json:"region" yaml:"region"`                                             // where traffic leaves; one group for each region of a listener; never changes
	Endpoints         []Endpoint   `json:"endpoints" yaml:"endpoints"`                                       // 1–10
	TrafficPercentage *int         `json:"traffic_percentage,omitempty" yaml:"traffic_percentage,omitempty"` // 0–100 of the new clients that come to this group; the rest goes to the next one; default 100
	Priority          int          `json:"priority,omitempty" yaml:"priority,omitempty"`                     // 0–255: a listener's groups are tried from the smallest; equal ones by name
	HealthCheck       *HealthCheck `json:"health_check,omitempty" yaml:"health_check,omitempty"`             // default: none, every endpoint counts as healthy
	Initiate          []Initiate   `json:"initiate,omitempty" yaml:"initiate,omitempty"`                     // whom endpoints reach that send before any client did
	FlowLog           bool         `json:"flow_log,omitempty" yaml:"flow_log,omitempty"`                     // the ingress PoPs write a line for each session of the listener

	// EgressIP names a reserved egress IP of the region. Left out, one is given
	// out that lives as long as the group does. Changing it changes what the
	// endpoints see; leaving it out in an edit keeps what is there.
	EgressIP string `json:"egress_ip,omitempty" yaml:"egress_ip,omitempty"`
}

// Endpoint is a VPN device: by IP address or by domain, one of the two.
type Endpoint struct {
	Address netip.Addr `json:"address,omitzero" yaml:"address,omitempty"`
	Domain  string     `json:"domain,omitempty" yaml:"domain,omitempty"` // looked up again whenever its records' time is over
	Weight  *int       `json:"weight,omitempty" yaml:"weight,omitempty"` // 0–255, 0 = drain: no new clients; default 128
}

// String is the address or the domain.
func (e Endpoint) String() string {
	if e.Domain != "" {
		return e.Domain
	}
	return e.Address.String()
}

// Initiate binds an endpoint to the client that it may call.
type Initiate struct {
	Endpoint netip.Addr `json:"endpoint" yaml:"endpoint"`
	Client   netip.Addr `json:"client" yaml:"client"`
	IPSet    string     `json:"ip_set" yaml:"ip_set"` // the IP set whose accelerated IP the client is spoken to from
}

// EndpointGroupGiven is what the service gave a group. It changes only when
// the spec names another egress IP.
type EndpointGroupGiven struct {
	EgressIP string     `json:"egress_ip"` // name of the egress-ip resource
	PoP      string     `json:"pop"`       // where traffic leaves
	Bind     netip.Addr `json:"bind"`      // the egress IP as the PoP's machine has it
	IP       netip.Addr `json:"ip"`        // the egress IP that endpoints see: what their peer address is set to
}

// EndpointGroupStatus is how a group fares: active, configuring, refused,
// blocked or disabled.
type EndpointGroupStatus struct {
	Status
	Resolved map[string][]netip.Addr `json:"resolved,omitempty"` // what domains stand for at present
}

// Bounds of endpoint groups.
const (
	MaxEndpoints     = 10
	MaxGroups        = 10 // of one listener
	DefaultWeight    = snapshot.DefaultWeight
	MaxGroupPriority = 255
)

func (*EndpointGroup) Kind() Kind { return KindEndpointGroup }

func (g *EndpointGroup) Parents() []Parent {
	list := parent(KindListener, g.Listener, g.Region)
	list = append(list, parent(KindRegion, g.Region, "")...)
	list = append(list, parent(KindEgressIP, g.Given.EgressIP, "")...)
	seen := map[string]bool{}
	for _, e := range g.Endpoints {
		if e.Domain != "" && !seen[e.Domain] {
			seen[e.Domain] = true
			list = append(list, parent(KindDomain, e.Domain, "")...)
		}
	}
	for _, in := range g.Initiate {
		if !seen[in.IPSet] {
			seen[in.IPSet] = true
			list = append(list, parent(KindIPSet, in.IPSet, "")...)
		}
	}
	return list
}

func (g *EndpointGroup) FillDefaults() {
	g.TrafficPercentage = defaultTo(g.TrafficPercentage, 100)
	g.Endpoints = slices.Clone(g.Endpoints)
	for i := range g.Endpoints {
		e := &g.Endpoints[i]
		e.Weight = defaultTo(e.Weight, DefaultWeight)
		e.Domain = strings.TrimSuffix(strings.ToLower(e.Domain), ".")
	}
	if g.HealthCheck != nil {
		filled := g.HealthCheck.WithDefaults()
		g.HealthCheck = &filled
	}
}

func (g *EndpointGroup) Validate() problem.List {
	var j judge
	j.meta(&g.Meta)
	j.reference("listener", g.Listener)
	j.reference("region", g.Region)
	j.endpoints(g.Endpoints)
	if g.TrafficPercentage != nil {
		j.between("traffic_percentage", *g.TrafficPercentage, 0, 100)
	}
	j.between("priority", g.Priority, 0, MaxGroupPriority)
	if g.HealthCheck != nil {
		j.healthCheck("health_check", *g.HealthCheck)
	}
	if g.EgressIP != "" {
		j.name("egress_ip", g.EgressIP)
	}
	for i, in := range g.Initiate {
		path := fmt.Sprintf("initiate[%d]", i)
		if !slices.ContainsFunc(g.Endpoints, func(e Endpoint) bool { return e.Address == in.Endpoint }) || !in.Endpoint.IsValid() {
			j.refuse(path+".endpoint", in.Endpoint, "the address of one of the group's endpoints", "add it to endpoints, or correct it here")
		}
		if slices.ContainsFunc(g.Initiate[:i], func(o Initiate) bool { return o.Endpoint == in.Endpoint }) {
			j.refuse(path+".endpoint", in.Endpoint, "one client for each endpoint", "remove one of the two")
		}
		j.address(path+".client", in.Client, false)
		j.reference(path+".ip_set", in.IPSet)
	}
	return j.found
}

func (j *judge) endpoints(list []Endpoint) {
	switch {
	case len(list) == 0:
		j.missing("endpoints", "at least one VPN device", "give its address or domain; a temporary one may be replaced later")
	case len(list) > MaxEndpoints:
		j.refuse("endpoints", len(list), allowedEndpoints, "make another endpoint group")
	}
	for i, e := range list {
		path := fmt.Sprintf("endpoints[%d]", i)
		switch {
		case e.Domain != "" && e.Address.IsValid():
			j.refuse(path, e.Domain, "an address or a domain, not both", "remove one of the two")
		case e.Domain != "":
			j.domain(path+".domain", e.Domain)
		case !e.Address.IsValid():
			j.missing(path+".address", "the IP address or the domain of a VPN device", "")
		default:
			if why := snapshot.NoEndpoint(e.Address, nil); why != "" {
				j.refuse(path+".address", e.Address, allowedEndpoint, "%s", why)
			}
		}
		if e.Weight != nil {
			j.between(path+".weight", *e.Weight, 0, snapshot.MaxWeight)
		}
		for n := range i {
			if list[n].String() == e.String() {
				j.refuse(path, e, "each endpoint once", "endpoints[%d] is the same; use weight to send more there", n)
				break
			}
		}
	}
}
