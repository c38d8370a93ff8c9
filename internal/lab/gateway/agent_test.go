package gateway

import (
	"net/netip"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
)

func TestAnAgentIsToldWhatStrongSwanWouldBe(t *testing.T) {
	c := Connection{
		Name: "accelerated", Local: netip.MustParseAddr("198.18.1.2"), Remote: netip.MustParseAddr("203.0.113.10"),
		LocalID: "sh.lab", RemoteID: "se.lab", PSK: "lab-0123456789abcdef", Restart: true, Timers: Timers{DPD: 5 * time.Second},
		LocalNets: []netip.Prefix{netip.MustParsePrefix("10.1.1.0/24")}, RemoteNets: []netip.Prefix{netip.MustParsePrefix("10.2.1.0/24")},
	}
	second := c
	second.Name, second.Remote, second.Restart = "standby", netip.MustParseAddr("203.0.113.12"), false
	third := c
	third.Name = "alone"
	s, err := snapshotOf(Config{Name: "sh-gw", Connections: []Connection{c, second, third}}, map[string]string{"accelerated": "office", "standby": "office"})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Connections) != 2 || len(s.Connections[0].Tunnels) != 2 || s.Connections[0].Name != "office" || s.Connections[1].Name != "alone" {
		t.Fatalf("connections: %+v", s.Connections)
	}
	first := s.Connections[0].Tunnels[0]
	if first.Start != vpn.StartNow || s.Connections[0].Tunnels[1].Start != vpn.StartPeer || first.DPD.Delay != 5*time.Second || first.Remote.Address != c.Remote {
		t.Errorf("the first tunnel: %+v", first)
	}
	// What is written is what an agent reads.
	text, err := strictyaml.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	var back snapshot.Gateway
	if err := strictyaml.Decode("gateway.yaml", text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Connections[0].Tunnels[0].Auth.PSK != vpn.Secret(c.PSK) {
		t.Error("the PSK does not get through the file")
	}
}

func TestTunnelsAreFoundInAnAgentsReport(t *testing.T) {
	g := report.Gateway{Connections: []report.VPNConnection{{Tunnels: []report.VPNTunnel{{Name: "a", Ups: 1}, {Name: "b", Ups: 2}}}}}
	if tunnelIn(g, "b").Ups != 2 || tunnelIn(g, "c").Ups != 0 {
		t.Error("the wrong tunnel")
	}
}
