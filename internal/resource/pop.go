package resource

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"causeway/internal/problem"
)

// PoP is a point of presence: one machine that runs `causeway pop`.
type PoP struct {
	Meta    `yaml:",inline"`
	PoPSpec `yaml:",inline"`
	Given   PoPGiven  `json:"given" yaml:"-"`
	Status  PoPStatus `json:"status" yaml:"-"`
}

// PoPSpec is what users say of a PoP.
type PoPSpec struct {
	Region    string           `json:"region" yaml:"region"`                           // never changes
	Overlay   []OverlayAddress `json:"overlay" yaml:"overlay"`                         // at least one; two PoPs have a wire for each pair of the same carrier name, or all with all when no names match
	Addresses []PoolAddress    `json:"addresses,omitempty" yaml:"addresses,omitempty"` // the pool that accelerated and egress IPs are given out from
	Capacity  Capacity         `json:"capacity,omitzero" yaml:"capacity,omitempty"`
	Cordoned  bool             `json:"cordoned,omitempty" yaml:"cordoned,omitempty"` // nothing new is given out here; what runs goes on
	Relay     *bool            `json:"relay,omitempty" yaml:"relay,omitempty"`       // others may route over it; default true
	// whether segments of other PoPs may go through it unopened; default off
	Passthrough Passthrough `json:"passthrough,omitempty" yaml:"passthrough,omitempty"`
	PublicKey   string      `json:"public_key,omitempty" yaml:"public_key,omitempty"` // overlay key, base64; enrolment fills it in, so it need not be given
}

// Passthrough is how a PoP relays: what it opens, mends and seals again, what it passes on
// without being able to, or what suits the ends better.
type Passthrough string

const (
	PassthroughOff  Passthrough = "off"  // everything is opened
	PassthroughAlso Passthrough = "also" // both are candidates
	PassthroughOnly Passthrough = "only" // nothing is opened
)

// OverlayAddress is one UDP address that other PoPs send to.
type OverlayAddress struct {
	Name   string         `json:"name" yaml:"name"`                        // the carrier: ct, cu, isp
	Bind   netip.AddrPort `json:"bind" yaml:"bind"`                        // what the socket binds; port 4600 is usual
	Public netip.AddrPort `json:"public,omitzero" yaml:"public,omitempty"` // what others send to behind 1:1 NAT; default Bind
	MTU    int            `json:"mtu,omitempty" yaml:"mtu,omitempty"`      // 1280–9000 bytes; default 1500
}

// PoolUse is what an address of the pool may become.
type PoolUse string

const (
	UseAny         PoolUse = "any"
	UseAccelerated PoolUse = "accelerated"
	UseEgress      PoolUse = "egress"
)

// PoolAddress is one address of a PoP's pool in its two forms.
type PoolAddress struct {
	Bind   netip.Addr `json:"bind" yaml:"bind"`                        // as the machine has it
	Public netip.Addr `json:"public,omitzero" yaml:"public,omitempty"` // as the world sees it; default Bind
	Use    PoolUse    `json:"use,omitempty" yaml:"use,omitempty"`      // default any
}

// Capacity bounds what is given out on a PoP. Zero fields bound nothing.
type Capacity struct {
	Mbps     int `json:"mbps,omitempty" yaml:"mbps,omitempty"`         // sum of the IP sets' bandwidth, Mbit/s
	Sessions int `json:"sessions,omitempty" yaml:"sessions,omitempty"` // confirmed sessions the PoP holds, in all
}

// PoPGiven is what the service gave a PoP.
type PoPGiven struct {
	Label     uint16     `json:"label"` // in the overlay; 1–65,535
	Enrolment *Enrolment `json:"enrolment,omitempty"`
}

// Enrolment is the machine that became the PoP by a token.
type Enrolment struct {
	At          time.Time `json:"at"`
	Token       string    `json:"token"`       // name of the token that was used up
	Certificate string    `json:"certificate"` // serial number of the certificate in use, hexadecimal; another one is not accepted
	NotAfter    time.Time `json:"not_after"`   // when that certificate ends
	Revoked     bool      `json:"revoked,omitempty"`
}

// PoPStatus is how a PoP fares: not-enrolled, configuring, connected, refused or away.
type PoPStatus struct {
	State    State     `json:"state,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since,omitzero"`    // of being in reach, or away
	Applied  uint64    `json:"applied,omitempty"` // version of the snapshot it runs
	Desired  uint64    `json:"desired,omitempty"` // version of the one it should run
	Refusal  string    `json:"refusal,omitempty"` // why it would not take the newest, whole
	Build    string    `json:"build,omitempty"`   // version of its program
	Sessions int       `json:"sessions,omitempty"`
	Given    int       `json:"addresses_given"` // addresses of the pool in use
	Pool     int       `json:"addresses"`       // addresses in the pool
}

func (*PoP) Kind() Kind          { return KindPoP }
func (p *PoP) Parents() []Parent { return parent(KindRegion, p.Region, "") }

// CanRelay reports whether others may route over p.
func (p *PoP) CanRelay() bool { return p.Relay == nil || *p.Relay }

// PassesOn reports whether segments may go through p.
func (p *PoP) PassesOn() bool {
	return p.CanRelay() && (p.Passthrough == PassthroughAlso || p.Passthrough == PassthroughOnly)
}

func (p *PoP) FillDefaults() {
	p.Overlay = slices.Clone(p.Overlay)
	for i := range p.Overlay {
		o := &p.Overlay[i]
		if !o.Public.IsValid() {
			o.Public = o.Bind
		}
		if o.MTU == 0 {
			o.MTU = 1500
		}
	}
	p.Addresses = slices.Clone(p.Addresses)
	for i := range p.Addresses {
		a := &p.Addresses[i]
		if !a.Public.IsValid() {
			a.Public = a.Bind
		}
		if a.Use == "" {
			a.Use = UseAny
		}
	}
}

func (p *PoP) Validate() problem.List {
	var j judge
	j.meta(&p.Meta)
	j.reference("region", p.Region)
	j.overlay(p.Overlay)
	j.pool(p.Addresses)
	j.between("capacity.mbps", p.Capacity.Mbps, 0, 10*MaxMbps)
	j.between("capacity.sessions", p.Capacity.Sessions, 0, 4_000_000)
	if p.Passthrough != "" {
		j.choice("passthrough", string(p.Passthrough), string(PassthroughOff), string(PassthroughAlso), string(PassthroughOnly))
	}
	if p.Passthrough == PassthroughOnly && !p.CanRelay() {
		j.refuse("passthrough", p.Passthrough, "a PoP that relays", "leave out relay: false, or passthrough")
	}
	if p.PublicKey != "" {
		j.key("public_key", p.PublicKey)
	}
	return j.found
}

func (j *judge) overlay(list []OverlayAddress) {
	if len(list) == 0 {
		j.missing("overlay", "at least one address that other PoPs send to", "give it, such as {name: isp, bind: 203.0.113.10:4600}")
	}
	if len(list) > 16 {
		j.refuse("overlay", len(list), "at most 16 addresses", "keep those over different carriers")
	}
	names, publics := map[string]int{}, map[netip.AddrPort]int{}
	for i, o := range list {
		path := fmt.Sprintf("overlay[%d]", i)
		j.name(path+".name", o.Name)
		if first, twice := names[o.Name]; twice {
			j.refuse(path+".name", o.Name, "each name once", "overlay[%d] has it; choose another", first)
		}
		if first, twice := publics[o.Public]; twice && o.Public.IsValid() {
			j.refuse(path+".public", o.Public, "an address and port of its own", "overlay[%d] has it", first)
		}
		names[o.Name], publics[o.Public] = i, i
		if j.socket(path+".bind", o.Bind, true) && o.Bind.Addr().IsUnspecified() && o.Public == o.Bind {
			j.missing(path+".public", "the address that other PoPs send to, as bind names no particular one", "give public, or bind one address")
		} else if o.Public != o.Bind && j.socket(path+".public", o.Public, false) && o.Public.Addr().Is4() != o.Bind.Addr().Is4() {
			j.refuse(path+".public", o.Public, "an address of bind's family", "give the 1:1 NAT's outside address for %v", o.Bind)
		}
		j.between(path+".mtu", o.MTU, 1280, 9000)
	}
}

func (j *judge) pool(list []PoolAddress) {
	binds, publics := map[netip.Addr]int{}, map[netip.Addr]int{}
	for i, a := range list {
		path := fmt.Sprintf("addresses[%d]", i)
		if first, twice := binds[a.Bind]; twice && a.Bind.IsValid() {
			j.refuse(path+".bind", a.Bind, "each address once", "addresses[%d] has it; remove one", first)
		}
		if first, twice := publics[a.Public]; twice && a.Public.IsValid() && a.Public != a.Bind {
			j.refuse(path+".public", a.Public, "each address once", "addresses[%d] has it; 1:1 NAT gives every machine address another one", first)
		}
		binds[a.Bind], publics[a.Public] = i, i
		if j.address(path+".bind", a.Bind, false) && a.Public != a.Bind && j.address(path+".public", a.Public, false) && a.Public.Is4() != a.Bind.Is4() {
			j.refuse(path+".public", a.Public, "an address of bind's family", "give the 1:1 NAT's outside address for %v", a.Bind)
		}
		j.choice(path+".use", string(a.Use), string(UseAny), string(UseAccelerated), string(UseEgress))
	}
}
