package compile

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// vpnWorld is the tutorial with a VPN gateway in Shanghai whose connection goes
// through the accelerator by one tunnel, and past it by another.
func vpnWorld() World {
	w := tutorial()
	weight := resource.ActiveWeight
	prefix := netip.MustParsePrefix
	g := resource.VPNGateway{Meta: head("sha-gw", "vpn-1"), VPNGatewaySpec: resource.VPNGatewaySpec{Region: "cn-shanghai",
		Addresses: []resource.GatewayAddress{{Bind: addr("10.9.0.5"), Public: addr("203.0.113.200")}}, Networks: []netip.Prefix{prefix("10.9.0.0/16")}, Propagate: true},
		Given: resource.VPNGatewayGiven{Enrolment: &resource.Enrolment{Certificate: "ab"}}}
	far := resource.CustomerGateway{Meta: head("seoul", "cgw-1"), CustomerGatewaySpec: resource.CustomerGatewaySpec{Region: "cn-shanghai", Address: addr("192.0.2.7")}}
	c := resource.IPsecConnection{Meta: head("office", "vco-1"), IPsecConnectionSpec: resource.IPsecConnectionSpec{VPNGateway: "sha-gw", CustomerGateway: "seoul",
		RemoteNetworks: []netip.Prefix{prefix("10.8.0.0/16"), prefix("10.7.0.0/16")}, Accelerator: "sha-sel",
		Tunnels: []resource.IPsecTunnel{{Role: resource.SlaveTunnel, Direct: true, Auth: vpn.Auth{PSK: resource.Sealed("one")}}, {Auth: vpn.Auth{PSK: resource.Sealed("two")}}}}}
	r := resource.VPNRoute{Meta: head("r", "vrt-1"), VPNRouteSpec: resource.VPNRouteSpec{Connection: "office", Destination: prefix("10.8.0.0/16"), Weight: &weight, Publish: true},
		Given: resource.VPNRouteGiven{VPNGateway: "sha-gw"}}
	for _, o := range []resource.Object{&g, &far, &c, &r} {
		o.FillDefaults()
	}
	w.VPNGateways, w.CustomerGateways = []resource.VPNGateway{g}, []resource.CustomerGateway{far}
	w.IPsecConnections, w.VPNRoutes = []resource.IPsecConnection{c}, []resource.VPNRoute{r}
	return w
}

func TestAVPNGatewayIsToldThis(t *testing.T) {
	plan, problems := Compile(vpnWorld())
	for _, p := range problems {
		if p.Resource.Kind == resource.KindIPsecConnection || p.Resource.Kind == resource.KindVPNGateway {
			t.Errorf("%v: %s", p.Resource, p.Reason)
		}
	}
	golden(t, "gateway.json", plan.Gateways)
	if plan.Digests["gateway/sha-gw"] == "" {
		t.Error("it has no digest")
	}
}

func TestWhatAGatewayIsNotTold(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*World)
		told   bool // anything at all
		of     resource.Ref
		says   string
	}{
		"an unmanaged gateway":     {func(w *World) { w.VPNGateways[0].Unmanaged = true }, false, resource.Ref{}, ""},
		"one not enrolled":         {func(w *World) { w.VPNGateways[0].Given.Enrolment = nil }, false, ref(resource.KindVPNGateway, "sha-gw"), "token create --gateway sha-gw"},
		"a revoked one":            {func(w *World) { w.VPNGateways[0].Given.Enrolment.Revoked = true }, false, ref(resource.KindVPNGateway, "sha-gw"), "revoked"},
		"a connection that is off": {func(w *World) { off := false; w.IPsecConnections[0].Enabled = &off }, true, resource.Ref{}, ""},
		"a peer without an accelerated IP": {func(w *World) {
			w.IPSets = slices.DeleteFunc(w.IPSets, func(s resource.IPSet) bool { return s.Accelerator == "sha-sel" })
		}, true, ref(resource.KindIPsecConnection, "office"), "no accelerated IP"},
	} {
		w := vpnWorld()
		c.change(&w)
		plan, problems := Compile(w)
		s, told := plan.Gateways["sha-gw"]
		if told != c.told || len(s.Connections) > 0 || len(s.Routes) > 0 {
			t.Errorf("%s is told %+v", name, s)
		}
		if c.of == (resource.Ref{}) {
			continue
		}
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Resource == c.of && strings.Contains(p.Reason+p.Fix, c.says) }) {
			t.Errorf("%s: the problems are %+v", name, problems)
		}
	}
}

func TestASealedSecretIsAllThatACompilerSees(t *testing.T) {
	plan, _ := Compile(vpnWorld())
	text, err := json.Marshal(plan.Gateways)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), `"psk":"\u0000sealed:`); n != 2 {
		t.Errorf("%d of 2 keys are sealed in %s", n, text)
	}
}
