package resource

import (
	"net/netip"

	"causeway/internal/problem"
)

// EgressIP is an address that traffic leaves from: what endpoints know as
// their peer. A reserved one outlives the endpoint groups that use it.
type EgressIP struct {
	Meta         `yaml:",inline"`
	EgressIPSpec `yaml:",inline"`
	Given        EgressIPGiven  `json:"given" yaml:"-"`
	Status       EgressIPStatus `json:"status" yaml:"-"`
}

// EgressIPSpec is what users say of an egress IP.
type EgressIPSpec struct {
	Region string `json:"region" yaml:"region"`                 // never changes
	PoP    string `json:"pop,omitempty" yaml:"pop,omitempty"`   // asks for one particular PoP of the region; never changes
	IPv6   bool   `json:"ipv6,omitempty" yaml:"ipv6,omitempty"` // wants an IPv6 address; default: what Address is; never changes

	// Address asks for one particular free address of the pool, in its public or
	// its bind form. Never changes.
	Address netip.Addr `json:"address,omitzero" yaml:"address,omitempty"`

	// Reserved keeps the address when no endpoint group uses it. True for those
	// that users create; an endpoint group that names none gets one that is not,
	// and `egress-ip update --reserved` keeps that one too.
	Reserved *bool `json:"reserved,omitempty" yaml:"reserved,omitempty"`
}

// EgressIPGiven is what the service gave; it never changes.
type EgressIPGiven struct {
	PoP  string     `json:"pop"`
	Bind netip.Addr `json:"bind"`
	IP   netip.Addr `json:"ip"` // what endpoints see
}

// EgressIPStatus is in-use or free.
type EgressIPStatus struct {
	Status
	EndpointGroup string `json:"endpoint_group,omitempty"` // who uses it
}

func (*EgressIP) Kind() Kind { return KindEgressIP }

func (e *EgressIP) Parents() []Parent {
	return append(parent(KindRegion, e.Region, ""), parent(KindPoP, e.Given.PoP, e.Given.Bind.String())...)
}

// IsReserved reports whether e outlives its endpoint group.
func (e *EgressIP) IsReserved() bool { return e.Reserved == nil || *e.Reserved }

func (e *EgressIP) FillDefaults() {
	e.Reserved = defaultTo(e.Reserved, true)
	e.IPv6 = e.IPv6 || e.Address.Is6()
}

func (e *EgressIP) Validate() problem.List {
	var j judge
	j.meta(&e.Meta)
	j.reference("region", e.Region)
	if e.PoP != "" {
		j.name("pop", e.PoP)
	}
	if e.Address.IsValid() && j.address("address", e.Address, false) && e.Address.Is6() != e.IPv6 {
		j.refuse("address", e.Address, "an address of the family asked for", "set ipv6 to %v, or choose another address", e.Address.Is6())
	}
	return j.found
}
