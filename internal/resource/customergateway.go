package resource

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/problem"
	"causeway/internal/vpn"
)

// CustomerGateway is the device at the far end of IPsec connections.
type CustomerGateway struct {
	Meta                `yaml:",inline"`
	CustomerGatewaySpec `yaml:",inline"`
	Status              Status `json:"status" yaml:"-"` // active, always
}

// CustomerGatewaySpec is what users say of a customer gateway.
type CustomerGatewaySpec struct {
	Region  string     `json:"region" yaml:"region"`                         // of the VPN gateways that speak to it; never changes
	Address netip.Addr `json:"address,omitzero" yaml:"address,omitempty"`    // what peers send to, one for each region; never changes
	Domain  string     `json:"domain,omitempty" yaml:"domain,omitempty"`     // instead of an address: looked up by the gateway; never changes
	ASN     uint32     `json:"asn,omitempty" yaml:"asn,omitempty"`           // 1–4,294,967,295, not 45104; for device configurations
	AuthKey vpn.Secret `json:"auth_key,omitempty" yaml:"auth_key,omitempty"` // of BGP, 1–64 printable ASCII characters without spaces; a secret
}

// MaxAuthKey is how many characters the key of a BGP session has at most.
const MaxAuthKey = 64

// noCustomer are prefixes that no customer gateway can have an address in.
var noCustomer = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("255.0.0.0/8"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

func (*CustomerGateway) Kind() Kind { return KindCustomerGateway }

func (g *CustomerGateway) Parents() []Parent { return parent(KindRegion, g.Region, g.Where()) }

// Where is the address or the domain.
func (g *CustomerGateway) Where() string {
	if g.Domain != "" {
		return g.Domain
	}
	return g.Address.String()
}

// Secrets are the fields of g that are kept sealed.
func (g *CustomerGateway) Secrets() []SecretField { return []SecretField{{"auth_key", &g.AuthKey}} }

func (g *CustomerGateway) FillDefaults() {
	g.Domain = strings.TrimSuffix(strings.ToLower(g.Domain), ".")
}

func (g *CustomerGateway) Validate() problem.List {
	var j judge
	j.meta(&g.Meta)
	j.reference("region", g.Region)
	switch {
	case g.Domain != "" && g.Address.IsValid():
		j.refuse("domain", g.Domain, "an address or a domain, not both", "remove one of the two")
	case g.Domain != "":
		j.domain("domain", g.Domain)
	case !g.Address.IsValid():
		j.missing("address", "the IP address or the domain of the device", "")
	default:
		if i := slices.IndexFunc(noCustomer, func(p netip.Prefix) bool { return p.Contains(g.Address) }); i >= 0 {
			j.refuse("address", g.Address, fmt.Sprintf("an address outside %v", noCustomer[i]), "give the address that the device has on the Internet")
		} else {
			j.address("address", g.Address, false)
		}
	}
	if g.ASN == GatewayASN {
		j.refuse("asn", g.ASN, fmt.Sprintf("1 to 4294967295 without %d", GatewayASN), "%d is the VPN gateways' own; a private one is 64512 to 65534", GatewayASN)
	}
	j.secret("auth_key", g.AuthKey, 1, MaxAuthKey)
	return j.found
}
