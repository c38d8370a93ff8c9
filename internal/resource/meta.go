package resource

import (
	"fmt"
	"strings"
	"time"

	"causeway/internal/problem"
)

// Kind is a noun, as commands and files spell it.
type Kind string

// The kinds, in the order in which an accelerator is built up: a resource
// refers to kinds that stand before its own, save that an endpoint group may
// name an egress IP.
const (
	KindRegion           Kind = "region"
	KindPoP              Kind = "pop"
	KindAccelerator      Kind = "accelerator"
	KindBandwidthPackage Kind = "bandwidth-package"
	KindIPSet            Kind = "ip-set"
	KindACL              Kind = "acl"
	KindListener         Kind = "listener"
	KindEgressIP         Kind = "egress-ip"
	KindEndpointGroup    Kind = "endpoint-group"
	KindVPNGateway       Kind = "vpn-gateway"
	KindCustomerGateway  Kind = "customer-gateway"
	KindIPsecConnection  Kind = "ipsec-connection"
	KindVPNRoute         Kind = "vpn-route"
	KindAccessKey        Kind = "access-key"
	KindToken            Kind = "token"

	// KindDomain is no resource; it stands in Parents only, for the domain of an endpoint.
	KindDomain Kind = "domain"
)

// Kinds are all of them, in the order in which they are created; deleting goes
// the other way.
var Kinds = []Kind{KindRegion, KindPoP, KindAccelerator, KindBandwidthPackage, KindIPSet, KindACL, KindListener, KindEgressIP, KindEndpointGroup,
	KindVPNGateway, KindCustomerGateway, KindIPsecConnection, KindVPNRoute, KindAccessKey, KindToken}

// IDPrefix is what the IDs of a kind begin with.
func (k Kind) IDPrefix() string {
	switch k {
	case KindRegion:
		return "rgn-"
	case KindPoP:
		return "pop-"
	case KindAccelerator:
		return "ga-"
	case KindBandwidthPackage:
		return "gbwp-"
	case KindIPSet:
		return "ips-"
	case KindACL:
		return "acl-"
	case KindListener:
		return "lsr-"
	case KindEgressIP:
		return "eip-"
	case KindEndpointGroup:
		return "epg-"
	case KindVPNGateway:
		return "vpn-"
	case KindCustomerGateway:
		return "cgw-"
	case KindIPsecConnection:
		return "vco-"
	case KindVPNRoute:
		return "vrt-"
	case KindAccessKey:
		return "CWAK"
	case KindToken:
		return "tok-"
	}
	return ""
}

// Noun is the kind as it is written in a sentence: "bandwidth package".
func (k Kind) Noun() string {
	switch k {
	case KindPoP:
		return "PoP"
	case KindBandwidthPackage:
		return "bandwidth package"
	case KindIPSet:
		return "IP set"
	case KindACL:
		return "ACL"
	case KindEgressIP:
		return "egress IP"
	case KindEndpointGroup:
		return "endpoint group"
	case KindVPNGateway:
		return "VPN gateway"
	case KindCustomerGateway:
		return "customer gateway"
	case KindIPsecConnection:
		return "IPsec connection"
	case KindVPNRoute:
		return "VPN route"
	case KindAccessKey:
		return "access key"
	}
	return string(k)
}

// Ref names one resource.
type Ref struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

// String is how a sentence names a resource: listener "ipsec".
func (r Ref) String() string { return fmt.Sprintf("%s %q", r.Kind.Noun(), r.Name) }

// Meta is what every resource has.
type Meta struct {
	Name        string `json:"name" yaml:"name"`                                   // 1–63 of a–z, 0–9 and -; unique within its kind; never changes. Left out: the ID, in lower case
	Title       string `json:"title,omitempty" yaml:"title,omitempty"`             // a name for people, at most 128 characters, need not be unique
	Description string `json:"description,omitempty" yaml:"description,omitempty"` // at most 256 characters

	Tags map[string]string `json:"tags,omitempty" yaml:"tags,omitempty"` // labels for people and scripts, at most 20; nothing else reads them

	ID       string    `json:"id,omitempty" yaml:"-"`       // given out at creation; another one after deleting and re-making
	Revision int64     `json:"revision,omitempty" yaml:"-"` // the store's revision that last changed it; what an edit may expect
	Created  time.Time `json:"created,omitzero" yaml:"-"`   // when it was made
	Updated  time.Time `json:"updated,omitzero" yaml:"-"`   // when it last changed

	// Compat is what clients of the compatible API said and expect to read
	// again, though nothing here goes by it: an endpoint's type, a billing method.
	Compat map[string]string `json:"compat,omitempty" yaml:"-"`
}

// Head returns m itself; it lets code handle any resource's Meta.
func (m *Meta) Head() *Meta { return m }

// Parent is a resource that another one hangs on: it cannot be deleted before.
type Parent struct {
	Ref
	// Note is kept beside the relation, so that the question "which of a PoP's
	// addresses are taken" needs no reading of everything on it.
	Note string
}

// Object is any resource, as a pointer to its struct.
type Object interface {
	Kind() Kind
	Head() *Meta
	Parents() []Parent      // what it hangs on, as stored
	Validate() problem.List // what is wrong with it, looked at alone, with its defaults filled in
	FillDefaults()          // puts the default into each field of the spec that was left out
}

// RefOf names o.
func RefOf(o Object) Ref { return Ref{o.Kind(), o.Head().Name} }

func parent(kind Kind, name, note string) []Parent {
	if name == "" {
		return nil
	}
	return []Parent{{Ref{kind, name}, note}}
}

const gatewayAgents = "gateway/"

// AgentOf is the name of r's agent on the agents' link: a PoP's own name, and
// "gateway/" before a VPN gateway's.
func AgentOf(r Ref) string {
	if r.Kind == KindVPNGateway {
		return gatewayAgents + r.Name
	}
	return r.Name
}

// RefOfAgent is whose agent has that name.
func RefOfAgent(agent string) Ref {
	if name, ok := strings.CutPrefix(agent, gatewayAgents); ok {
		return Ref{KindVPNGateway, name}
	}
	return Ref{KindPoP, agent}
}
