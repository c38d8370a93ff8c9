package service

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/control/store/memstore"
	"causeway/internal/resource"
)

// resolverFunc is a resolver of a test.
type resolverFunc func(domain string) ([]netip.Addr, time.Duration, error)

func (f resolverFunc) Resolve(_ context.Context, domain string) ([]netip.Addr, time.Duration, error) {
	return f(domain)
}

// bench is a service over a store of its own, with a clock and a resolver that the test moves.
type bench struct {
	*Service
	t       testing.TB
	now     time.Time
	domains map[string][]netip.Addr
}

func newBench(t testing.TB) *bench {
	t.Helper()
	sealer, err := auth.NewSealer(make([]byte, auth.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	s := memstore.New()
	t.Cleanup(func() { s.Close() })
	b := &bench{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), domains: map[string][]netip.Addr{}}
	b.Service = New(s, sealer, Options{
		Now: func() time.Time { return b.now },
		Resolver: resolverFunc(func(domain string) ([]netip.Addr, time.Duration, error) {
			if a, ok := b.domains[domain]; ok {
				return a, time.Minute, nil
			}
			return nil, 0, errors.New("no such host")
		}),
	})
	return b
}

var (
	admin    = Call{Caller: auth.Local}
	operator = Call{Caller: auth.Caller{Name: "op", Role: resource.Operator}}
	reader   = Call{Caller: auth.Caller{Name: "rd", Role: resource.Reader}}
	ctx      = context.Background()
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected refusal: %v", err)
		}
		return v
	}
}

// wantCode fails unless err has the code, and returns it.
func wantCode(t testing.TB, err error, code resource.Code) *resource.Error {
	t.Helper()
	if resource.CodeOf(err) != code {
		t.Fatalf("want a refusal with code %s, have %v", code, err)
	}
	return resource.AsError(err)
}

func region(name string) resource.Region { return resource.Region{Meta: resource.Meta{Name: name}} }

// testKeys are overlay keys; any 32 bytes will do.
var testKeys = []string{"", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}

func pop(name, region, key, overlay string, pool ...string) resource.PoP {
	p := resource.PoP{Meta: resource.Meta{Name: name}, PoPSpec: resource.PoPSpec{Region: region, PublicKey: key,
		Overlay: []resource.OverlayAddress{{Name: "isp", Bind: addrPort(overlay)}}}}
	for _, a := range pool {
		p.Addresses = append(p.Addresses, resource.PoolAddress{Bind: addr(a)})
	}
	return p
}

// world makes two regions with a PoP each: Shanghai and Seoul.
func (b *bench) world() *bench {
	b.t.Helper()
	must(b.CreateRegion(ctx, admin, region("cn-shanghai")))(b.t)
	must(b.CreateRegion(ctx, admin, region("kr-seoul")))(b.t)
	must(b.CreatePoP(ctx, admin, pop("sha", "cn-shanghai", testKeys[1], "203.0.113.1:4600", "203.0.113.10", "203.0.113.11")))(b.t)
	must(b.CreatePoP(ctx, admin, pop("sel", "kr-seoul", testKeys[2], "198.51.100.1:4600", "198.51.100.10", "198.51.100.11")))(b.t)
	return b
}

// tutorial makes what the tutorial makes: an accelerator of the size Small I
// with both packages, an IP set in Shanghai, a listener for IPsec, an endpoint
// group in Seoul.
func (b *bench) tutorial() *bench {
	b.t.Helper()
	b.world()
	must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "sha-sel"}, AcceleratorSpec: resource.AcceleratorSpec{Spec: "Small I"}}))(b.t)
	must(b.CreateBandwidthPackage(ctx, operator, basic("basic", 20, "sha-sel")))(b.t)
	must(b.CreateBandwidthPackage(ctx, operator, crossing("cross", 10, "sha-sel")))(b.t)
	must(b.CreateIPSet(ctx, operator, ipSet("sha-sel-in", "sha-sel", "cn-shanghai", 20)))(b.t)
	must(b.CreateListener(ctx, operator, listener("ipsec", "sha-sel", 500, 4500)))(b.t)
	must(b.CreateEndpointGroup(ctx, operator, group("seoul", "ipsec", "kr-seoul", "192.0.2.7")))(b.t)
	return b
}

func basic(name string, mbps int, accelerator string) resource.BandwidthPackage {
	return resource.BandwidthPackage{Meta: resource.Meta{Name: name}, BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.Basic, Mbps: mbps, Accelerator: accelerator}}
}

func crossing(name string, mbps int, accelerator string) resource.BandwidthPackage {
	return resource.BandwidthPackage{Meta: resource.Meta{Name: name}, BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.CrossDomain, Mbps: mbps, Accelerator: accelerator}}
}

func ipSet(name, accelerator, region string, mbps int) resource.IPSet {
	return resource.IPSet{Meta: resource.Meta{Name: name}, IPSetSpec: resource.IPSetSpec{Accelerator: accelerator, Region: region, Mbps: mbps}}
}

func listener(name, accelerator string, ports ...uint16) resource.Listener {
	l := resource.Listener{Meta: resource.Meta{Name: name}, ListenerSpec: resource.ListenerSpec{Accelerator: accelerator}}
	for _, p := range ports {
		l.Ports = append(l.Ports, resource.PortRange{From: p})
	}
	return l
}

func group(name, listener, region string, endpoints ...string) resource.EndpointGroup {
	g := resource.EndpointGroup{Meta: resource.Meta{Name: name}, EndpointGroupSpec: resource.EndpointGroupSpec{Listener: listener, Region: region}}
	for _, e := range endpoints {
		if a, err := netip.ParseAddr(e); err == nil {
			g.Endpoints = append(g.Endpoints, resource.Endpoint{Address: a})
		} else {
			g.Endpoints = append(g.Endpoints, resource.Endpoint{Domain: e})
		}
	}
	return g
}

// day is a day of a test's clock.
const day = 24 * time.Hour

var everything = store.Range{}

func cancelled() (context.Context, context.CancelFunc) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	return over, cancel
}

func containsSecret(value []byte, secret string) bool { return bytes.Contains(value, []byte(secret)) }
