package wan

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/weather"
)

func TestConfigurationsCrossJSON(t *testing.T) {
	loss := 0.4
	c := Config{Seed: 7, Control: "/run/x/wan.sock", Tick: 200 * time.Microsecond, Priority: -1, Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{
		Delay: 40 * ms, Loss: weather.Loss{Random: 0.2, Burst: &weather.Gilbert{Good: 30 * ms, Bad: ms, LossBad: 1}}, Rate: 50 * weather.Mbit,
	}, "100.64.0.1")}
	c.Links[0].Schedule = weather.Schedule{Steps: []weather.Step{{At: time.Second, Over: time.Second, Loss: &loss}}}
	for i := range c.Nodes {
		c.Nodes[i].Namespace = "cw-lab-x"
	}
	b, err := json.Marshal(c)
	must(t, err)
	got, err := ReadConfig(bytes.NewReader(b))
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%s\nbecame %+v, %v\nwant %+v", b, got, err, c)
	}
}

func TestWrongConfigurationsAreRefusedByField(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"nodes: found 0, want 1 to 64 nodes":                                            func(c *Config) { c.Nodes = nil },
		`nodes[1].name: found "sh", want a name that no other node has`:                 func(c *Config) { c.Nodes[1].Name = "sh" },
		`nodes[0].namespace: found ""`:                                                  func(c *Config) { c.Nodes[0].Namespace = "" },
		"nodes[0].mtu: found 100, want 576 to 65535 bytes":                              func(c *Config) { c.Nodes[0].MTU = 100 },
		"nodes[2].addrs: found none":                                                    func(c *Config) { c.Nodes[2].Addrs = nil },
		"nodes[2].addrs: found 224.0.0.1, want plain unicast addresses":                 func(c *Config) { c.Nodes[2].Addrs[0] = netip.MustParseAddr("224.0.0.1") },
		"nodes[2].addrs: found 198.19.1.2, want an address of its own; se has this one": func(c *Config) { c.Nodes[2].Addrs[0] = netip.MustParseAddr(se4) },
		`links[0].from: found "cn", want a node's name or address`:                      func(c *Config) { c.Links[0].From = "cn" },
		`links[1].to: found "se" again, want each pair once`:                            func(c *Config) { c.Links[1] = c.Links[0] },
		"links[0].profile.delay: found -1ns":                                            func(c *Config) { c.Links[0].Profile.Delay = -1 },
		"links[0].schedule.steps[0].at: found 0s, want at least one change":             func(c *Config) { c.Links[0].Schedule.Steps = []weather.Step{{}} },
		"links[0].hops: found invalid IP":                                               func(c *Config) { c.Links[0].Hops = []netip.Addr{{}} },
		"tick: found 1s, want 20µs to 5ms":                                              func(c *Config) { c.Tick = time.Second },
		"priority: found 100":                                                           func(c *Config) { c.Priority = 100 },
		"buffers: found 1,":                                                             func(c *Config) { c.Buffers = 1 },
	} {
		c := Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{})}
		for i := range c.Nodes {
			c.Nodes[i].Namespace = "cw-lab-x"
		}
		must(t, c.Validate())
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, text := range []string{`{"seed": 1, "speed": 2}`, `{`, `{"tick": "1ms"}`} {
		if _, err := ReadConfig(strings.NewReader(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
