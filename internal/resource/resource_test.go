package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/problem"
	"causeway/internal/vpn"
)

func named(name string) Meta { return Meta{Name: name} }

// good is one well-made resource of each kind.
func good() []Object {
	n := 20
	return []Object{
		&Region{Meta: named("kr-seoul")},
		&PoP{Meta: named("sel"), PoPSpec: PoPSpec{Region: "kr-seoul", Overlay: []OverlayAddress{{Name: "isp", Bind: netip.MustParseAddrPort("192.0.2.1:4600")}},
			Addresses: []PoolAddress{{Bind: netip.MustParseAddr("10.0.0.1"), Public: netip.MustParseAddr("192.0.2.2")}}}},
		&Accelerator{Meta: named("a"), AcceleratorSpec: AcceleratorSpec{Spec: "Small I"}},
		&BandwidthPackage{Meta: named("p"), BandwidthPackageSpec: BandwidthPackageSpec{Type: Basic, Mbps: 20}},
		&IPSet{Meta: named("s"), IPSetSpec: IPSetSpec{Accelerator: "a", Region: "kr-seoul", Mbps: 20}},
		&Listener{Meta: named("l"), ListenerSpec: ListenerSpec{Accelerator: "a", Ports: []PortRange{{From: 500}, {From: 4500}}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}},
		&EgressIP{Meta: named("e"), EgressIPSpec: EgressIPSpec{Region: "kr-seoul"}},
		&EndpointGroup{Meta: named("g"), EndpointGroupSpec: EndpointGroupSpec{Listener: "l", Region: "kr-seoul", TrafficPercentage: &n,
			Endpoints: []Endpoint{{Address: netip.MustParseAddr("192.0.2.7")}, {Domain: "vpn.example.com"}}, HealthCheck: &HealthCheck{Probe: "ike"}}},
		&ACL{Meta: named("acl"), ACLSpec: ACLSpec{Entries: []ACLEntry{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}}},
		&VPNGateway{Meta: named("gw"), VPNGatewaySpec: VPNGatewaySpec{Region: "kr-seoul", Addresses: []GatewayAddress{{Bind: netip.MustParseAddr("10.0.0.5"), Public: netip.MustParseAddr("192.0.2.5")}},
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, UserCIDRs: []netip.Prefix{netip.MustParsePrefix("172.32.0.0/16")}}},
		&CustomerGateway{Meta: named("cgw"), CustomerGatewaySpec: CustomerGatewaySpec{Region: "kr-seoul", Address: netip.MustParseAddr("192.0.2.9"), ASN: 65010, AuthKey: "key"}},
		&IPsecConnection{Meta: named("vco"), IPsecConnectionSpec: IPsecConnectionSpec{VPNGateway: "gw", CustomerGateway: "cgw",
			LocalNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, RemoteNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
			Tunnels:     []IPsecTunnel{{Role: MasterTunnel, Auth: vpn.Auth{PSK: "a-key-of-a-test"}}, {Address: netip.MustParseAddr("10.0.0.6"), RemoteID: "b.example.com", Auth: vpn.Auth{PSK: "a-key-of-a-test"}}},
			HealthCheck: &vpn.HealthCheck{Source: netip.MustParseAddr("10.0.0.1"), Destination: netip.MustParseAddr("10.1.0.1")}}},
		&VPNRoute{Meta: named("r"), VPNRouteSpec: VPNRouteSpec{Connection: "vco", Source: netip.MustParsePrefix("10.0.0.0/16"), Destination: netip.MustParsePrefix("10.1.0.0/16")}},
		&AccessKey{Meta: named("k")},
		&Token{Meta: named("t"), TokenSpec: TokenSpec{PoP: "sel"}},
	}
}

func TestWellMadeResourcesAreWell(t *testing.T) {
	kinds := map[Kind]bool{}
	for _, o := range good() {
		kinds[o.Kind()] = true
		o.FillDefaults()
		if found := o.Validate(); len(found) > 0 {
			t.Errorf("%s: %v", RefOf(o), found)
		}
		before := encode(t, o)
		o.FillDefaults()
		if after := encode(t, o); after != before {
			t.Errorf("%s: filling defaults twice makes %s out of %s", RefOf(o), after, before)
		}
		if len(o.Parents()) > 0 && o.Parents()[0].Name == "" {
			t.Errorf("%s hangs on something without a name", RefOf(o))
		}
	}
	for _, k := range Kinds {
		if !kinds[k] {
			t.Errorf("no %s was tried", k)
		}
		if k.IDPrefix() == "" || k.Noun() == "" {
			t.Errorf("%s has no prefix or noun", k)
		}
	}
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// spoil finds the well-made resource of type T and spoils it.
func spoil[T Object](change func(T)) Object {
	for _, o := range good() {
		if o, ok := o.(T); ok {
			change(o)
			return o
		}
	}
	panic("no such resource")
}

func TestWhatIsWrongWithOneResourceAlone(t *testing.T) {
	address := netip.MustParseAddr
	for name, c := range map[string]struct {
		of    Object
		field string
	}{
		"a name with capitals":             {spoil(func(r *Region) { r.Name = "Seoul" }), "name"},
		"a name that begins with a hyphen": {spoil(func(r *Region) { r.Name = "-a" }), "name"},
		"a name of 64 letters":             {spoil(func(r *Region) { r.Name = strings.Repeat("a", 64) }), "name"},
		"a title on two lines":             {spoil(func(r *Region) { r.Title = "a\nb" }), "title"},
		"an area with a space":             {spoil(func(r *Region) { r.Area = "c n" }), "area"},

		"a PoP without overlay addresses":     {spoil(func(p *PoP) { p.Overlay = nil }), "overlay"},
		"an overlay on every address, hidden": {spoil(func(p *PoP) { p.Overlay[0].Bind = netip.MustParseAddrPort("0.0.0.0:4600") }), "overlay[0].public"},
		"an overlay without a port":           {spoil(func(p *PoP) { p.Overlay[0].Bind = netip.MustParseAddrPort("192.0.2.1:0") }), "overlay[0].bind"},
		"a public address of another family":  {spoil(func(p *PoP) { p.Addresses[0].Public = address("2001:db8::1") }), "addresses[0].public"},
		"a pool address twice":                {spoil(func(p *PoP) { p.Addresses = append(p.Addresses, p.Addresses[0]) }), "addresses[1].bind"},
		"a pool address in IPv6 clothes":      {spoil(func(p *PoP) { p.Addresses[0].Bind = address("::ffff:10.0.0.1") }), "addresses[0].bind"},
		"a pool address for nobody's use":     {spoil(func(p *PoP) { p.Addresses[0].Use = "mine" }), "addresses[0].use"},
		"an MTU below what IPv6 promises":     {spoil(func(p *PoP) { p.Overlay[0].MTU = 1000 }), "overlay[0].mtu"},
		"a key of all zeros":                  {spoil(func(p *PoP) { p.PublicKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }), "public_key"},
		"a spec that nobody sells":            {spoil(func(a *Accelerator) { a.Spec = "tiny" }), "spec"},
		"a package of one Mbit/s":             {spoil(func(p *BandwidthPackage) { p.Mbps = 1 }), "mbps"},
		"a CrossDomain package with a kind":   {spoil(func(p *BandwidthPackage) { p.Type, p.Grade = CrossDomain, GradeEnhanced }), "kind"},
		"a package of no type":                {spoil(func(p *BandwidthPackage) { p.Type = "" }), "type"},
		"an IP set of one Mbit/s":             {spoil(func(s *IPSet) { s.Mbps = 1 }), "mbps"},
		"an IP set on every address":          {spoil(func(s *IPSet) { s.Address = address("0.0.0.0") }), "address"},
		"a listener without ports":            {spoil(func(l *Listener) { l.Ports = nil }), "ports"},
		"port 0":                              {spoil(func(l *Listener) { l.Ports[0] = PortRange{} }), "ports[0].from"},
		"a range the wrong way round":         {spoil(func(l *Listener) { l.Ports[0] = PortRange{From: 600, To: 500} }), "ports[0].to"},
		"a port of the system":                {spoil(func(l *Listener) { l.Ports[0] = PortRange{From: 65500} }), "ports[0]"},
		"a reserved port inside a range":      {spoil(func(l *Listener) { l.Ports[0] = PortRange{From: 249, To: 251} }), "ports[0]"},
		"ranges that overlap":                 {spoil(func(l *Listener) { l.Ports = []PortRange{{From: 500, To: 510}, {From: 510}} }), "ports[1]"},
		"all ports there are":                 {spoil(func(l *Listener) { l.Ports = []PortRange{{From: 1, To: 65499}} }), "ports"},
		"an idle timeout of a second":         {spoil(func(l *Listener) { l.IdleTimeout = time.Second }), "idle_timeout"},
		"TCP":                                 {spoil(func(l *Listener) { l.Protocol = "tcp" }), "protocol"},
		"an affinity for something else":      {spoil(func(l *Listener) { l.Affinity = "cookie" }), "affinity"},
		"a list that lets nobody in":          {spoil(func(l *Listener) { l.Allow = []netip.Prefix{} }), "allow"},
		"a prefix with bits after its length": {spoil(func(l *Listener) { l.Allow[0] = netip.MustParsePrefix("192.0.2.1/24") }), "allow[0]"},
		"a gateway without addresses":         {spoil(func(g *VPNGateway) { g.Addresses = nil }), "addresses"},
		"a gateway's address twice":           {spoil(func(g *VPNGateway) { g.Addresses = slices.Repeat(g.Addresses, 2) }), "addresses[1].bind"},
		"the kernel's own table":              {spoil(func(g *VPNGateway) { g.RouteTables = []int{255} }), "route_tables[0]"},
		"a private user CIDR":                 {spoil(func(g *VPNGateway) { g.UserCIDRs[0] = netip.MustParsePrefix("10.1.0.0/16") }), "user_cidrs[0]"},
		"a customer by address and domain":    {spoil(func(g *CustomerGateway) { g.Domain = "vpn.example.com" }), "domain"},
		"a customer without either":           {spoil(func(g *CustomerGateway) { g.Address = netip.Addr{} }), "address"},
		"a customer at link-local":            {spoil(func(g *CustomerGateway) { g.Address = address("169.254.1.1") }), "address"},
		"a customer at loopback":              {spoil(func(g *CustomerGateway) { g.Address = address("127.0.0.1") }), "address"},
		"a multicast customer":                {spoil(func(g *CustomerGateway) { g.Address = address("224.0.0.9") }), "address"},
		"a BGP key of 65 characters":          {spoil(func(g *CustomerGateway) { g.AuthKey = vpn.Secret(strings.Repeat("k", 65)) }), "auth_key"},
		"a BGP key with a space":              {spoil(func(g *CustomerGateway) { g.AuthKey = "a b" }), "auth_key"},
		"three tunnels":                       {spoil(func(c *IPsecConnection) { c.Tunnels = append(c.Tunnels, IPsecTunnel{}) }), "tunnels"},
		"a side of no accelerator":            {spoil(func(c *IPsecConnection) { c.Side = ClientSide }), "side"},
		"an egress IP on the client's side":   {spoil(func(c *IPsecConnection) { c.Accelerator, c.EndpointGroup = "a", "g" }), "endpoint_group"},
		"a health check from outside":         {spoil(func(c *IPsecConnection) { c.HealthCheck.Source = address("192.0.2.1") }), "health_check.source"},
		"a lifetime of a minute":              {spoil(func(c *IPsecConnection) { c.Tunnels[0].IKE.Lifetime = time.Minute }), "tunnels[0].ike.lifetime"},
		"a group for nobody": {spoil(func(c *IPsecConnection) {
			c.Tunnels[1].IKE.Proposals = []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 13}}
		}), "tunnels[1].ike.proposals[0].dh"},
		"a slave that is first, and is wrong": {spoil(func(c *IPsecConnection) {
			c.Tunnels[0].Role, c.Tunnels[0].MTU, c.Tunnels[1].Role = SlaveTunnel, 12, MasterTunnel
		}), "tunnels[0].mtu"},
		"a route for nothing":               {spoil(func(r *VPNRoute) { r.Destination = netip.Prefix{} }), "destination"},
		"a route of two families":           {spoil(func(r *VPNRoute) { r.Source = netip.MustParsePrefix("fd00::/8") }), "source"},
		"a priority of 101":                 {spoil(func(r *VPNRoute) { r.Priority = 101 }), "priority"},
		"a priority without a source":       {spoil(func(r *VPNRoute) { r.Source, r.Priority = netip.Prefix{}, 5 }), "priority"},
		"a token for nobody":                {spoil(func(k *Token) { k.PoP = "" }), "pop"},
		"a token for two":                   {spoil(func(k *Token) { k.Gateway = "gw" }), "gateway"},
		"a group without endpoints":         {spoil(func(g *EndpointGroup) { g.Endpoints = nil }), "endpoints"},
		"eleven endpoints":                  {spoil(func(g *EndpointGroup) { g.Endpoints = slices.Repeat(g.Endpoints[:1], 11) }), "endpoints"},
		"an endpoint twice":                 {spoil(func(g *EndpointGroup) { g.Endpoints[1] = g.Endpoints[0] }), "endpoints[1]"},
		"an endpoint by address and domain": {spoil(func(g *EndpointGroup) { g.Endpoints[0].Domain = "a.example.com" }), "endpoints[0]"},
		"an endpoint that is nothing":       {spoil(func(g *EndpointGroup) { g.Endpoints[0] = Endpoint{} }), "endpoints[0].address"},
		"an endpoint at loopback":           {spoil(func(g *EndpointGroup) { g.Endpoints[0].Address = address("127.0.0.1") }), "endpoints[0].address"},
		"an endpoint that NAT64 leads home": {spoil(func(g *EndpointGroup) { g.Endpoints[0].Address = address("64:ff9b::127.0.0.1") }), "endpoints[0].address"},
		"an address written as a domain":    {spoil(func(g *EndpointGroup) { g.Endpoints[1].Domain = "127.0.0.1" }), "endpoints[1].domain"},
		"an address in a spelling of old":   {spoil(func(g *EndpointGroup) { g.Endpoints[1].Domain = "0x7f.1" }), "endpoints[1].domain"},
		"a domain of the machine's own":     {spoil(func(g *EndpointGroup) { g.Endpoints[1].Domain = "vpn.localhost" }), "endpoints[1].domain"},
		"a domain without a dot":            {spoil(func(g *EndpointGroup) { g.Endpoints[1].Domain = "vpn" }), "endpoints[1].domain"},
		"a domain with a line break":        {spoil(func(g *EndpointGroup) { g.Endpoints[1].Domain = "a.example.com\nb" }), "endpoints[1].domain"},
		"a weight of 256":                   {spoil(func(g *EndpointGroup) { n := 256; g.Endpoints[0].Weight = &n }), "endpoints[0].weight"},
		"more than all traffic":             {spoil(func(g *EndpointGroup) { n := 101; g.TrafficPercentage = &n }), "traffic_percentage"},
		"a health check by carrier pigeon":  {spoil(func(g *EndpointGroup) { g.HealthCheck.Probe = "pigeon" }), "health_check.probe"},
		"an endpoint that calls without a group": {spoil(func(g *EndpointGroup) {
			g.Initiate = []Initiate{{Endpoint: address("192.0.2.9"), Client: address("192.0.2.8"), IPSet: "s"}}
		}), "initiate[0].endpoint"},
		"a role above all": {spoil(func(k *AccessKey) { k.Role = "root" }), "role"},
		"a token for ever": {spoil(func(k *Token) { k.TTL = 365 * 24 * time.Hour }), "ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			c.of.FillDefaults()
			found := c.of.Validate()
			i := slices.IndexFunc(found, func(p problem.Problem) bool { return p.Path == c.field })
			if i < 0 {
				t.Fatalf("want a problem with %s, have %v", c.field, found)
			}
			if p := found[i]; p.Allowed == "" {
				t.Errorf("the problem does not say what is allowed: %v", p)
			}
		})
	}
}

func TestDefaultsNeverChangeTheCallersMemory(t *testing.T) {
	for _, o := range good() {
		first := encode(t, o)
		shallow := reflect.New(reflect.TypeOf(o).Elem())
		shallow.Elem().Set(reflect.ValueOf(o).Elem())
		shallow.Interface().(Object).FillDefaults()
		if encode(t, o) != first {
			t.Errorf("filling the defaults of a copy of %s changed the original", RefOf(o))
		}
	}
}

func TestEveryCodeHasAClass(t *testing.T) {
	for _, c := range Codes {
		if c.Class() == Internal && c != CodeInternal {
			t.Errorf("%s counts as our own mistake", c)
		}
	}
}

func TestErrorsSayEverythingAndHideTheirCause(t *testing.T) {
	secret := errors.New("password=1234")
	e := AsError(fmt.Errorf("deep inside: %w", secret))
	if e.Code != CodeInternal || strings.Contains(encode(t, e), "1234") || strings.Contains(e.Error(), "1234") || !errors.Is(e, secret) {
		t.Errorf("have %v", encode(t, e))
	}
	l := spoil(func(l *Listener) { l.Ports, l.Repair = nil, "duct tape" })
	l.FillDefaults()
	e = Refuse(RefOf(l), l.Validate())
	if e.Code != CodeInvalidField || e.Field != "ports" || len(e.More) != 1 || e.More[0].Field != "repair" || !strings.Contains(e.Error(), "duct tape") {
		t.Errorf("have %v", e)
	}
	if Refuse(Ref{}, nil) != nil || AsError(nil) != nil || CodeOf(nil) != "" {
		t.Error("nothing wrong is taken for an error")
	}
	if !errors.Is(fmt.Errorf("x: %w", Errorf(CodeNotFound, "gone")), &Error{Code: CodeNotFound}) {
		t.Error("an error cannot be asked for its code")
	}
}

// FuzzValidate feeds every kind with what could come off the network.
func FuzzValidate(f *testing.F) {
	for i, o := range good() {
		f.Add(i, encode(f, o))
	}
	f.Add(1, `{"overlay":[{}],"addresses":[{}]}`)
	f.Add(7, `{"endpoints":[{"domain":"xn--.a"},{"address":"fe80::1%a"}],"initiate":[{}],"health_check":{}}`)
	f.Fuzz(func(t *testing.T, kind int, text string) {
		list := good()
		o := list[((kind%len(list))+len(list))%len(list)]
		reflect.ValueOf(o).Elem().SetZero()
		if json.Unmarshal([]byte(text), o) != nil {
			return
		}
		o.FillDefaults()
		before := encode(t, o)
		found := o.Validate()
		if encode(t, o) != before {
			t.Error("judging changed the resource")
		}
		for _, p := range found {
			if p.Path == "" || p.Allowed == "" {
				t.Errorf("a problem without its place, or without what is allowed: %+v", p)
			}
			if len(p.Found) > 2000 {
				t.Errorf("a problem repeats %d bytes of its input", len(p.Found))
			}
		}
		o.FillDefaults()
		if encode(t, o) != before {
			t.Error("filling defaults twice makes another resource")
		}
		for _, p := range o.Parents() {
			if len(found) == 0 && strings.Contains(p.Name, "/") {
				t.Errorf("a well-made resource hangs on %q, which would be another key", p.Name)
			}
		}
	})
}
