package netroute_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"causeway/internal/lab/netns"
	"causeway/internal/vpngw/netroute"
)

func open(t *testing.T) (*netns.NS, *netroute.Net) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if err := netns.Check(); err != nil {
		t.Skip(err)
	}
	lab := fmt.Sprintf("r%d", os.Getpid()%100000)
	t.Cleanup(func() {
		if _, err := netns.Cleanup(netns.Prefix(lab)); err != nil {
			t.Error(err)
		}
	})
	ns, err := netns.Create(netns.Name(lab, "a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Close)
	other, err := netns.Create(netns.Name(lab, "b"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	for _, dev := range []string{"d1", "d2"} {
		if err := netns.Veth(ns, dev, other, dev, 1500); err != nil {
			t.Fatal(err)
		}
	}
	if err := ns.AddAddr("d1", netip.MustParsePrefix("10.1.0.1/24")); err != nil {
		t.Fatal(err)
	}
	var n *netroute.Net
	if err := ns.Do(func() (err error) { n, err = netroute.Open(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return ns, n
}

func ip(t *testing.T, ns *netns.NS, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns.Name(), "ip"}, args...)...).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "does not exist") {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

func TestRoutesAndRulesBecomeWhatIsWanted(t *testing.T) {
	ns, n := open(t)
	ip(t, ns, "route", "add", "10.9.0.0/24", "dev", "d1", "table", "220") // somebody else's
	to := netip.MustParsePrefix
	routes := []netroute.Route{
		{Table: 220, To: to("10.2.0.0/24"), Device: "d1", Source: netip.MustParseAddr("10.1.0.1"), MTU: 1380, MSS: 1340},
		{Table: 220, To: to("10.3.0.0/24"), Kind: netroute.Unreachable, Metric: 1 << 20},
		{Table: 220, To: to("203.0.113.10/32"), Kind: netroute.Throw},
		{Table: 220, To: to("0.0.0.0/0"), Device: "d1", Second: "d2"},
		{Table: 254, To: to("10.2.0.0/24"), Device: "d1"},
		{Table: 22100, To: to("10.4.0.0/24"), Device: "d2"},
	}
	rules := []netroute.Rule{{Priority: 220, Table: 220}, {Priority: 110, From: to("10.1.0.0/25"), To: to("10.4.0.0/24"), Table: 22100}}
	for turn := range 3 { // the second and third change nothing
		if failed, err := n.Sync(routes, rules); err != nil || len(failed) > 0 {
			t.Fatalf("turn %d: %v, %v", turn, failed, err)
		}
	}
	table := ip(t, ns, "route", "show", "table", "220")
	for _, want := range []string{"10.2.0.0/24 dev d1 proto 199 scope link src 10.1.0.1 mtu 1380 advmss 1340", "unreachable 10.3.0.0/24 proto 199 metric 1048576", "throw 203.0.113.10 proto 199", "nexthop dev d2", "10.9.0.0/24 dev d1"} {
		if !strings.Contains(table, want) {
			t.Errorf("table 220 lacks %q:\n%s", want, table)
		}
	}
	if all := ip(t, ns, "rule"); strings.Count(all, "proto 199") != 2 || !strings.Contains(all, "110:\tfrom 10.1.0.0/25 to 10.4.0.0/24 lookup 22100") {
		t.Errorf("rules:\n%s", all)
	}
	ip(t, ns, "route", "del", "10.2.0.0/24", "table", "220") // somebody meddles
	routes[4].Device = "d2"
	if failed, err := n.Sync(routes, rules); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	if got := ip(t, ns, "route", "show", "table", "220"); got != table {
		t.Errorf("what was removed is not back:\n%s", got)
	}
	if got := ip(t, ns, "route", "show", "table", "254"); !strings.Contains(got, "10.2.0.0/24 dev d2 proto 199") {
		t.Errorf("what changed did not:\n%s", got)
	}
	if failed, err := n.Sync(nil, nil); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	if got := strings.TrimSpace(ip(t, ns, "route", "show", "table", "220")); got != "10.9.0.0/24 dev d1 scope link" {
		t.Errorf("left in the table: %s", got)
	}
	if all := ip(t, ns, "rule") + ip(t, ns, "route", "show", "table", "22100"); strings.Contains(all, "199") {
		t.Errorf("left:\n%s", all)
	}
}

func TestARouteToADeviceThatIsNotThereIsToldAndTheOthersAreMade(t *testing.T) {
	ns, n := open(t)
	good, bad := netroute.Route{Table: 220, To: netip.MustParsePrefix("10.2.0.0/24"), Device: "d1"}, netroute.Route{Table: 220, To: netip.MustParsePrefix("10.3.0.0/24"), Device: "ipsec0"}
	failed, err := n.Sync([]netroute.Route{bad, good}, nil)
	if err != nil || len(failed) != 1 || failed[bad] == nil || !strings.Contains(failed[bad].Error(), "no device ipsec0") {
		t.Errorf("%v, %v", failed, err)
	}
	if got := ip(t, ns, "route", "show", "table", "220"); !strings.Contains(got, "10.2.0.0/24") {
		t.Errorf("table 220:\n%s", got)
	}
	if a := n.Address([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}); a.String() != "10.1.0.1" {
		t.Errorf("own address %v", a)
	}
}

// Where the kernel has ESP, interfaces are made too.
func TestKernelESPIsFoundOutByTrying(t *testing.T) {
	ns, n := open(t)
	if err := n.KernelESP(); err != nil {
		t.Logf("this kernel: %v", err)
		if strings.Contains(ip(t, ns, "link"), "cwvpn") {
			t.Error("the attempt left an interface")
		}
		return
	}
	if err := n.SyncInterfaces(map[uint32]int{7: 1400}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(ip(t, ns, "link"), "cwvpn7") {
		t.Error("no interface was made")
	}
	if err := n.SyncInterfaces(nil); err != nil || strings.Contains(ip(t, ns, "link"), "cwvpn") {
		t.Errorf("an interface is left: %v", err)
	}
}
