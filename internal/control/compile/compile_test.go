package compile

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"causeway/internal/resource"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; commit them only when every difference is meant")

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func key(n byte) string {
	raw := [32]byte{n}
	text, err := json.Marshal(raw[:])
	if err != nil {
		panic(err)
	}
	return strings.Trim(string(text), `"`)
}

func head(name, id string) resource.Meta { return resource.Meta{Name: name, ID: id} }

func pop(n byte, name, region string, overlay ...string) resource.PoP {
	p := resource.PoP{Meta: head(name, "pop-"+name), PoPSpec: resource.PoPSpec{Region: region, PublicKey: key(n)}, Given: resource.PoPGiven{Label: uint16(n)}}
	for _, o := range overlay {
		carrier, at, _ := strings.Cut(o, "=")
		p.Overlay = append(p.Overlay, resource.OverlayAddress{Name: carrier, Bind: netip.MustParseAddrPort(at)})
	}
	p.FillDefaults()
	return p
}

// tutorial is the tutorial's accelerator: clients in Shanghai, a VPN device in
// Seoul, and a PoP in Hong Kong that can relay.
func tutorial() World {
	a := resource.Accelerator{Meta: head("sha-sel", "ga-1"), AcceleratorSpec: resource.AcceleratorSpec{Spec: "small-1"}}
	l := resource.Listener{Meta: head("ipsec", "lsr-1"), ListenerSpec: resource.ListenerSpec{Accelerator: "sha-sel", Ports: []resource.PortRange{{From: 500}, {From: 4500}}}}
	g := resource.EndpointGroup{Meta: head("seoul", "epg-1"), EndpointGroupSpec: resource.EndpointGroupSpec{Listener: "ipsec", Region: "kr-seoul",
		Endpoints:   []resource.Endpoint{{Address: addr("192.0.2.7")}, {Domain: "vpn.example.com"}},
		HealthCheck: &resource.HealthCheck{Probe: "ike"},
		Initiate:    []resource.Initiate{{Endpoint: addr("192.0.2.7"), Client: addr("192.0.2.200"), IPSet: "sha-in"}}},
		Given: resource.EndpointGroupGiven{EgressIP: "eip-1", PoP: "sel", Bind: addr("10.2.0.10"), IP: addr("198.51.100.10")}}
	a.FillDefaults()
	l.FillDefaults()
	g.FillDefaults()
	return World{
		Revision: 42,
		Regions: []resource.Region{{Meta: head("cn-shanghai", "rgn-1"), RegionSpec: resource.RegionSpec{Area: "cn"}},
			{Meta: head("hk", "rgn-2"), RegionSpec: resource.RegionSpec{Area: "intl"}}, {Meta: head("kr-seoul", "rgn-3"), RegionSpec: resource.RegionSpec{Area: "intl"}}},
		PoPs: []resource.PoP{pop(1, "hkg", "hk", "pccw=203.0.113.33:4600"), pop(2, "sel", "kr-seoul", "kt=198.51.100.1:4600"),
			pop(3, "sha", "cn-shanghai", "ct=203.0.113.1:4600", "cu=203.0.113.2:4600")},
		Accelerators: []resource.Accelerator{a},
		Packages: []resource.BandwidthPackage{
			{Meta: head("basic", "gbwp-1"), BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.Basic, Mbps: 20, Accelerator: "sha-sel"}},
			{Meta: head("cross", "gbwp-2"), BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.CrossDomain, Mbps: 10, Accelerator: "sha-sel"}}},
		IPSets: []resource.IPSet{{Meta: head("sha-in", "ips-1"), IPSetSpec: resource.IPSetSpec{Accelerator: "sha-sel", Region: "cn-shanghai", Mbps: 20},
			Given: resource.IPSetGiven{PoP: "sha", Bind: addr("10.1.0.10"), IP: addr("203.0.113.10")}}},
		Listeners:      []resource.Listener{l},
		EndpointGroups: []resource.EndpointGroup{g},
		EgressIPs: []resource.EgressIP{{Meta: head("eip-1", "eip-1"), EgressIPSpec: resource.EgressIPSpec{Region: "kr-seoul"},
			Given: resource.EgressIPGiven{PoP: "sel", Bind: addr("10.2.0.10"), IP: addr("198.51.100.10")}}},
		Resolved: map[string][]netip.Addr{"vpn.example.com": {addr("192.0.2.8"), addr("2001:db8::8")}},
	}
}

func TestTheTutorialCompilesToTheseSnapshots(t *testing.T) {
	plan, problems := Compile(tutorial())
	if len(problems) > 0 {
		t.Errorf("there are problems: %v", problems)
	}
	golden(t, "tutorial.json", plan)
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	have, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, append(have, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; make it with: go test -run %s -rewrite", err, t.Name())
	}
	if !bytes.Equal(bytes.TrimSpace(want), have) {
		t.Errorf("what is compiled differs from %s; when it is meant, run: go test -run %s -rewrite\nhave:\n%s", file, t.Name(), have)
	}
}

func TestEqualWorldsMakeEqualBytes(t *testing.T) {
	want := encode(t, busyWorld(40, 10))
	for seed := range uint64(5) {
		w := busyWorld(40, 10)
		shuffle(w.Regions, seed)
		shuffle(w.PoPs, seed)
		shuffle(w.Accelerators, seed)
		shuffle(w.Packages, seed)
		shuffle(w.IPSets, seed)
		shuffle(w.Listeners, seed)
		shuffle(w.EndpointGroups, seed)
		shuffle(w.EgressIPs, seed)
		if have := encode(t, w); !bytes.Equal(want, have) {
			t.Fatalf("the same world in another order, seed %d, compiles to something else", seed)
		}
	}
}

func TestTheRevisionIsNoPartOfTheDigest(t *testing.T) {
	one, _ := Compile(tutorial())
	later := tutorial()
	later.Revision++
	two, _ := Compile(later)
	for name, d := range one.Digests {
		if two.Digests[name] != d {
			t.Errorf("%s has another digest at another revision", name)
		}
		if two.Snapshots[name].Version != 43 {
			t.Errorf("%s has version %d, want the world's revision, 43", name, two.Snapshots[name].Version)
		}
	}
}

func shuffle[T any](list []T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func encode(t testing.TB, w World) []byte {
	plan, problems := Compile(w)
	if len(problems) > 0 {
		t.Fatalf("there are problems: %+v", problems[0])
	}
	value, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestWhatKeepsTrafficFromFlowing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(*World)
		of      resource.Ref
		state   resource.State
		says    string
		carries bool // whether the listener is still on the ingress PoP
	}{
		"no CrossDomain package across a border":        {func(w *World) { w.Packages = w.Packages[:1] }, ref(resource.KindListener, "ipsec"), resource.Blocked, "crosses the border", false},
		"a listener without a group is incomplete":      {func(w *World) { w.EndpointGroups = nil }, ref(resource.KindListener, "ipsec"), resource.Incomplete, "no endpoint group", false},
		"a listener without an IP set is incomplete":    {func(w *World) { w.IPSets = nil }, ref(resource.KindListener, "ipsec"), resource.Incomplete, "no IP set", false},
		"an egress PoP without a machine":               {func(w *World) { w.PoPs[1].PublicKey = "" }, ref(resource.KindEndpointGroup, "seoul"), resource.Blocked, "not been enrolled", false},
		"an ingress PoP without a machine":              {func(w *World) { w.PoPs[2].PublicKey = "" }, ref(resource.KindIPSet, "sha-in"), resource.Blocked, "not been enrolled", false},
		"a PoP whose certificate was revoked":           {func(w *World) { w.PoPs[1].Given.Enrolment = &resource.Enrolment{Revoked: true} }, ref(resource.KindPoP, "sel"), resource.NotEnrolled, "revoked", false},
		"a domain that was never looked up":             {func(w *World) { w.EndpointGroups[0].Endpoints = w.EndpointGroups[0].Endpoints[1:]; w.Resolved = nil }, ref(resource.KindEndpointGroup, "seoul"), resource.Blocked, "none of its endpoints", false},
		"an endpoint that became a PoP's address":       {func(w *World) { w.EndpointGroups[0].Endpoints = []resource.Endpoint{{Address: addr("203.0.113.33")}} }, ref(resource.KindEndpointGroup, "seoul"), resource.Blocked, "none of its endpoints", false},
		"PoPs without addresses of the same family":     {func(w *World) { w.PoPs[1] = pop(2, "sel", "kr-seoul", "kt=[2001:db8::1]:4600") }, ref(resource.KindEndpointGroup, "seoul"), resource.Blocked, "has no way", false},
		"two PoPs that claim one key spoil neither tie": {func(w *World) { w.PoPs[0].PublicKey = w.PoPs[1].PublicKey }, ref(resource.KindPoP, "sha"), resource.Blocked, "contradict", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := tutorial()
			c.spoil(&w)
			plan, problems := Compile(w)
			i := slices.IndexFunc(problems, func(p Problem) bool { return p.Resource == c.of })
			if i < 0 || problems[i].State != c.state || !strings.Contains(problems[i].Reason, c.says) {
				t.Errorf("want %s of %s with %q, have %+v", c.state, c.of, c.says, problems)
			}
			if carries := len(plan.Snapshots["sha"].Listeners) > 0; carries != c.carries {
				t.Errorf("the listener is on its ingress PoP: %v, want %v", carries, c.carries)
			}
		})
	}
}

func TestASwitchedOffAcceleratorIsOnNoPoP(t *testing.T) {
	w, off := tutorial(), false
	w.Accelerators[0].Enabled = &off
	plan, problems := Compile(w)
	if len(problems) > 0 || len(plan.Snapshots["sha"].Listeners) > 0 || len(plan.Snapshots["sel"].EndpointGroups) > 0 {
		t.Errorf("want neither listeners nor groups nor problems, have %v", problems)
	}
}

func TestPoPsAreToldOfListenersThatTheKernelMayForward(t *testing.T) {
	for _, may := range []bool{false, true} {
		w := tutorial()
		w.Listeners[0].InKernel = may
		plan, _ := Compile(w)
		if l := plan.Snapshots["sha"].Listeners[0]; l.InKernel != may {
			t.Errorf("the listener says %v, the PoP is told %v", may, l.InKernel)
		}
	}
}

func TestLimitsAreSharedOutAndNeverExceeded(t *testing.T) {
	w := tutorial()
	w.Accelerators[0].Spec = "small-3" // 15,000 connections
	w.Packages[1].Mbps = 30
	second := w.IPSets[0]
	second.Meta, second.Mbps = head("hkg-in", "ips-2"), 40
	second.Region, second.Given = "hk", resource.IPSetGiven{PoP: "hkg", Bind: addr("10.3.0.10"), IP: addr("203.0.113.40")}
	w.IPSets = append(w.IPSets, second)
	plan, problems := Compile(w)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, want := range map[string]string{
		"sha": "[{ips-1 20000000 250000 5000} {gbwp-2 20000000 250000 0}]", // all of its 20 Mbit/s may cross
		"hkg": "[{ips-2 40000000 500000 10000}]",                           // nothing crosses from here
	} {
		filled := plan.Snapshots[name].Allowances
		var have []string
		for _, a := range filled {
			burst := a.Burst
			if burst == 0 {
				burst = a.Rate / 80
			}
			have = append(have, fmt.Sprintf("{%s %d %d %d}", a.Name, a.Rate, burst, a.Sessions))
		}
		slices.Sort(have)
		slices.Reverse(have)
		if got := "[" + strings.Join(have, " ") + "]"; got != want {
			t.Errorf("%s may use %s, want %s", name, got, want)
		}
	}
	if g := plan.Snapshots["sha"].EndpointGroups[0]; !slices.Equal(g.Allowances, []string{"gbwp-2"}) {
		t.Errorf("from Shanghai the group is held against %v, want the CrossDomain package", g.Allowances)
	}
	if g := plan.Snapshots["hkg"].EndpointGroups[0]; len(g.Allowances) > 0 {
		t.Errorf("from Hong Kong the group is held against %v, want nothing", g.Allowances)
	}
}

func TestGroupsAreTriedByPriorityThenName(t *testing.T) {
	w := tutorial()
	for i, priority := range []int{5, 0} {
		g := w.EndpointGroups[0]
		g.Meta = head([]string{"a-last", "b-first"}[i], fmt.Sprint("epg-", i+2))
		g.Region, g.Priority, g.Initiate = "hk", priority, nil
		g.Given = resource.EndpointGroupGiven{EgressIP: fmt.Sprint("e", i), PoP: "hkg", Bind: addr(fmt.Sprint("10.3.0.2", i)), IP: addr(fmt.Sprint("203.0.113.5", i))}
		w.EndpointGroups = append(w.EndpointGroups, g)
	}
	plan, _ := Compile(w)
	l := plan.Snapshots["sha"].Listeners[0]
	if l.EndpointGroup != "b-first" || !slices.Equal(l.Failover, []string{"seoul", "a-last"}) {
		t.Errorf("clients go to %s, then %v; want b-first, then seoul and a-last", l.EndpointGroup, l.Failover)
	}
}

func TestRelaysThatWillNotRelayAreNoCandidates(t *testing.T) {
	w, no := tutorial(), false
	w.PoPs[0].Relay = &no
	plan, _ := Compile(w)
	for _, r := range plan.Snapshots["sha"].Routes {
		for _, via := range r.Candidates {
			if slices.Contains(via, "hkg") {
				t.Errorf("the route to %s goes over hkg, which does not relay", r.To)
			}
		}
	}
}

// busyWorld has as many accelerators, each with listeners of their own, on four PoPs.
func busyWorld(accelerators, listeners int) World {
	w := World{Revision: 7, Resolved: map[string][]netip.Addr{}}
	for i := range 4 {
		region := fmt.Sprint("region-", i)
		w.Regions = append(w.Regions, resource.Region{Meta: head(region, "rgn-"+fmt.Sprint(i)), RegionSpec: resource.RegionSpec{Area: "intl"}})
		w.PoPs = append(w.PoPs, pop(byte(i+1), fmt.Sprint("pop-", i), region, fmt.Sprintf("isp=192.0.2.%d:4600", i+1)))
	}
	for n := range accelerators {
		name := fmt.Sprintf("ga-%05d", n)
		a := resource.Accelerator{Meta: head(name, name), AcceleratorSpec: resource.AcceleratorSpec{Spec: "small-1"}}
		a.FillDefaults()
		w.Accelerators = append(w.Accelerators, a)
		w.Packages = append(w.Packages, resource.BandwidthPackage{Meta: head("p"+name, "gbwp-"+name), BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.Basic, Mbps: 20, Accelerator: name}})
		in, out := n%4, (n+1)%4
		w.IPSets = append(w.IPSets, resource.IPSet{Meta: head("s"+name, "ips-"+name), IPSetSpec: resource.IPSetSpec{Accelerator: name, Region: fmt.Sprint("region-", in), Mbps: 20},
			Given: resource.IPSetGiven{PoP: fmt.Sprint("pop-", in), Bind: address(1, n), IP: address(1, n)}})
		for k := range listeners {
			l := resource.Listener{Meta: head(fmt.Sprintf("l%s-%d", name, k), fmt.Sprintf("lsr-%d-%d", n, k)),
				ListenerSpec: resource.ListenerSpec{Accelerator: name, Ports: []resource.PortRange{{From: uint16(500 + k)}, {From: uint16(4500 + k)}}}}
			l.FillDefaults()
			w.Listeners = append(w.Listeners, l)
			g := resource.EndpointGroup{Meta: head("g"+l.Name, "epg-"+l.ID), EndpointGroupSpec: resource.EndpointGroupSpec{Listener: l.Name, Region: fmt.Sprint("region-", out),
				Endpoints: []resource.Endpoint{{Address: address(3, n*listeners+k)}}},
				Given: resource.EndpointGroupGiven{EgressIP: "e" + l.Name, PoP: fmt.Sprint("pop-", out), Bind: address(2, n*listeners+k), IP: address(2, n*listeners+k)}}
			g.FillDefaults()
			w.EndpointGroups = append(w.EndpointGroups, g)
		}
	}
	return w
}

func address(block byte, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10 + block, byte(n >> 16), byte(n >> 8), byte(n)})
}

// BenchmarkCompile is the figure to hold: 1,000 accelerators with 10,000
// listeners within a second and 500 MB.
func BenchmarkCompile(b *testing.B) {
	w := busyWorld(1000, 10)
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := Compile(w); len(problems) > 0 {
			b.Fatal(problems[0])
		}
	}
}

// thousandPoPs is an overlay of a thousand PoPs with little traffic.
func thousandPoPs(b *testing.B) World {
	w := busyWorld(40, 2)
	for n := range 996 {
		p := pop(0, fmt.Sprintf("x-%04d", n), "region-0", fmt.Sprintf("isp=%v:4600", address(5, n)))
		var raw [32]byte
		raw[0], raw[1], raw[2] = 9, byte(n>>8), byte(n)
		text, err := json.Marshal(raw[:])
		if err != nil {
			b.Fatal(err)
		}
		p.PublicKey, p.Given.Label = strings.Trim(string(text), `"`), uint16(100+n)
		w.PoPs = append(w.PoPs, p)
	}
	return w
}

// BenchmarkCompilePoPs is a thousand PoPs, all of them for the first time.
func BenchmarkCompilePoPs(b *testing.B) {
	w := thousandPoPs(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := Compile(w); len(problems) > 0 {
			b.Fatal(problems[0])
		}
	}
}

// BenchmarkCompilePassing is the same where all of them pass on what others send one another.
func BenchmarkCompilePassing(b *testing.B) {
	w := passing(thousandPoPs(b), resource.PassthroughAlso)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, problems := Compile(w); len(problems) > 0 {
				b.Fatal(problems[0])
			}
		}
	})
	b.Run("one change", func(b *testing.B) {
		var m Memo
		m.Compile(w)
		for n := 0; b.Loop(); n++ {
			w.Revision++
			w.EndpointGroups[0].Endpoints = []resource.Endpoint{{Address: address(9, n)}}
			if _, problems := m.Compile(w); len(problems) > 0 {
				b.Fatal(problems[0])
			}
		}
	})
}

// BenchmarkCompileOneChange is a change of one endpoint in that overlay, and in the busy one.
func BenchmarkCompileOneChange(b *testing.B) {
	for name, w := range map[string]World{"1000 PoPs": thousandPoPs(b), "10000 listeners": busyWorld(1000, 10)} {
		b.Run(name, func(b *testing.B) {
			var m Memo
			m.Compile(w)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				w.Revision++
				w.EndpointGroups[0].Endpoints = []resource.Endpoint{{Address: address(9, n)}}
				if _, problems := m.Compile(w); len(problems) > 0 {
					b.Fatal(problems[0])
				}
			}
		})
	}
}
