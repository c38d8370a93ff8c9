package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store/memstore"
	"causeway/internal/report"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func vpnGateway(name, region, address string, networks ...string) resource.VPNGateway {
	return resource.VPNGateway{Meta: resource.Meta{Name: name}, VPNGatewaySpec: resource.VPNGatewaySpec{
		Region: region, Addresses: []resource.GatewayAddress{{Bind: addr(address)}}, Networks: prefixes(networks...)}}
}

func customer(name, region, address string) resource.CustomerGateway {
	return resource.CustomerGateway{Meta: resource.Meta{Name: name}, CustomerGatewaySpec: resource.CustomerGatewaySpec{Region: region, Address: addr(address)}}
}

func connection(name string, remote ...string) resource.IPsecConnection {
	return resource.IPsecConnection{Meta: resource.Meta{Name: name}, IPsecConnectionSpec: resource.IPsecConnectionSpec{
		VPNGateway: "sha-gw", CustomerGateway: "office", RemoteNetworks: prefixes(remote...)}}
}

func vpnRoute(name, connection, source, destination string, weight int) resource.VPNRoute {
	r := resource.VPNRoute{Meta: resource.Meta{Name: name}, VPNRouteSpec: resource.VPNRouteSpec{Connection: connection, Destination: netip.MustParsePrefix(destination), Weight: &weight}}
	if source != "" {
		r.Source = netip.MustParsePrefix(source)
	}
	return r
}

// vpn makes, on the tutorial's accelerator, a VPN gateway in Shanghai and the
// device in Seoul that is its endpoint.
func (b *bench) vpn() *bench {
	b.t.Helper()
	b.tutorial()
	must(b.CreateVPNGateway(ctx, operator, vpnGateway("sha-gw", "cn-shanghai", "203.0.113.200", "10.1.0.0/16")))(b.t)
	must(b.CreateCustomerGateway(ctx, operator, customer("office", "cn-shanghai", "192.0.2.7")))(b.t)
	must(b.CreateIPsecConnection(ctx, operator, connection("direct", "10.2.0.0/16")))(b.t)
	return b
}

func TestWhatRulesForbidOfVPNs(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(*bench) error
		code  resource.Code
		field string
		says  string
	}{
		"a customer gateway's address never changes": {func(b *bench) error {
			_, err := b.UpdateCustomerGateway(ctx, operator, "office", func(g *resource.CustomerGateway) error { g.Address = addr("192.0.2.8"); return nil })
			return err
		}, resource.CodeImmutable, "address", "never changes"},
		"one customer gateway for each address of a region": {func(b *bench) error {
			_, err := b.CreateCustomerGateway(ctx, operator, customer("again", "cn-shanghai", "192.0.2.7"))
			return err
		}, resource.CodeAddressTaken, "address", `customer gateway "office"`},
		"the gateways' own AS number is theirs": {func(b *bench) error {
			g := customer("as", "cn-shanghai", "192.0.2.9")
			g.ASN = resource.GatewayASN
			_, err := b.CreateCustomerGateway(ctx, operator, g)
			return err
		}, resource.CodeInvalidField, "asn", "45104"},
		"no customer gateway in shared address space": {func(b *bench) error {
			_, err := b.CreateCustomerGateway(ctx, operator, customer("cgn", "cn-shanghai", "100.64.0.9"))
			return err
		}, resource.CodeInvalidField, "address", "100.64.0.0/10"},
		"a customer gateway is in the gateway's region": {func(b *bench) error {
			must(b.CreateCustomerGateway(ctx, operator, customer("far", "kr-seoul", "192.0.2.7")))(b.t)
			c := connection("c", "10.3.0.0/16")
			c.CustomerGateway = "far"
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "customer_gateway", "cn-shanghai"},
		"four user CIDRs are too many": {func(b *bench) error {
			g := vpnGateway("g", "cn-shanghai", "203.0.113.201")
			g.UserCIDRs = prefixes("172.32.0.0/16", "172.33.0.0/16", "172.34.0.0/16", "172.35.0.0/16")
			_, err := b.CreateVPNGateway(ctx, operator, g)
			return err
		}, resource.CodeInvalidField, "user_cidrs", "at most 3"},
		"user CIDRs are for what is not private anyway": {func(b *bench) error {
			g := vpnGateway("g", "cn-shanghai", "203.0.113.201")
			g.UserCIDRs = prefixes("172.31.0.0/16")
			_, err := b.CreateVPNGateway(ctx, operator, g)
			return err
		}, resource.CodeInvalidField, "user_cidrs[0]", "leave it out"},
		"two gateways cannot have one address": {func(b *bench) error {
			_, err := b.CreateVPNGateway(ctx, operator, vpnGateway("g", "kr-seoul", "203.0.113.200"))
			return err
		}, resource.CodeAddressTaken, "addresses[0].public", `VPN gateway "sha-gw"`},
		"networks on both sides": {func(b *bench) error {
			_, err := b.CreateIPsecConnection(ctx, operator, connection("c", "10.1.128.0/17"))
			return err
		}, resource.CodeInvalidField, "remote_networks[0]", "renumber"},
		"policy routing needs the far networks": {func(b *bench) error {
			_, err := b.CreateIPsecConnection(ctx, operator, connection("c"))
			return err
		}, resource.CodeInvalidField, "remote_networks", "10.1.0.0/16"},
		"an algorithm that does not exist": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = []resource.IPsecTunnel{{IKE: vpn.IKE{Proposals: []vpn.Proposal{{Encryption: "aes265", Integrity: "sha256", DH: 14}}}}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[0].ike.proposals[0].encryption", "did you mean aes256?"},
		"a key that cannot be typed": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: "canary-ключ"}}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[0].auth.psk", "printable ASCII"},
		"a mask instead of a key": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: vpn.Mask}}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[0].auth.psk", "mask"},
		"two masters": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = []resource.IPsecTunnel{{Role: "master"}, {Role: "master", RemoteID: "b.example.com"}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[1].role", "each role once"},
		"two keys between the same identities": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: "canary-another-key"}}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[0].auth.psk", "found by identities"},
		"two tunnels that are one": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = make([]resource.IPsecTunnel, 2)
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[1].customer_gateway", "could not tell the two apart"},
		"an address that the gateway does not have": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Tunnels = []resource.IPsecTunnel{{Address: addr("203.0.113.99")}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[0].address", "no address 203.0.113.99"},
		"neither customer gateway nor accelerator": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.CustomerGateway = ""
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "customer_gateway", "accelerator"},
		"an accelerator carries UDP only": {func(b *bench) error {
			no := false
			c := connection("c", "10.3.0.0/16")
			c.Accelerator, c.Tunnels = "sha-sel", []resource.IPsecTunnel{{NATT: &no}}
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "tunnels[0].nat_t", "UDP 500 and 4500"},
		"an IP set of another accelerator": {func(b *bench) error {
			must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "other"}}))(b.t)
			c := connection("c", "10.3.0.0/16")
			c.Accelerator, c.IPSet = "other", "sha-sel-in"
			_, err := b.CreateIPsecConnection(ctx, operator, c)
			return err
		}, resource.CodeInvalidField, "ip_set", "another accelerator"},
		"everything as a policy-based route": {func(b *bench) error {
			_, err := b.CreateVPNRoute(ctx, operator, vpnRoute("r", "direct", "10.1.0.0/16", "0.0.0.0/0", 100))
			return err
		}, resource.CodeInvalidField, "destination", "without source"},
		"a route into shared address space": {func(b *bench) error {
			_, err := b.CreateVPNRoute(ctx, operator, vpnRoute("r", "direct", "", "100.64.0.0/12", 100))
			return err
		}, resource.CodeInvalidField, "destination", "100.64.0.0/10"},
		"a weight between": {func(b *bench) error {
			_, err := b.CreateVPNRoute(ctx, operator, vpnRoute("r", "direct", "", "10.2.0.0/16", 50))
			return err
		}, resource.CodeInvalidField, "weight", "0 or 100"},
		"twenty routes of a sort": {func(b *bench) error {
			for i := range resource.MaxVPNRoutes {
				must(b.CreateVPNRoute(ctx, operator, vpnRoute(fmt.Sprint("r", i), "direct", "", fmt.Sprintf("10.2.%d.0/24", i), 100)))(b.t)
			}
			must(b.CreateVPNRoute(ctx, operator, vpnRoute("p", "direct", "10.1.0.0/16", "10.2.0.0/16", 100)))(b.t) // of the other sort
			_, err := b.CreateVPNRoute(ctx, operator, vpnRoute("r", "direct", "", "10.2.99.0/24", 100))
			return err
		}, resource.CodeQuota, "connection", "at most 20"},
		"two routes alike with one weight": {func(b *bench) error {
			must(b.CreateVPNRoute(ctx, operator, vpnRoute("r", "direct", "", "10.2.0.0/16", 100)))(b.t)
			_, err := b.CreateVPNRoute(ctx, operator, vpnRoute("s", "direct", "", "10.2.0.0/16", 100))
			return err
		}, resource.CodeExists, "weight", `VPN route "r"`},
		"a connection with routes stays": {func(b *bench) error {
			must(b.CreateVPNRoute(ctx, operator, vpnRoute("r", "direct", "", "10.2.0.0/16", 100)))(b.t)
			_, err := b.DeleteIPsecConnection(ctx, operator, "direct")
			return err
		}, resource.CodeInUse, "", `VPN route "r"`},
		"a gateway with connections stays": {func(b *bench) error {
			_, err := b.DeleteVPNGateway(ctx, operator, "sha-gw")
			return err
		}, resource.CodeInUse, "", `IPsec connection "direct"`},
		"a gateway keeps what its connections need": {func(b *bench) error {
			_, err := b.UpdateVPNGateway(ctx, operator, "sha-gw", func(g *resource.VPNGateway) error { g.Networks = prefixes("10.0.0.0/8"); return nil })
			return err
		}, resource.CodeInUse, "", `IPsec connection "direct"`},
		"an accelerator with connections stays": {func(b *bench) error {
			c := connection("c", "10.3.0.0/16")
			c.Accelerator = "sha-sel"
			must(b.CreateIPsecConnection(ctx, operator, c))(b.t)
			_, err := b.DeleteAccelerator(ctx, operator, "sha-sel")
			return err
		}, resource.CodeInUse, "", `IPsec connection "c"`},
		"a token for an unmanaged gateway": {func(b *bench) error {
			must(b.UpdateVPNGateway(ctx, operator, "sha-gw", func(g *resource.VPNGateway) error { g.Unmanaged = true; return nil }))(b.t)
			_, err := b.CreateToken(ctx, admin, resource.Token{TokenSpec: resource.TokenSpec{Gateway: "sha-gw"}})
			return err
		}, resource.CodeInvalidField, "gateway", "unmanaged"},
		"a configuration for a device that does not exist": {func(b *bench) error {
			_, err := b.GetVPNConfig(ctx, operator, "direct", VPNConfigRequest{Device: "fortigat"})
			return err
		}, resource.CodeInvalidField, "device", "did you mean fortigate?"},
		"a configuration with secrets for a reader": {func(b *bench) error {
			_, err := b.GetVPNConfig(ctx, reader, "direct", VPNConfigRequest{Device: "strongswan", Reveal: true})
			return err
		}, resource.CodeDenied, "", "--masked"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t).vpn()
			err := c.do(b)
			e := wantCode(t, err, c.code)
			if e.Field != c.field {
				t.Errorf("the field is %q, want %q: %v", e.Field, c.field, e)
			}
			if text := e.Error(); !strings.Contains(text, c.says) || strings.Contains(text, "canary") {
				t.Errorf("it says %s", text)
			}
		})
	}
}

// gatewayOf enrols the VPN gateway and returns what it would be told.
func (b *bench) enrolGateway() {
	b.t.Helper()
	made := must(b.CreateToken(ctx, admin, resource.Token{TokenSpec: resource.TokenSpec{Gateway: "sha-gw"}}))(b.t)
	became := must(b.Enrol(ctx, Call{}, Enrolment{Secret: made.Secret, Certificate: "ab", NotAfter: b.now.Add(day)}))(b.t)
	if became.Agent != "gateway/sha-gw" {
		b.t.Fatalf("the machine became %q", became.Agent)
	}
}

func (b *bench) told(connection string) vpn.Connection {
	b.t.Helper()
	c := must(b.Compiled(ctx))(b.t)
	g := must(b.OpenGateway(c.Plan.Gateways["sha-gw"]))(b.t)
	for _, v := range g.Connections {
		if v.Name == connection {
			return v
		}
	}
	b.t.Fatalf("the gateway is told of %+v", g.Connections)
	return vpn.Connection{}
}

func TestAPeerBehindAnAcceleratorFollowsIt(t *testing.T) {
	b := newBench(t).vpn()
	b.enrolGateway()
	c := connection("fast", "10.3.0.0/16")
	c.Accelerator, c.CustomerGateway = "sha-sel", ""
	must(b.CreateIPsecConnection(ctx, operator, c))(t)
	before := b.told("fast").Tunnels[0]
	if set := must(b.GetIPSet(ctx, reader, "sha-sel-in"))(t); before.Remote.Address != set.Given.IP || !before.Accelerated || !before.NATT || before.Remote.ID != "192.0.2.7" {
		t.Errorf("the gateway is told %+v", before.Remote)
	}
	digest := must(b.Compiled(ctx))(t).Plan.Digests["gateway/sha-gw"]
	must(b.DeleteIPSet(ctx, operator, "sha-sel-in"))(t)
	if s := must(b.GetIPsecConnection(ctx, reader, "fast"))(t); s.Status.State != resource.Blocked || !strings.Contains(s.Status.Reason, "no accelerated IP") {
		t.Errorf("without an accelerated IP it is %+v", s.Status.Status)
	}
	set := ipSet("sha-sel-in", "sha-sel", "cn-shanghai", 20)
	set.Address = addr("203.0.113.11")
	must(b.CreateIPSet(ctx, operator, set))(t)
	if after := b.told("fast").Tunnels[0]; after.Remote.Address != addr("203.0.113.11") {
		t.Errorf("the peer did not follow: %v", after.Remote.Address)
	}
	if must(b.Compiled(ctx))(t).Plan.Digests["gateway/sha-gw"] == digest {
		t.Error("the gateway would not be told")
	}
}

func TestTheEndpointsSideFollowsTheEgressIP(t *testing.T) {
	b := newBench(t).vpn()
	must(b.CreateVPNGateway(ctx, operator, vpnGateway("sel-gw", "kr-seoul", "192.0.2.7", "10.2.0.0/16")))(t)
	must(b.CreateCustomerGateway(ctx, operator, customer("branch", "kr-seoul", "203.0.113.200")))(t)
	c := connection("back", "10.9.0.0/16")
	c.VPNGateway, c.CustomerGateway, c.Accelerator, c.Side = "sel-gw", "branch", "sha-sel", resource.EndpointSide
	must(b.CreateIPsecConnection(ctx, operator, c))(t)
	g := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t)
	status := must(b.GetIPsecConnection(ctx, reader, "back"))(t).Status
	if status.Tunnels[0].Peer != g.Given.IP.String() {
		t.Errorf("the peer is %s, and the egress IP %v", status.Tunnels[0].Peer, g.Given.IP)
	}
	config := must(b.GetVPNConfig(ctx, operator, "back", VPNConfigRequest{Device: "strongswan", Side: "remote"}))(t)
	set := must(b.GetIPSet(ctx, reader, "sha-sel-in"))(t)
	if text := config.Text(); !strings.Contains(text, "remote_addrs = "+set.Given.IP.String()) || !strings.Contains(text, "local_addrs = 203.0.113.200") {
		t.Errorf("the far end is told:\n%s", text)
	}
	must(b.CreateEgressIP(ctx, operator, resource.EgressIP{Meta: resource.Meta{Name: "fixed"}, EgressIPSpec: resource.EgressIPSpec{Region: "kr-seoul"}}))(t)
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error { g.EgressIP = "fixed"; return nil }))(t)
	g = must(b.GetEndpointGroup(ctx, reader, "seoul"))(t)
	if after := must(b.GetIPsecConnection(ctx, reader, "back"))(t).Status.Tunnels[0].Peer; after != g.Given.IP.String() || after == status.Tunnels[0].Peer {
		t.Errorf("the peer was %s and is %s, the egress IP is %v", status.Tunnels[0].Peer, after, g.Given.IP)
	}
}

func TestBothEndsOfAConnectionFitTogether(t *testing.T) {
	b := newBench(t).vpn()
	here := must(b.GetVPNConfig(ctx, operator, "direct", VPNConfigRequest{Device: "strongswan", Side: "local", Reveal: true}))(t).Text()
	there := must(b.GetVPNConfig(ctx, operator, "direct", VPNConfigRequest{Device: "strongswan", Side: "remote", Reveal: true}))(t).Text()
	o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}))(t)
	key := o.(*resource.IPsecConnection).Tunnels[0].Auth.PSK.Reveal()
	if len(key) != resource.PSKLength || !strings.Contains(here, key) || !strings.Contains(there, key) {
		t.Errorf("the ends have other keys than the connection's, which has %d characters", len(key))
	}
	for _, want := range []string{"local_ts = 10.1.0.0/16", "remote_ts = 10.2.0.0/16"} {
		if !strings.Contains(here, want) {
			t.Errorf("this end lacks %q", want)
		}
	}
	if !strings.Contains(there, "local_ts = 10.2.0.0/16") {
		t.Error("the far end is not the mirror of this one")
	}
	masked := must(b.GetVPNConfig(ctx, reader, "direct", VPNConfigRequest{Device: "strongswan"}))(t).Text()
	if strings.Contains(masked, key) {
		t.Error("a reader gets the key")
	}
}

func TestALintIsAWarningAndNoRefusal(t *testing.T) {
	b := newBench(t).vpn()
	dry := operator
	dry.DryRun = true
	made := must(b.CreateIPsecConnection(ctx, dry, connection("c", "172.32.0.0/16")))(t)
	public := func(list []vpn.Finding) bool {
		return slices.ContainsFunc(list, func(f vpn.Finding) bool { return f.Code == vpn.PublicNetwork && f.Field == "remote_networks[0]" })
	}
	if !public(made.Status.Findings) {
		t.Errorf("a dry run finds %+v", made.Status.Findings)
	}
	c := connection("c", "172.32.0.0/16")
	applied := must(b.Apply(ctx, dry, []resource.Object{&c}, nil))(t)
	if !public(applied[0].After.(*resource.IPsecConnection).Status.Findings) {
		t.Error("a plan says nothing")
	}
	must(b.CreateIPsecConnection(ctx, operator, c))(t)
	if !public(must(b.GetIPsecConnection(ctx, reader, "c"))(t).Status.Findings) {
		t.Error("a look at it says nothing")
	}
	must(b.UpdateVPNGateway(ctx, operator, "sha-gw", func(g *resource.VPNGateway) error { g.UserCIDRs = prefixes("172.32.0.0/16"); return nil }))(t)
	if d := must(b.DiagnoseVPN(ctx, reader, "c", nil))(t); public(d.Findings) {
		t.Error("a user CIDR does not quiet it")
	}
}

func TestTheSameTwoEndsHaveOneKey(t *testing.T) {
	b := newBench(t).vpn()
	b.enrolGateway()
	c := connection("fast", "10.3.0.0/16")
	c.Accelerator = "sha-sel"
	c.Tunnels = []resource.IPsecTunnel{{}, {LocalID: "b.example.com"}}
	must(b.CreateIPsecConnection(ctx, operator, c))(t)
	direct, fast := b.told("direct"), b.told("fast")
	if direct.Tunnels[0].Auth.PSK != fast.Tunnels[0].Auth.PSK || len(fast.Tunnels[1].Auth.PSK) != resource.PSKLength {
		t.Error("charon could not tell which key to take")
	}
}

func TestAKeyThatTheServiceMadeIsNotCalledWeak(t *testing.T) {
	b := newBench(t).vpn()
	weak := func() bool {
		return slices.ContainsFunc(must(b.DiagnoseVPN(ctx, reader, "direct", nil))(t).Findings, func(f vpn.Finding) bool { return f.Code == vpn.WeakAlgorithm && f.Field == "tunnels[0].auth.psk" })
	}
	if weak() {
		t.Error("it is")
	}
	must(b.UpdateIPsecConnection(ctx, operator, "direct", func(c *resource.IPsecConnection) error {
		c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: "password"}}}
		return nil
	}))(t)
	if !weak() {
		t.Error("but this one should be")
	}
}

const canary = "canary-Psk-8311"

// TestSecretsAreNowhereButWhereTheyMustBe creates secrets and looks for them in
// the whole store, in answers, in what is logged and in what is worked out.
func TestSecretsAreNowhereButWhereTheyMustBe(t *testing.T) {
	var log bytes.Buffer
	sealer, err := auth.NewSealer(make([]byte, auth.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	s := memstore.New()
	t.Cleanup(func() { s.Close() })
	b := newBench(t)
	b.Service = New(s, sealer, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	b.tutorial()
	must(b.CreateVPNGateway(ctx, operator, vpnGateway("sha-gw", "cn-shanghai", "203.0.113.200", "10.1.0.0/16")))(t)
	g := customer("office", "cn-shanghai", "192.0.2.7")
	g.AuthKey = canary + "-bgp"
	c := connection("c", "10.2.0.0/16")
	c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: canary}}}
	call := operator
	call.Token = "a-token-that-remembers-the-answer"
	var seen []any
	add := func(v any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, v)
	}
	add(b.CreateCustomerGateway(ctx, call, g))
	call.Token += "-2"
	add(b.CreateIPsecConnection(ctx, call, c))
	add(b.CreateIPsecConnection(ctx, call, c)) // again
	add(b.GetIPsecConnection(ctx, reader, "c"))
	add(b.ListIPsecConnections(ctx, reader, Query{}))
	add(b.ListCustomerGateways(ctx, reader, Query{}))
	add(b.Export(ctx, reader))
	applied := c
	applied.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: canary + "-new"}}}
	add(b.Apply(ctx, operator, []resource.Object{&applied}, nil))
	add(b.DiagnoseVPN(ctx, reader, "c", nil))
	add(b.GetVPNConfig(ctx, reader, "c", VPNConfigRequest{Device: "generic"}))
	b.enrolGateway()
	add(b.Compiled(ctx))
	_, refusal := b.CreateIPsecConnection(ctx, operator, func() resource.IPsecConnection {
		bad := connection("bad", "10.4.0.0/16")
		bad.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: canary + "\n"}, MTU: 1}}
		return bad
	}())
	seen = append(seen, refusal.Error())
	for i, v := range seen {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("canary")) || strings.Contains(fmt.Sprintf("%+v %#v", v, v), "canary") {
			t.Errorf("answer %d (%T) has the secret", i, v)
		}
	}
	items, _, err := s.List(ctx, everything, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if bytes.Contains(item.Value, []byte("canary")) || strings.Contains(item.Key, "canary") {
			t.Errorf("the store has the secret under %s", item.Key)
		}
	}
	if strings.Contains(log.String(), "canary") {
		t.Error("the log has the secret")
	}
	if b.told("c").Tunnels[0].Auth.PSK != canary+"-new" {
		t.Error("the gateway is not told the key")
	}
	_, denied := b.RevealSecrets(ctx, reader, resource.Ref{Kind: resource.KindIPsecConnection, Name: "c"})
	wantCode(t, denied, resource.CodeDenied)
	o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindCustomerGateway, Name: "office"}))(t)
	if o.(*resource.CustomerGateway).AuthKey != canary+"-bgp" {
		t.Error("an operator does not see the key")
	}
}

func TestAMaskOrNothingKeepsTheKey(t *testing.T) {
	b := newBench(t).vpn()
	key := func() vpn.Secret {
		o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}))(t)
		return o.(*resource.IPsecConnection).Tunnels[0].Auth.PSK
	}
	first := key()
	for name, psk := range map[string]vpn.Secret{"a mask": vpn.Mask, "nothing": "", "the same": first} {
		before := must(b.GetIPsecConnection(ctx, reader, "direct"))(t).Revision
		c := connection("direct", "10.2.0.0/16")
		c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: psk}}}
		done := must(b.Apply(ctx, operator, []resource.Object{&c}, nil))(t)
		if done[0].Action != Kept || key() != first || must(b.GetIPsecConnection(ctx, reader, "direct"))(t).Revision != before {
			t.Errorf("%s: %s, and the key is the same: %v", name, done[0].Action, key() == first)
		}
	}
	must(b.UpdateIPsecConnection(ctx, operator, "direct", func(c *resource.IPsecConnection) error {
		c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: "another-key-0815"}}}
		return nil
	}))(t)
	if key() != "another-key-0815" {
		t.Error("the key did not change")
	}
}

// A file that was exported has masks: without the first tunnel, or with the two
// in another order, each keeps its own key.
func TestKeysStayWithTheirTunnels(t *testing.T) {
	b := newBench(t).vpn()
	tunnel := func(id string, key vpn.Secret) resource.IPsecTunnel {
		return resource.IPsecTunnel{RemoteID: id, Auth: vpn.Auth{PSK: key}}
	}
	apply := func(tunnels ...resource.IPsecTunnel) ([]resource.IPsecTunnel, error) {
		c := connection("direct", "10.2.0.0/16")
		c.Tunnels = tunnels
		if _, err := b.Apply(ctx, operator, []resource.Object{&c}, nil); err != nil {
			return nil, err
		}
		o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}))(t)
		return o.(*resource.IPsecConnection).Tunnels, nil
	}
	const one, two = "key-of-the-first-0815", "key-of-the-second-0816"
	must(apply(tunnel("a.example.com", one), tunnel("b.example.com", two)))(t)
	if have := must(apply(tunnel("b.example.com", vpn.Mask), tunnel("a.example.com", vpn.Mask)))(t); have[0].Auth.PSK != two || have[1].Auth.PSK != one {
		t.Error("the tunnels changed places, and their keys did not")
	}
	if have := must(apply(tunnel("b.example.com", vpn.Mask), tunnel("c.example.com", vpn.Mask)))(t); have[0].Auth.PSK != two || have[1].Auth.PSK != one {
		t.Error("an edited tunnel has lost its key")
	}
	if have := must(apply(tunnel("c.example.com", "")))(t); have[0].Auth.PSK != one {
		t.Error("the second tunnel has the key of the first, which is gone")
	}
	_, err := apply(tunnel("c.example.com", vpn.Mask), tunnel("d.example.com", vpn.Mask))
	wantCode(t, err, resource.CodeInvalidField)
}

// A reader may compare a file with what there is, but cannot find out a key by it.
func TestReadersCannotTryKeys(t *testing.T) {
	b := newBench(t).vpn()
	o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}))(t)
	right := o.(*resource.IPsecConnection).Tunnels[0].Auth.PSK
	apply := func(key vpn.Secret) error {
		c := connection("direct", "10.2.0.0/16")
		c.Tunnels = []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: key}}}
		call := reader
		call.DryRun = true
		_, err := b.Apply(ctx, call, []resource.Object{&c}, nil)
		return err
	}
	for _, key := range []vpn.Secret{"", vpn.Mask} {
		if err := apply(key); err != nil {
			t.Errorf("nothing changes: %v", err)
		}
	}
	said := map[string]bool{}
	for _, key := range []vpn.Secret{right, "a-wrong-guess-0815"} {
		said[wantCode(t, apply(key), resource.CodeDenied).Error()] = true
	}
	if len(said) != 1 {
		t.Errorf("the right key and a wrong one are told apart: %v", said)
	}
}

func TestAConnectionIsInTheStateThatItsGatewayTells(t *testing.T) {
	b := newBench(t).vpn()
	state := func() resource.IPsecConnectionStatus {
		return must(b.GetIPsecConnection(ctx, reader, "direct"))(t).Status
	}
	if s := state(); s.State != resource.Configuring || !strings.Contains(s.Reason, "token create --gateway sha-gw") {
		t.Errorf("before a machine is enrolled it is %+v", s.Status)
	}
	b.enrolGateway()
	agent := Call{Caller: auth.ForAgent("gateway/sha-gw")}
	c := must(b.Compiled(ctx))(t)
	tell := func(state string, findings ...vpn.Finding) {
		r := PoPReport{Connected: true, Since: b.now, Version: c.Plan.Gateways["sha-gw"].Version, Digest: c.Plan.Digests["gateway/sha-gw"]}
		r.VPN = Summarize(report.Gateway{Daemon: report.Daemon{Up: true, Version: "6.0.4"}, Findings: findings,
			Connections: []report.VPNConnection{{Name: "direct", State: state, Since: b.now, Tunnels: []report.VPNTunnel{{Name: "direct", State: state, Since: b.now}}}}})
		if err := b.ReportPoP(ctx, agent, r); err != nil {
			t.Fatal(err)
		}
	}
	tell(report.IKENotEstablished, vpn.Finding{Code: vpn.PskMismatch, Severity: vpn.Critical, Connection: "direct", At: b.now, Text: "The keys differ.", Fix: "Compare them."})
	s := state()
	if s.State != resource.IKENotEstablished || s.Tunnels[0].State != resource.IKENotEstablished || s.Reason != "The keys differ." || s.Findings[0].Code != vpn.PskMismatch {
		t.Errorf("it is %+v", s)
	}
	d := must(b.DiagnoseVPN(ctx, reader, "direct", nil))(t)
	if d.State != resource.IKENotEstablished || d.Findings[0].Code != vpn.PskMismatch {
		t.Errorf("the diagnosis is %+v", d)
	}
	tell(report.IPsecEstablished)
	if s := state(); s.State != resource.IPsecEstablished {
		t.Errorf("it is %+v", s.Status)
	}
	if g := must(b.GetVPNGateway(ctx, reader, "sha-gw"))(t).Status; g.State != resource.Connected || g.Up != 1 || g.Connections != 1 || g.Daemon != "6.0.4" {
		t.Errorf("the gateway is %+v", g)
	}
	must(b.RevokeVPNGateway(ctx, admin, "sha-gw"))(t)
	wantCode(t, b.CertificateGood(ctx, "gateway/sha-gw", "ab"), resource.CodeUnauthenticated)
	if g := must(b.GetVPNGateway(ctx, reader, "sha-gw"))(t).Status; g.State != resource.NotEnrolled {
		t.Errorf("the revoked gateway is %+v", g)
	}
}

func TestAPoPSeesWhatIsWrongOnTheWire(t *testing.T) {
	b := newBench(t).vpn()
	c := connection("fast", "10.3.0.0/16")
	c.Accelerator = "sha-sel"
	must(b.CreateIPsecConnection(ctx, operator, c))(t)
	seen := &report.IPsec{}
	seen.ToEndpoint.IKE.On500 = 9
	told, err := json.Marshal(report.PoP{Sessions: report.Sessions{List: []report.Session{{
		Part: "ingress", Listener: "ipsec", Client: netip.MustParseAddrPort("203.0.113.200:500"), Endpoint: netip.MustParseAddrPort("192.0.2.7:500"), IPsec: seen}}}})
	if err != nil {
		t.Fatal(err)
	}
	d := must(b.DiagnoseVPN(ctx, reader, "fast", func(pop string) []byte {
		if pop == "sha" {
			return told
		}
		return nil
	}))(t)
	if !slices.ContainsFunc(d.Findings, func(f vpn.Finding) bool { return f.Code == vpn.NoResponse && f.Severity == vpn.Critical }) {
		t.Errorf("it finds %+v, having looked at %v", d.Findings, d.Sources)
	}
}

func TestPropagatedRoutesLeadToTheNetworksOfConnections(t *testing.T) {
	b := newBench(t).vpn()
	b.enrolGateway()
	must(b.CreateVPNRoute(ctx, operator, vpnRoute("own", "direct", "", "10.2.0.0/16", 0)))(t)
	must(b.CreateIPsecConnection(ctx, operator, connection("more", "10.5.0.0/16")))(t)
	must(b.UpdateVPNGateway(ctx, operator, "sha-gw", func(g *resource.VPNGateway) error { g.Propagate = true; return nil }))(t)
	routes := must(b.Compiled(ctx))(t).Plan.Gateways["sha-gw"].Routes
	want := []vpn.Route{
		{Destination: netip.MustParsePrefix("10.2.0.0/16"), Connection: "direct"},
		{Destination: netip.MustParsePrefix("10.5.0.0/16"), Connection: "more", Weight: 100, Publish: true},
	}
	if !reflect.DeepEqual(routes, want) {
		t.Errorf("the gateway is told %+v", routes)
	}
}

func TestManyConnectionsAreAppliedAtOnce(t *testing.T) {
	b := newBench(t).vpn()
	var objects []resource.Object
	for i := range 60 {
		g := vpnGateway(fmt.Sprint("g", i), "cn-shanghai", fmt.Sprintf("198.18.0.%d", i+1), "10.1.0.0/16")
		c := connection(fmt.Sprint("c", i), "10.2.0.0/16")
		c.VPNGateway, c.Accelerator = g.Name, "sha-sel"
		objects = append(objects, &c, &g)
	}
	done := must(b.Apply(ctx, operator, objects, nil))(t)
	if len(done) != len(objects) {
		t.Errorf("%d of %d were applied", len(done), len(objects))
	}
	if again := must(b.Apply(ctx, operator, objects, nil))(t); slices.ContainsFunc(again, func(a Applied) bool { return a.Action != Kept }) {
		t.Error("applying the same again changes something")
	}
}

func TestTwoEndsOfOursAreComparedWithOneAnother(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*resource.IPsecTunnel)
		code   vpn.Code
		field  string
	}{
		"nothing":          {func(*resource.IPsecTunnel) {}, "", ""},
		"the key":          {func(t *resource.IPsecTunnel) { t.Auth.PSK = "canary-the-other-key" }, vpn.PskMismatch, "tunnels[0].auth.psk"},
		"the version":      {func(t *resource.IPsecTunnel) { t.IKE.Version = 1 }, vpn.IkeVersionMismatch, "tunnels[0].ike.version"},
		"the ESP lifetime": {func(t *resource.IPsecTunnel) { t.ESP.Lifetime = 8 * time.Hour }, vpn.LifetimeMismatch, "tunnels[0].esp.lifetime"},
		"the ESP's group": {func(t *resource.IPsecTunnel) {
			t.ESP.Proposals = []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 19}}
		}, vpn.PfsMismatch, "tunnels[0].esp.proposals[0].dh"},
		"the far identity": {func(t *resource.IPsecTunnel) { t.RemoteID = "sha.example.com" }, vpn.PeerIdMismatch, ""},
	} {
		b := newBench(t).vpn()
		must(b.CreateVPNGateway(ctx, operator, vpnGateway("sel-gw", "kr-seoul", "192.0.2.7", "10.2.0.0/16")))(t)
		must(b.CreateCustomerGateway(ctx, operator, customer("branch", "kr-seoul", "203.0.113.200")))(t)
		back := connection("back", "10.1.0.0/16")
		back.VPNGateway, back.CustomerGateway = "sel-gw", "branch"
		back.Tunnels = []resource.IPsecTunnel{{Start: vpn.StartPeer}}
		o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}))(t)
		back.Tunnels[0].Auth.PSK = o.(*resource.IPsecConnection).Tunnels[0].Auth.PSK
		c.change(&back.Tunnels[0])
		must(b.CreateIPsecConnection(ctx, operator, back))(t)
		d := must(b.DiagnoseVPN(ctx, reader, "direct", nil))(t)
		if strings.Contains(fmt.Sprintf("%+v", d), "canary") {
			t.Errorf("%s: the diagnosis has the key", name)
		}
		if c.code == "" {
			if slices.ContainsFunc(d.Findings, func(f vpn.Finding) bool { return f.Severity != vpn.Normal }) {
				t.Errorf("two ends that fit together: %+v", d.Findings)
			}
			continue
		}
		if !slices.ContainsFunc(d.Findings, func(f vpn.Finding) bool {
			return f.Code == c.code && (c.field == "" || f.Field == c.field) && f.Remote != ""
		}) {
			t.Errorf("%s differs, and %+v", name, d.Findings)
		}
	}
}
