package lab

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/snapshot"
	"causeway/internal/trace"
)

func TestCommandsSayWhatTheScenarioSays(t *testing.T) {
	s := load(t, "seoul-shanghai")
	l := &Lab{Scenario: s}
	for _, c := range []struct {
		got  []string
		want string
	}{
		{l.popCommand("sh1"), "pop create sh1 --region cn-shanghai --overlay 203.0.113.10:4600,name=ct --overlay 203.0.113.11:4600,name=cu --address 203.0.113.10,use=accelerated"},
		{l.popCommand("se1"), "pop create se1 --region kr-seoul --overlay 203.0.113.20:4600,name=ct --overlay 203.0.113.21:4600,name=cu --address 203.0.113.20,use=egress"},
		{l.popCommand("jp1"), "pop create jp1 --region jp-tokyo --overlay 203.0.113.30:4600,name=ct --overlay 203.0.113.31:4600,name=cu"},
		{listenerCommand("a", s.Listeners()[0]), "listener create vpn --accelerator a --ports 500,4500"},
		{listenerCommand("a", snapshot.Listener{Name: "x", Ports: []uint16{4500}, IdleTimeout: time.Minute, Repair: snapshot.Off, ReplayWindow: 64,
			Allow: []netip.Prefix{netip.MustParsePrefix("198.18.1.2/32")}}),
			"listener create x --accelerator a --ports 4500 --idle-timeout 1m0s --repair off --replay-window 64 --allow 198.18.1.2/32"},
		{l.groupCommand(s.EndpointGroups[0], "kr-seoul", true), "endpoint-group create seoul --listener vpn --region kr-seoul --egress-ip seoul --endpoint 198.19.1.99 --wait"},
		{l.groupCommand(s.EndpointGroups[0], "kr-seoul", false), "endpoint-group create seoul --listener vpn --region kr-seoul --egress-ip seoul --endpoint 198.19.1.2 --wait"},
	} {
		if got := strings.Join(c.got, " "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got := l.regions(); !slices.Equal(got, []string{"cn-shanghai", "jp-tokyo", "kr-seoul"}) {
		t.Errorf("regions: %v", got)
	}
	// One address for both, as on a PoP with but one.
	s.EndpointGroups[0].PoP, s.EndpointGroups[0].EgressIP.Bind = "sh1", netip.MustParseAddr("203.0.113.10")
	if got := strings.Join(l.popCommand("sh1"), " "); !strings.HasSuffix(got, "--address 203.0.113.10") {
		t.Errorf("an address for both: %s", got)
	}
}

func TestGatewaysOfOurAgentAreMadeByCommands(t *testing.T) {
	s := load(t, "seoul-shanghai")
	l := &Lab{Scenario: s}
	config := gateway.Config{Name: "sh-gw", Connections: connections(s, "sh")}
	var got []string
	for _, c := range append(l.gatewayCommands("sh", config), l.connectionCommand("sh", config.Connections[0]), l.connectionCommand("se", connections(s, "se")[1])) {
		got = append(got, strings.Join(c, " "))
	}
	want := []string{
		"vpn-gateway create sh-gw --region cn-shanghai --address 198.18.1.2 --network 10.1.0.0/24 --network 10.1.1.0/24",
		"customer-gateway create se-of-sh --region cn-shanghai --address 198.19.1.2",
		"ipsec-connection create sh-direct --vpn-gateway sh-gw --customer-gateway se-of-sh --local 10.1.0.0/24 --remote 10.2.0.0/24 --local-id sh.direct.lab --remote-id se.direct.lab" +
			" --psk-file direct.psk --ike-proposals aes128gcm16-sha256-19 --esp-proposals aes128gcm16-19 --dpd 10s,action=restart --start start",
		"ipsec-connection create se-accelerated --vpn-gateway se-gw --customer-gateway sh-of-se --local 10.2.1.0/24 --remote 10.1.1.0/24 --accelerator shanghai-seoul --side endpoint --endpoint-group seoul" +
			" --local-id se.accelerated.lab --remote-id sh.accelerated.lab --psk-file accelerated.psk --ike-proposals aes128gcm16-sha256-19 --esp-proposals aes128gcm16-19 --dpd 10s,action=clear --start peer",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if l.regionOf("se") != "kr-seoul" {
		t.Errorf("Seoul's gateway is in %s", l.regionOf("se"))
	}
	if got := l.told(); !slices.Equal(got, []string{"jp1", "se-gw", "se1", "sh-gw", "sh1"}) {
		t.Errorf("the controller tells %v", got)
	}
}

func TestTheControllersNodeIsOneOfTheLabs(t *testing.T) {
	if s := load(t, "seoul-shanghai"); !slices.Contains(nodesOf(s), scenario.ControllerNode) {
		t.Errorf("nodes: %v", nodesOf(s))
	}
	if s := load(t, "relay"); slices.Contains(nodesOf(s), scenario.ControllerNode) {
		t.Errorf("nodes without a controller: %v", nodesOf(s))
	}
	// It has no place on the emulated Internet, so probes see the same with it and without.
	s := load(t, "seoul-shanghai")
	if _, there := wanAddrs(s)[scenario.ControllerNode]; there {
		t.Error("the controller has an address on the WAN")
	}
	if len(slices.Collect(maps.Keys(wanAddrs(s)))) != 5 {
		t.Errorf("nodes on the WAN: %v", wanAddrs(s))
	}
}

func TestWhatACommandSaidIsShownWithoutItsOwnWords(t *testing.T) {
	for said, want := range map[string]string{
		"region \"x\" created\nNAME\nx\n": "NAME\nx\n",
		"package \"x\" bound\n":           "package \"x\" bound\n",
		"NAME\nx\n":                       "NAME\nx\n",
		"":                                "",
	} {
		if got := answer(said); got != want {
			t.Errorf("%q: got %q", said, got)
		}
	}
}

// judged runs the judge over a tunnel whose probes, one every 10 ms, are lost
// from one instant to another.
func judged(e scenario.Expect, lost [2]time.Duration, done ...Done) map[string]bool {
	r := &trace.Result{}
	for at := time.Duration(0); at < 10*time.Second; at += 10 * time.Millisecond {
		s := trace.Sample{At: at, RTT: time.Millisecond}
		if at >= lost[0] && at < lost[1] {
			s.RTT = -1
		}
		r.Target.Samples = append(r.Target.Samples, s)
	}
	e.Tunnel = "x"
	l := &Lab{Scenario: &scenario.Scenario{Expect: []scenario.Expect{e}}}
	verdicts := map[string]bool{}
	for _, c := range l.Judge(&Measurement{Traces: map[string]*trace.Result{"x": r}, Done: done}) {
		verdicts[c.Expected] = c.OK
	}
	return verdicts
}

func TestARestartAndTheControllerAreJudged(t *testing.T) {
	started := Done{At: 2 * time.Second, What: "started PoP", Where: "se1", Started: "se1"}
	for _, c := range []struct {
		lostUntil time.Duration
		want      bool
	}{{2500 * time.Millisecond, true}, {6 * time.Second, false}, {time.Minute, false}} {
		for what, ok := range judged(scenario.Expect{BackWithin: 3 * time.Second}, [2]time.Duration{time.Second, c.lostUntil}, started) {
			if ok != c.want {
				t.Errorf("lost until %v: %s: %v", c.lostUntil, what, ok)
			}
		}
	}
	killed := Done{At: 5 * time.Second, What: "killed the", Where: "controller", Control: true}
	e := scenario.Expect{ControlUnnoticed: true}
	for _, c := range []struct {
		lost [2]time.Duration
		want bool
	}{{[2]time.Duration{time.Second, 4 * time.Second}, true}, {[2]time.Duration{5500 * time.Millisecond, 5510 * time.Millisecond}, false}} {
		got := judged(e, c.lost, killed, started)
		if len(got) != 1 {
			t.Fatalf("verdicts: %v", got)
		}
		for what, ok := range got {
			if ok != c.want {
				t.Errorf("lost %v: %s: %v", c.lost, what, ok)
			}
		}
	}
}

func TestTheEgressIPMustStay(t *testing.T) {
	for _, c := range []struct {
		before, after, end string
		want               bool
	}{
		{"192.0.2.1", "192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.1", "", true},
		{"192.0.2.1", "192.0.2.2", "192.0.2.1", false}, {"192.0.2.1", "192.0.2.1", "192.0.2.2", false}, {"", "", "", false},
	} {
		checks := judgeControl(&report.Control{EndpointGroup: "g", EgressBefore: c.before, EgressAfter: c.after, EgressEnd: c.end})
		if len(checks) != 1 || checks[0].OK != c.want {
			t.Errorf("%+v: %+v", c, checks)
		}
	}
	if judgeControl(nil) != nil {
		t.Error("a verdict about a control plane that is none")
	}
}

func TestShellShowsCommandAndAnswer(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := NewProgress(file)
	p.Shell("causeway region create x", 41*time.Millisecond, "NAME\nx   \n")
	p.Shell("causeway pop", 0, "")
	got, _ := os.ReadFile(file.Name())
	want := "         $ causeway region create x   # 41 ms\n         NAME\n         x\n         $ causeway pop &\n"
	if strings.ReplaceAll(string(got), "x   \n", "x\n") != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheRecordOfRestartsComesFromProbes(t *testing.T) {
	l := &Lab{Scenario: load(t, "controller-away"), state: &state{Control: &report.Control{EgressBefore: "x"}}}
	r := &trace.Result{}
	for at := time.Duration(0); at < 4*time.Second; at += 100 * time.Millisecond {
		rtt := time.Duration(-1)
		if at < time.Second || at >= 2*time.Second {
			rtt = time.Millisecond
		}
		r.Target.Samples = append(r.Target.Samples, trace.Sample{At: at, RTT: rtt})
	}
	m := &Measurement{Traces: map[string]*trace.Result{scenario.Accelerated: r},
		Done: []Done{{At: 1500 * time.Millisecond, Started: "se1"}, {At: 2 * time.Second, Control: true}, {At: 5 * time.Second, Started: "sh1", Controller: true}}}
	c := l.controlPart(context.Background(), m)
	if len(c.Restarts) != 2 || *c.Restarts[0].CarryingMs != 500 || c.Restarts[0].Controller || c.Restarts[1].CarryingMs != nil || !c.Restarts[1].Controller {
		t.Errorf("restarts: %+v", c.Restarts)
	}
	if len(l.state.Control.Restarts) != 0 {
		t.Error("the record of the building was changed")
	}
}
