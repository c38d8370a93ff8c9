package scenario_test

import (
	"os"
	"strings"
	"testing"

	"causeway/internal/lab/scenario"
	scenarios "causeway/lab"
)

func TestBuiltInScenariosAreRight(t *testing.T) {
	names := scenario.Names(scenarios.FS)
	if len(names) < 10 {
		t.Fatalf("only %v are built in", names)
	}
	for _, name := range names {
		s, err := scenario.Load(scenarios.FS, name)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if s.Name != name || s.Title == "" || len(s.Expect) == 0 && name != "public-internet" {
			t.Errorf("%s: name %q, title %q, %d expectations", name, s.Name, s.Title, len(s.Expect))
		}
	}
}

// good is the smallest scenario with everything in it that can be got wrong.
const good = `title: t
sites:
  sh: {gateway: 198.18.1.2}
  se: {gateway: 198.19.1.2}
pops:
  sh1:
    overlay: {ct: 203.0.113.10}
    listeners: [{name: vpn, addresses: [{bind: 203.0.113.10}], ports: [500, 4500], endpoint_group: g}]
  se1: {overlay: {ct: 203.0.113.20}}
endpoint_groups: [{name: g, pop: se1, egress_ip: {bind: 203.0.113.20}, endpoints: [{address: 198.19.1.2}]}]
weather:
  bad: {delay: 40ms, loss: {random: 0.1}}
links:
  - {between: [sh-gw, se-gw], weather: bad}
  - {from: sh1/ct, to: se1/ct, weather: bad}
tunnels:
  - name: direct
    from: {site: sh, peer: 198.19.1.2, lan: 10.1.0.0/24}
    to: {site: se, peer: 198.18.1.2, lan: 10.2.0.0/24}
measure: {duration: 10s, iperf: [{protocol: tcp, congestion: bbr}]}
script:
  - {at: 1s, kill: sh1}
  - {at: 2s, outage: {between: [sh1, se1], for: 3s}}
expect:
  - {tunnel: direct, loss: {min: 0.1, max: 0.3}}
`

// With a controller, what only a snapshot can say is refused, and what the
// controller needs is asked for.
func TestAControllerAndSnapshotsByHandExcludeOneAnother(t *testing.T) {
	with := func(from, to string) error {
		text := strings.Replace(good, "pops:\n", "control: {temporary: 198.19.1.99}\npops:\n", 1)
		text = strings.ReplaceAll(text, "overlay:", "region: r\n    overlay:")
		text = strings.Replace(text, "se1: {region: r\n    overlay:", "se1: {region: r, overlay:", 1)
		if from != "" && !strings.Contains(text, from) {
			t.Fatalf("the scenario has no %q:\n%s", from, text)
		}
		_, err := scenario.Parse("good.yaml", []byte(strings.Replace(text, from, to, 1)))
		return err
	}
	if err := with("", ""); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for _, c := range []struct{ name, from, to, want string }{
		{"routes", "region: r, overlay:", "region: r, routes: [{to: sh1}], overlay:", "pops.se1.routes"},
		{"repair", "region: r, overlay:", "region: r, repair: {cap: 2}, overlay:", "pops.se1.repair"},
		{"peers", "region: r, overlay:", "region: r, peers: [sh1], overlay:", "pops.se1.peers"},
		{"no region", "region: r, overlay:", "overlay:", "pops.se1.region"},
		{"its node's name", "se1: {", "controller: {", "pops.controller"},
		{"an address that somebody has", "198.19.1.99", "198.19.1.2", "control.temporary"},
		{"an unknown proof", "lan: 10.2.0.0/24}\n", "lan: 10.2.0.0/24}\n    auth: password\n", "tunnels[0].auth"},
		{"unknown fragments", "lan: 10.2.0.0/24}\n", "lan: 10.2.0.0/24}\n    fragments: tcp\n", "tunnels[0].fragments"},
		{"a rebind of no router", "kill: sh1", "rebind: {router: x}", "script[0].rebind.router"},
		{"a connection without agents", "lan: 10.2.0.0/24}\n", "lan: 10.2.0.0/24}\n    connection: office\n", "tunnels[0].connection"},
		{"charon without an agent", "kill: sh1", "kill_charon: sh", "script[0].kill_charon"},
		{"an attack from nobody", "kill: sh1", "attack: {from: x, to: 203.0.113.10, for: 1s}", "script[0].attack.from"},
		{"too little", "control: {", "control: {mbps: 1, ", "control.mbps"},
		{"a reload", "kill: sh1", "reload: {pop: sh1}", "script[0].reload"},
		{"a process that is none", "kill: sh1", "kill: sh2", "controller"},
		{"a command without a controller", "control: {temporary: 198.19.1.99}\npops:", "script: [{at: 1s, causeway: status}]\npops:", "script"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := with(c.from, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %s", err, c.want)
			}
		})
	}
	if err := with("kill: sh1", "kill: controller"); err != nil {
		t.Errorf("killing the controller: %v", err)
	}
	if err := with("kill: sh1", "causeway: status"); err != nil {
		t.Errorf("a command: %v", err)
	}
}

func TestAnEventCanBeDoneAgain(t *testing.T) {
	s, err := scenario.Parse("good.yaml", []byte(strings.Replace(good, "{at: 1s, kill: sh1}", "{at: 1s, kill: sh1, every: 500ms, times: 3}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for _, e := range s.Script {
		if e.Kill != "" {
			at = append(at, e.At.String())
		}
	}
	if got := strings.Join(at, " "); got != "1s 1.5s 2s" {
		t.Errorf("killed at %s", got)
	}
	for _, wrong := range []string{"every: 500ms", "times: 3", "every: 1s, times: 1", "every: 1s, times: 20000", "every: 1ms, times: 3"} {
		if _, err := scenario.Parse("good.yaml", []byte(strings.Replace(good, "kill: sh1", "kill: sh1, "+wrong, 1))); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func TestAMistakeIsRefusedWithItsPlace(t *testing.T) {
	if _, err := scenario.Parse("good.yaml", []byte(good)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"a misspelt field", "delay: 40ms", "dealy: 40ms", `bad.yaml:12:9: weather.bad.dealy`},
		{"a delay without a unit", "delay: 40ms", "delay: 40", `bad.yaml:12:16: weather.bad.delay`},
		{"a loss above one", "random: 0.1", "random: 1.1", `weather.bad.loss.random: found "1.1"`},
		{"an unknown site", "{site: se,", "{site: so,", `tunnels[0].to.site: found "so"; allowed: se, sh; did you mean "se"?`},
		{"an unknown place", "[sh-gw, se-gw]", "[sh-gw, se-wg]", `links[0].between[1]: found "se-wg"`},
		{"an unknown carrier", "sh1/ct", "sh1/cu", `links[1].from: found "cu"; allowed: ct`},
		{"two gateways with one address", "se: {gateway: 198.19.1.2}", "se: {gateway: 198.18.1.2}", `sites.sh.gateway: found "198.18.1.2"; allowed: an address that nobody else has`},
		{"a PoP that is not there", "kill: sh1", "kill: sh2", `script[0].kill: found "sh2"; allowed: se1, sh1`},
		{"two things at once", "kill: sh1", "kill: sh1, start: sh1", `script[0]: found "2 things to do"`},
		{"nothing to do", ", kill: sh1", "", `script[0]: found "0 things to do"`},
		{"what a PoP would refuse", "ports: [500, 4500]", "ports: [500, 500]", `pops.sh1.listeners[0].ports[1]`},
		{"an endpoint group nobody has", "endpoint_group: g", "endpoint_group: h", `pops.sh1.listeners[0].endpoint_group: found "h"`},
		{"an outage without an end", "for: 3s", "for: 0s", `script[1].outage.for`},
		{"a congestion control nobody has", "bbr", "vegas", `measure.iperf[0].congestion`},
		{"one LAN at both ends", "10.2.0.0/24", "10.1.0.0/24", `tunnels[0].to.lan`},
		{"min above max", "{min: 0.1, max: 0.3}", "{min: 0.4, max: 0.3}", `expect[0].loss`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatalf("the good scenario has no %q", c.old)
			}
			_, err := scenario.Parse("bad.yaml", []byte(text))
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "bad.yaml:") {
				t.Errorf("said:\n%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAnUnknownScenarioIsNamedWithThoseThereAre(t *testing.T) {
	for _, name := range []string{"seoul", "../lab", ""} {
		_, err := scenario.Load(scenarios.FS, name)
		if err == nil {
			t.Errorf("%q was found", name)
		} else if !strings.Contains(name, "/") && !strings.Contains(err.Error(), "seoul-shanghai") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := scenario.Parse("fuzz.yaml", text); err == nil {
			s.Snapshots(nil)
		}
	})
}

// The example in docs/lab.md must be a scenario that is taken.
func TestTheDocumentedExampleIsRight(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```yaml\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("docs/lab.md has no example")
	}
	if _, err := scenario.Parse("docs/lab.md", []byte(example)); err != nil {
		t.Error(err)
	}
	for _, name := range scenario.Names(scenarios.FS) {
		if !strings.Contains(string(doc), "| `"+name+"` |") {
			t.Errorf("docs/lab.md does not say what scenario %s shows", name)
		}
	}
}
