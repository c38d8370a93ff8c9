package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/agentlink"
	"causeway/internal/apiclient"
	"causeway/internal/control/store"
	"causeway/internal/report"
	"causeway/internal/resource"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
)

// gateway is a VPN gateway's agent without strongSwan: it says that all its
// connections are in one state.
type gateway struct {
	*agent
	state string
	told  []string // connections of its snapshot
}

func (g *gateway) Deliver(ctx context.Context, u agentlink.Update) error {
	var s snapshot.Gateway
	if strictyaml.Decode("snapshot", u.Snapshot, &s) == nil {
		g.mu.Lock()
		g.told = nil
		for _, c := range s.Connections {
			g.told = append(g.told, c.Name)
		}
		g.mu.Unlock()
	}
	return g.agent.Deliver(ctx, u)
}

func (g *gateway) Report(context.Context) agentlink.Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := report.Gateway{Name: "sha-gw", Daemon: report.Daemon{Up: true, Version: "6.0.4"}}
	for _, name := range g.told {
		r.Connections = append(r.Connections, report.VPNConnection{Name: name, State: g.state, Tunnels: []report.VPNTunnel{{Name: name, State: g.state}}})
	}
	text, _ := json.Marshal(r)
	return agentlink.Report{Applied: g.last, Build: "test", JSON: text}
}

const canary = "canary-Psk-8311"

func TestAVPNGatewayIsToldItsConnectionsAndTellsHowTheyAre(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	r.create(c, &resource.Region{Meta: resource.Meta{Name: "cn-shanghai"}})
	r.create(c, &resource.VPNGateway{Meta: resource.Meta{Name: "sha-gw"}, VPNGatewaySpec: resource.VPNGatewaySpec{
		Region: "cn-shanghai", Addresses: []resource.GatewayAddress{{Bind: netip.MustParseAddr("203.0.113.7")}}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}})
	r.create(c, &resource.CustomerGateway{Meta: resource.Meta{Name: "office"}, CustomerGatewaySpec: resource.CustomerGatewaySpec{Region: "cn-shanghai", Address: netip.MustParseAddr("192.0.2.7")}})
	connection := &resource.IPsecConnection{Meta: resource.Meta{Name: "c"}, IPsecConnectionSpec: resource.IPsecConnectionSpec{
		VPNGateway: "sha-gw", CustomerGateway: "office", RemoteNetworks: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")},
		Tunnels: []resource.IPsecTunnel{{Auth: vpn.Auth{PSK: canary}}}}}
	if made := r.create(c, connection).Object.(*resource.IPsecConnection); made.Tunnels[0].Auth.PSK != vpn.Mask {
		t.Errorf("the answer has %q in the place of the key", made.Tunnels[0].Auth.PSK.Reveal())
	}
	token := r.create(c, &resource.Token{TokenSpec: resource.TokenSpec{Gateway: "sha-gw"}}).Secret
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	credentials, err := agentlink.Enrol(ctx, agentlink.Enrolment{Controllers: []string{"https://" + r.address}, Token: token, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	if credentials.PoP != "gateway/sha-gw" {
		t.Fatalf("the token made %q", credentials.PoP)
	}
	g := &gateway{agent: newAgent(), state: report.IPsecEstablished}
	r.follow(credentials, g)
	var s snapshot.Gateway
	must(t, strictyaml.Decode("snapshot", g.next(t).Snapshot, &s))
	if s.Name != "sha-gw" || len(s.Connections) != 1 || s.Connections[0].Tunnels[0].Auth.PSK != canary {
		t.Errorf("the gateway is told %+v", s)
	}
	eventually(t, "the connection is up", func() bool {
		o, err := c.Get(context.Background(), resource.KindIPsecConnection, "c")
		must(t, err)
		return o.(*resource.IPsecConnection).Status.State == resource.IPsecEstablished
	})
	answer, err := c.Call(context.Background(), "VPNGatewayService", "GetVPNGatewayReport", &v1.GetRequest{Name: "sha-gw"})
	must(t, err)
	var told report.Gateway
	must(t, json.Unmarshal(answer.(*v1.VPNGatewayReport).GetJson(), &told))
	if told.Daemon.Version != "6.0.4" {
		t.Errorf("the report is %+v", told)
	}
	_, err = c.Act(context.Background(), resource.KindVPNGateway, "RevokeVPNGateway", &v1.RevokeVPNGatewayRequest{Name: "sha-gw", RequestId: apiclient.NewRequestID()})
	must(t, err)
	eventually(t, "the revoked gateway is not told anything more", func() bool { return r.server.controller.Connections("gateway/sha-gw") == 0 })
	notStored(t, r.store)
}

// notStored fails when the store has the canary anywhere.
func notStored(t *testing.T, s store.Store) {
	t.Helper()
	items, _, err := s.List(context.Background(), store.Range{}, 0)
	must(t, err)
	for _, item := range items {
		if bytes.Contains(item.Value, []byte("canary")) {
			t.Errorf("the store has the secret under %s", item.Key)
		}
	}
}
