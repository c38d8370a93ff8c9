package resource

import (
	"net/netip"

	"causeway/internal/problem"
)

// IPSet is an acceleration region of an accelerator: where its clients board.
type IPSet struct {
	Meta      `yaml:",inline"`
	IPSetSpec `yaml:",inline"`
	Given     IPSetGiven `json:"given" yaml:"-"`
	Status    Status     `json:"status" yaml:"-"` // active, configuring, refused or disabled
}

// IPSetSpec is what users say of an IP set.
type IPSetSpec struct {
	Accelerator string `json:"accelerator" yaml:"accelerator"`       // never changes
	Region      string `json:"region" yaml:"region"`                 // never changes; one IP set for each region of an accelerator
	Mbps        int    `json:"mbps,omitempty" yaml:"mbps,omitempty"` // Mbit/s in each direction, at least 2; the sum is at most the Basic package's. 0 (custom spec only): not limited
	IPv6        bool   `json:"ipv6,omitempty" yaml:"ipv6,omitempty"` // wants an IPv6 address; default: what Address is; never changes

	// Address asks for one particular address of a PoP's pool, in its public or
	// its bind form; it may be one that another accelerator uses with other
	// ports. Default: one that nobody uses. Never changes.
	Address netip.Addr `json:"address,omitzero" yaml:"address,omitempty"`
	PoP     string     `json:"pop,omitempty" yaml:"pop,omitempty"` // asks for one particular PoP of the region; never changes
}

// IPSetGiven is what the service gave an IP set; it never changes.
type IPSetGiven struct {
	PoP  string     `json:"pop"`
	Bind netip.Addr `json:"bind"`           // the accelerated IP, as the PoP's machine has it
	IP   netip.Addr `json:"accelerated_ip"` // the accelerated IP that clients send to
}

func (*IPSet) Kind() Kind { return KindIPSet }

func (s *IPSet) Parents() []Parent {
	list := parent(KindAccelerator, s.Accelerator, s.Region)
	list = append(list, parent(KindRegion, s.Region, "")...)
	return append(list, parent(KindPoP, s.Given.PoP, s.Given.Bind.String())...)
}

func (s *IPSet) FillDefaults() { s.IPv6 = s.IPv6 || s.Address.Is6() }

func (s *IPSet) Validate() problem.List {
	var j judge
	j.meta(&s.Meta)
	j.reference("accelerator", s.Accelerator)
	j.reference("region", s.Region)
	if s.Mbps != 0 {
		j.between("mbps", s.Mbps, MinMbps, MaxMbps)
	}
	if s.Address.IsValid() {
		if j.address("address", s.Address, false) && s.Address.Is6() != s.IPv6 {
			j.refuse("address", s.Address, "an address of the family asked for", "set ipv6 to %v, or choose another address", s.Address.Is6())
		}
	}
	if s.PoP != "" {
		j.name("pop", s.PoP)
	}
	return j.found
}
