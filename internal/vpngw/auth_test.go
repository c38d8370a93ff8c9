package vpngw

import (
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/vpn"
	"causeway/internal/vpn/daemontest/certtest"
)

func TestIKEv1ComesUpCarriesAndIsRenewed(t *testing.T) {
	f := newField(t)
	v1 := func(c *vpn.Connection) {
		tunnel := &c.Tunnels[0]
		tunnel.Local.ID, tunnel.Remote.ID = tunnel.Local.Address.String(), tunnel.Remote.Address.String() // by which main mode finds the key
		tunnel.IKE = vpn.IKE{Version: 1, Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 14}}}
		tunnel.ESP = vpn.ESP{Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 14}}}
	}
	f.a.write(f.snapshot(1, 1, v1))
	f.b.write(f.snapshot(2, 1, v1))
	f.b.start()
	f.a.start()
	g := f.a.until("the tunnel is up", up)
	if v := g.Connections[0].Tunnels[0].IKEVersion; v != 1 {
		t.Errorf("it is told as IKEv%d", v)
	}
	f.b.until("at the far end, too", up)
	flow := f.stream(t)
	flow.more(t, 20)
	must(t, f.a.client.Rekey(t.Context(), "far", false)) // another Quick Mode
	f.a.until("it has another child", func(now report.Gateway) bool {
		c := now.Connections[0].Tunnels[0].Children
		return up(now) && len(c) > 0 && c[len(c)-1].SPIIn != g.Connections[0].Tunnels[0].Children[0].SPIIn
	})
	flow.more(t, 20)
	flow.end(t)
	f.noCanary(t)
}

func TestCertificatesProveWhoIsThere(t *testing.T) {
	f := newField(t)
	authority, other := certtest.Authority(t, "lab"), certtest.Authority(t, "other")
	with := func(ca *certtest.CA, name string) func(*vpn.Connection) {
		certificate, key := ca.Issue(t, name, time.Hour)
		return func(c *vpn.Connection) {
			c.Tunnels[0].Auth = vpn.Auth{Method: vpn.Certificate, Certificate: certificate, PrivateKey: vpn.Secret(key), CA: authority.PEM()}
		}
	}
	f.a.write(f.snapshot(1, 1, with(authority, "s1.test")))
	f.b.write(f.snapshot(2, 1, with(authority, "s2.test")))
	f.b.start()
	f.a.start()
	f.a.until("the tunnel is up", up)
	f.b.until("at the far end, too", up)
	flow := f.stream(t)
	flow.more(t, 20)
	flow.end(t)

	// A certificate of an authority that the far end does not know: what stands goes,
	// and does not come back before there is a good one.
	bad := f.snapshot(1, 1, with(other, "s1.test"))
	bad.Version = 2
	f.a.write(bad)
	f.a.until("the tunnel is down, and the reason found", func(g report.Gateway) bool {
		return g.Snapshot.Version == 2 && g.Connections[0].State == report.IKENotEstablished && len(g.Findings) > 0
	})
	good := f.snapshot(1, 1, with(authority, "s1.test"))
	good.Version = 3
	f.a.write(good)
	f.a.until("with a new one of the right authority it is up again", func(g report.Gateway) bool { return g.Snapshot.Version == 3 && up(g) })
}
