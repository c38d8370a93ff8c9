package resource

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/problem"
	"causeway/internal/vpn"
)

// IPsecConnection joins the networks behind a VPN gateway with those behind a
// customer gateway, by one tunnel or two, directly or through an accelerator.
type IPsecConnection struct {
	Meta                `yaml:",inline"`
	IPsecConnectionSpec `yaml:",inline"`
	Status              IPsecConnectionStatus `json:"status" yaml:"-"`
}

// IPsecConnectionSpec is what users say of an IPsec connection.
type IPsecConnectionSpec struct {
	VPNGateway      string           `json:"vpn_gateway" yaml:"vpn_gateway"`                               // this end; never changes
	CustomerGateway string           `json:"customer_gateway,omitempty" yaml:"customer_gateway,omitempty"` // the far end, of tunnels that name none; may be left out with an accelerator
	LocalNetworks   []netip.Prefix   `json:"local_networks,omitempty" yaml:"local_networks,omitempty"`     // behind this end; default: the gateway's networks
	RemoteNetworks  []netip.Prefix   `json:"remote_networks,omitempty" yaml:"remote_networks,omitempty"`   // behind the far end; must be given with policy routing
	Routing         vpn.Routing      `json:"routing,omitempty" yaml:"routing,omitempty"`                   // policy: the networks are what the tunnels take; route: routes decide; default policy
	Redundancy      vpn.Redundancy   `json:"redundancy,omitempty" yaml:"redundancy,omitempty"`             // of two tunnels: active-standby or active-active; default active-standby
	Tunnels         []IPsecTunnel    `json:"tunnels,omitempty" yaml:"tunnels,omitempty"`                   // one or two; default: one with all defaults
	HealthCheck     *vpn.HealthCheck `json:"health_check,omitempty" yaml:"health_check,omitempty"`         // ICMP echoes through the tunnel; default none
	Accelerator     string           `json:"accelerator,omitempty" yaml:"accelerator,omitempty"`           // through which the far end is reached: its address is the peer, and the peer follows when that changes
	Side            AcceleratorSide  `json:"side,omitempty" yaml:"side,omitempty"`                         // of the accelerator that this end is on; default client
	IPSet           string           `json:"ip_set,omitempty" yaml:"ip_set,omitempty"`                     // whose accelerated IP is the client's peer; default: the one in the gateway's region, else the first by name
	EndpointGroup   string           `json:"endpoint_group,omitempty" yaml:"endpoint_group,omitempty"`     // whose egress IP is the endpoint's peer; default: the one that has an address of the gateway as an endpoint, else the first by name
	Enabled         *bool            `json:"enabled,omitempty" yaml:"enabled,omitempty"`                   // false takes it down and keeps it; default true
}

// AcceleratorSide is an end of an accelerator.
type AcceleratorSide string

const (
	ClientSide   AcceleratorSide = "client"   // this end sends to an accelerated IP
	EndpointSide AcceleratorSide = "endpoint" // this end is an endpoint: it sends to an egress IP
)

// TunnelRole is what one of two tunnels is for.
type TunnelRole string

const (
	MasterTunnel TunnelRole = "master" // carries everything while it is up
	SlaveTunnel  TunnelRole = "slave"  // carries everything otherwise
)

// IPsecTunnel is one tunnel of a connection.
type IPsecTunnel struct {
	Role            TunnelRole   `json:"role,omitempty" yaml:"role,omitempty"`                         // default master for the first, slave for the second
	CustomerGateway string       `json:"customer_gateway,omitempty" yaml:"customer_gateway,omitempty"` // default: the connection's
	Address         netip.Addr   `json:"address,omitzero" yaml:"address,omitempty"`                    // of the gateway's, that it sends from; default: its first
	LocalID         string       `json:"local_id,omitempty" yaml:"local_id,omitempty"`                 // this end's IKE identity; default: the address, as the world sees it
	RemoteID        string       `json:"remote_id,omitempty" yaml:"remote_id,omitempty"`               // the far end's; default: the customer gateway's address or domain, or the endpoint's
	IPSet           string       `json:"ip_set,omitempty" yaml:"ip_set,omitempty"`                     // default: the connection's
	EndpointGroup   string       `json:"endpoint_group,omitempty" yaml:"endpoint_group,omitempty"`     // default: the connection's
	Direct          bool         `json:"direct,omitempty" yaml:"direct,omitempty"`                     // not through the connection's accelerator
	Auth            vpn.Auth     `json:"auth,omitzero" yaml:"auth,omitempty"`                          // default: the other tunnel's pre-shared key, or one of 16 random letters and digits
	IKE             vpn.IKE      `json:"ike,omitzero" yaml:"ike,omitempty"`                            // parameters of the IKE SA, phase 1
	ESP             vpn.ESP      `json:"esp,omitzero" yaml:"esp,omitempty"`                            // parameters of the child SA, phase 2
	NATT            *bool        `json:"nat_t,omitempty" yaml:"nat_t,omitempty"`                       // ESP in UDP 4500 always, which an accelerator needs; default true
	DPD             vpn.DPD      `json:"dpd,omitzero" yaml:"dpd,omitempty"`                            // dead peer detection
	Start           vpn.Start    `json:"start,omitempty" yaml:"start,omitempty"`                       // who begins: start (this end, at once), traffic (this end, when a packet wants through), peer; default start
	Window          int          `json:"replay_window,omitempty" yaml:"replay_window,omitempty"`       // packets, 32–2,048; default 1,024
	MTU             int          `json:"mtu,omitempty" yaml:"mtu,omitempty"`                           // of packets inside, bytes; default: worked out from the algorithms
	Rekeying        vpn.Rekeying `json:"rekeying,omitempty" yaml:"rekeying,omitempty"`                 // which end renews keys: either, local, remote; default either
}

// IPsecConnectionStatus is how an IPsec connection fares: one of the four states
// of its best tunnel, or configuring, blocked, disabled, unmanaged or away.
type IPsecConnectionStatus struct {
	Status
	Since    time.Time           `json:"since,omitzero"`
	Active   []string            `json:"active,omitempty"` // tunnels that carry its traffic now
	Health   string              `json:"health,omitempty"` // up, down, or nothing where it is not checked
	Tunnels  []IPsecTunnelStatus `json:"tunnels,omitempty"`
	Findings []vpn.Finding       `json:"findings,omitempty"` // what is wrong with it, the newest first, then what its parameters alone tell
}

// IPsecTunnelStatus is how a tunnel fares.
type IPsecTunnelStatus struct {
	Name  string     `json:"name"` // on its gateway
	Role  TunnelRole `json:"role,omitempty"`
	State State      `json:"state,omitempty"`
	Since time.Time  `json:"since,omitzero"`
	Local string     `json:"local,omitempty"` // address that it sends from
	Peer  string     `json:"peer,omitempty"`  // address or domain that it sends to
}

// MaxTunnels is how many tunnels a connection has at most.
const MaxTunnels = 2

// PSKLength is how many letters and digits a pre-shared key has that the service makes.
const PSKLength = 16

func (*IPsecConnection) Kind() Kind { return KindIPsecConnection }

func (c *IPsecConnection) Parents() []Parent {
	var list []Parent
	add := func(kind Kind, name string) {
		for _, p := range parent(kind, name, "") {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	add(KindVPNGateway, c.VPNGateway)
	add(KindCustomerGateway, c.CustomerGateway)
	add(KindAccelerator, c.Accelerator)
	add(KindIPSet, c.IPSet)
	add(KindEndpointGroup, c.EndpointGroup)
	for _, t := range c.Tunnels {
		add(KindCustomerGateway, t.CustomerGateway)
		add(KindIPSet, t.IPSet)
		add(KindEndpointGroup, t.EndpointGroup)
	}
	return list
}

// Secrets are the fields of c that are kept sealed.
func (c *IPsecConnection) Secrets() []SecretField {
	var list []SecretField
	for i := range c.Tunnels {
		auth := &c.Tunnels[i].Auth
		list = append(list, SecretField{fmt.Sprintf("tunnels[%d].auth.psk", i), &auth.PSK}, SecretField{fmt.Sprintf("tunnels[%d].auth.private_key", i), &auth.PrivateKey})
	}
	return list
}

// IsEnabled reports whether c is to be up.
func (c *IPsecConnection) IsEnabled() bool { return c.Enabled == nil || *c.Enabled }

// TunnelName is the i-th tunnel's name on its gateway. No other connection's
// tunnel has it: names of resources have no underscore.
func (c *IPsecConnection) TunnelName(i int) string {
	if len(c.Tunnels) < 2 {
		return c.Name
	}
	return fmt.Sprintf("%s_%d", c.Name, i+1)
}

// Customer is the customer gateway of t; empty: none.
func (c *IPsecConnection) Customer(t *IPsecTunnel) string {
	return cmp.Or(t.CustomerGateway, c.CustomerGateway)
}

// Accelerated reports whether t goes through an accelerator.
func (c *IPsecConnection) Accelerated(t *IPsecTunnel) bool { return c.Accelerator != "" && !t.Direct }

func (c *IPsecConnection) FillDefaults() {
	setDefault(&c.Routing, vpn.PolicyRouting)
	c.Enabled = defaultTo(c.Enabled, true)
	c.Tunnels = slices.Clone(c.Tunnels)
	if len(c.Tunnels) == 0 {
		c.Tunnels = []IPsecTunnel{{}}
	}
	if len(c.Tunnels) > 1 {
		setDefault(&c.Redundancy, vpn.ActiveStandby)
	}
	if c.Accelerator != "" {
		setDefault(&c.Side, ClientSide)
	}
	taken := slices.ContainsFunc(c.Tunnels, func(t IPsecTunnel) bool { return t.Role == MasterTunnel })
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		if t.Role == "" {
			t.Role = SlaveTunnel
			if !taken {
				t.Role, taken = MasterTunnel, true
			}
		}
		setDefault(&t.Auth.Method, vpn.PSK)
		setDefault(&t.IKE.Version, 2)
		setDefault(&t.Start, vpn.StartNow)
		t.NATT = defaultTo(t.NATT, true)
	}
	if c.HealthCheck != nil {
		filled := *c.HealthCheck
		setDefault(&filled.Interval, 3*time.Second)
		setDefault(&filled.Retries, 3)
		c.HealthCheck = &filled
	}
}

// Peer is the far end of a tunnel as this end has to know it.
type Peer struct {
	Name    string // of the device, for people
	Address netip.Addr
	Domain  string
	ID      string // its IKE identity, unless the tunnel says another
	ASN     uint32

	// Own and Here are what the far end has for its own address, and for this
	// end's: not the same as here when an accelerator stands between. Invalid
	// where that is not known.
	Own, Here netip.Addr
}

// Build returns c as its gateway is told it. Peers are the far ends, and open
// returns what a sealed secret holds. Tunnels stand in the order of their roles.
func (c *IPsecConnection) Build(g *VPNGateway, peer func(*IPsecTunnel) Peer, open func(vpn.Secret) vpn.Secret) vpn.Connection {
	v := vpn.Connection{
		Name: c.Name, ID: c.ID, LocalNetworks: c.LocalNetworks, RemoteNetworks: c.RemoteNetworks,
		Routing: c.Routing, Redundancy: c.Redundancy, HealthCheck: c.HealthCheck,
	}
	if len(v.LocalNetworks) == 0 {
		v.LocalNetworks = g.Networks
	}
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		far := peer(t)
		bind, public := g.PublicOf(t.Address)
		asn := uint32(0)
		if far.ASN != 0 {
			asn = g.ASN
		}
		built := vpn.Tunnel{
			Name:   c.TunnelName(i),
			Local:  vpn.End{Name: g.Name, Address: bind, Public: public, ID: t.LocalID, ASN: asn},
			Remote: vpn.End{Name: far.Name, Address: far.Address, Domain: far.Domain, ID: cmp.Or(t.RemoteID, far.ID), ASN: far.ASN},
			Auth:   t.Auth, IKE: t.IKE, ESP: t.ESP, NATT: t.NATT == nil || *t.NATT, DPD: t.DPD, Start: t.Start, Window: t.Window, MTU: t.MTU, Rekeying: t.Rekeying,
			Accelerated: c.Accelerated(t),
		}
		if public == bind {
			built.Local.Public = netip.Addr{}
		}
		built.Auth.PSK, built.Auth.PrivateKey = open(t.Auth.PSK), open(t.Auth.PrivateKey)
		v.Tunnels = append(v.Tunnels, built)
	}
	if len(v.Tunnels) == 2 && c.order(0) == 1 {
		slices.Reverse(v.Tunnels)
	}
	return v.WithDefaults()
}

func (c *IPsecConnection) Validate() problem.List {
	var j judge
	j.meta(&c.Meta)
	j.reference("vpn_gateway", c.VPNGateway)
	for _, r := range []struct{ path, name string }{{"customer_gateway", c.CustomerGateway}, {"accelerator", c.Accelerator}, {"ip_set", c.IPSet}, {"endpoint_group", c.EndpointGroup}} {
		if r.name != "" {
			j.reference(r.path, r.name)
		}
	}
	if c.Routing != "" {
		j.choice("routing", string(c.Routing), string(vpn.PolicyRouting), string(vpn.RouteRouting))
	}
	j.through(c)
	j.tunnels(c)
	j.overlapping(c.LocalNetworks, c.RemoteNetworks)
	j.found = append(j.found, c.JudgeBuilt(c.alone())...)
	return j.found
}

// through judges how c goes through an accelerator.
func (j *judge) through(c *IPsecConnection) {
	if c.Accelerator == "" {
		for _, f := range []struct{ path, value string }{{"side", string(c.Side)}, {"ip_set", c.IPSet}, {"endpoint_group", c.EndpointGroup}} {
			if f.value != "" {
				j.refuse(f.path, f.value, "nothing without an accelerator", "leave it out, or give accelerator")
			}
		}
		return
	}
	j.choice("side", string(c.Side), string(ClientSide), string(EndpointSide))
	check := func(path, set, group string) {
		if c.Side == ClientSide && group != "" {
			j.refuse(path+"endpoint_group", group, "nothing on the client's side", "its peer is an accelerated IP: give ip_set, or side endpoint")
		}
		if c.Side == EndpointSide && set != "" {
			j.refuse(path+"ip_set", set, "nothing on the endpoint's side", "its peer is an egress IP: give endpoint_group, or side client")
		}
	}
	check("", c.IPSet, c.EndpointGroup)
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		check(fmt.Sprintf("tunnels[%d].", i), t.IPSet, t.EndpointGroup)
		if c.Accelerated(t) && t.NATT != nil && !*t.NATT {
			j.refuse(fmt.Sprintf("tunnels[%d].nat_t", i), false, "true, as an accelerator carries UDP 500 and 4500 only", "leave it out")
		}
	}
}

func (j *judge) tunnels(c *IPsecConnection) {
	if n := len(c.Tunnels); n > MaxTunnels {
		j.refuse("tunnels", n, "one or two tunnels", "make another connection")
	}
	roles := map[TunnelRole]int{}
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		path := fmt.Sprintf("tunnels[%d]", i)
		j.choice(path+".role", string(t.Role), string(MasterTunnel), string(SlaveTunnel))
		if first, twice := roles[t.Role]; twice {
			j.refuse(path+".role", t.Role, "each role once", "tunnels[%d] has it; make one the master and one the slave", first)
		}
		roles[t.Role] = i
		if t.CustomerGateway != "" {
			j.reference(path+".customer_gateway", t.CustomerGateway)
		}
		if c.Customer(t) == "" && !c.Accelerated(t) {
			j.missing("customer_gateway", "the name of a customer gateway", "give it, or give an accelerator")
		}
		if t.Address.IsValid() {
			j.address(path+".address", t.Address, false)
		}
		for _, r := range []struct{ path, name string }{{path + ".ip_set", t.IPSet}, {path + ".endpoint_group", t.EndpointGroup}} {
			switch {
			case r.name == "":
			case c.Accelerator == "":
				j.refuse(r.path, r.name, "nothing without an accelerator", "leave it out, or give accelerator")
			default:
				j.reference(r.path, r.name)
			}
		}
	}
}

// overlapping refuses networks that stand on both sides.
func (j *judge) overlapping(local, remote []netip.Prefix) {
	for i, r := range remote {
		for _, l := range local {
			if r.IsValid() && l.IsValid() && r.Bits() > 0 && l.Bits() > 0 && r.Overlaps(l) {
				j.refuse(fmt.Sprintf("remote_networks[%d]", i), r, "networks that are on one side only",
					"%v is on this side: renumber one of the two, or translate addresses before the tunnel", l)
				break
			}
		}
	}
}

// Overlap refuses remote networks that overlap the gateway's own, which c joins
// when it names none.
func (c *IPsecConnection) Overlap(g *VPNGateway) problem.List {
	var j judge
	if len(c.LocalNetworks) == 0 {
		j.overlapping(g.Networks, c.RemoteNetworks)
	}
	return j.found
}

// standIn is a key in the place of one that cannot be seen.
const standIn = "stands-for-a-key-that-cannot-be-seen-0123456789"

// alone builds c with ends that are made up, to judge its parameters by themselves.
func (c *IPsecConnection) alone() vpn.Connection {
	g := &VPNGateway{Meta: Meta{Name: "here"}, VPNGatewaySpec: VPNGatewaySpec{Addresses: []GatewayAddress{{Bind: netip.MustParseAddr("192.0.2.1")}}}}
	far := 1
	v := c.Build(g, func(*IPsecTunnel) Peer {
		far++
		a := netip.AddrFrom4([4]byte{198, 51, 100, byte(far)})
		return Peer{Name: "there", Address: a, ID: a.String()}
	}, func(s vpn.Secret) vpn.Secret { return s })
	if v.Routing == vpn.PolicyRouting && len(v.LocalNetworks) == 0 {
		v.LocalNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // the gateway's, which are not known here
		if v.HealthCheck != nil {
			v.LocalNetworks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		}
	}
	for i := range v.Tunnels {
		v.Tunnels[i].Local.Address, v.Tunnels[i].Local.ID = netip.MustParseAddr("192.0.2.1"), cmp.Or(c.Tunnels[c.order(i)].LocalID, "192.0.2.1")
	}
	return v
}

// JudgeBuilt is what is wrong with what c was built into, in terms of c's fields.
// Secrets that cannot be seen are taken for good ones.
func (c *IPsecConnection) JudgeBuilt(v vpn.Connection) problem.List {
	blind := map[string]bool{}
	tunnels := slices.Clone(v.Tunnels)
	for i := range tunnels {
		auth := &tunnels[i].Auth
		_, sealed := SealedText(auth.PSK)
		if auth.Method == vpn.PSK && (sealed || auth.PSK == "" || auth.PSK == vpn.Mask) {
			auth.PSK = standIn
		}
		if _, sealed := SealedText(auth.PrivateKey); sealed || auth.PrivateKey == vpn.Mask {
			blind[fmt.Sprintf("tunnels[%d].auth.private_key", i)] = true
		}
		if auth.Method == vpn.Certificate && c.Tunnels[c.order(i)].LocalID == "" && tunnels[i].Local.Name == "here" {
			blind[fmt.Sprintf("tunnels[%d].auth.certificate", i)] = auth.Certificate != "" // its names need the identity, which is not known here
		}
	}
	v.Tunnels = tunnels
	var found problem.List
	for _, p := range v.Validate() {
		if blind[p.Path] && p.Found != "" || p.Path == "name" || strings.HasSuffix(p.Path, "].name") {
			continue
		}
		p.Path = c.FieldOfBuilt(p.Path)
		found = append(found, p)
	}
	return found
}

// order is where the i-th tunnel of what c is built into stands in c.
func (c *IPsecConnection) order(i int) int {
	if len(c.Tunnels) == 2 && c.Tunnels[0].Role == SlaveTunnel {
		return 1 - i
	}
	return i
}

// FieldOfBuilt is where a field of what c is built into stands in c.
func (c *IPsecConnection) FieldOfBuilt(path string) string {
	for i := range c.Tunnels {
		if rest, ok := strings.CutPrefix(path, fmt.Sprintf("tunnels[%d]", i)); ok {
			path = fmt.Sprintf("tunnels[%d]%s", c.order(i), rest)
			break
		}
	}
	for _, r := range [][2]string{
		{".local.id", ".local_id"}, {".remote.id", ".remote_id"}, {".local.address", ".address"}, {".local.public", ".address"},
		{".remote.address", ".customer_gateway"}, {".remote.domain", ".customer_gateway"}, {".remote", ".customer_gateway"},
	} {
		if strings.HasSuffix(path, r[0]) {
			return strings.TrimSuffix(path, r[0]) + r[1]
		}
	}
	return path
}
