package vpn_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway/internal/vpn"
	"causeway/internal/vpn/daemontest/certtest"
)

func TestCertificatesAreJudged(t *testing.T) {
	ca := certtest.Authority(t, "a")
	cert, key := ca.Issue(t, "sh.lab", time.Hour)
	_, foreign := ca.Issue(t, "other.lab", time.Hour)
	good := vpn.Auth{Method: vpn.Certificate, Certificate: cert, PrivateKey: vpn.Secret(key), CA: ca.PEM()}
	for _, c := range []struct {
		name   string
		change func(*vpn.Tunnel)
		path   string // of the only problem; "" is none
		says   string
	}{
		{"all is well", func(*vpn.Tunnel) {}, "", ""},
		{"a distinguished name is taken as it is", func(t *vpn.Tunnel) { t.Local.ID = "CN=sh.lab" }, "", ""},
		{"another identity", func(t *vpn.Tunnel) { t.Local.ID = "seoul.lab" }, "certificate", "sh.lab"},
		{"an address that is not in it", func(t *vpn.Tunnel) { t.Local.ID = "198.18.1.2" }, "certificate", "issued anew"},
		{"another's key", func(t *vpn.Tunnel) { t.Auth.PrivateKey = vpn.Secret(foreign) }, "private_key", "another certificate"},
		{"no key", func(t *vpn.Tunnel) { t.Auth.PrivateKey = "" }, "private_key", "missing"},
		{"a certificate as key", func(t *vpn.Tunnel) { t.Auth.PrivateKey = vpn.Secret(cert) }, "private_key", "no private key"},
		{"an encrypted key", func(t *vpn.Tunnel) {
			t.Auth.PrivateKey = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
		}, "private_key", "openssl pkey"},
		{"rubbish as authority", func(t *vpn.Tunnel) { t.Auth.CA = "rubbish" }, "ca", "BEGIN CERTIFICATE"},
		{"the other end's certificate as authority", func(t *vpn.Tunnel) { t.Auth.CA = cert }, "ca", "CA: true"},
		{"a broken certificate", func(t *vpn.Tunnel) {
			t.Auth.Certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}, "certificate", "cannot be read"},
		{"a key besides", func(t *vpn.Tunnel) { t.Auth.PSK = "secret-that-nobody-sees" }, "psk", "take it away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection := vpn.Connection{Name: "seoul", LocalNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}, RemoteNetworks: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24")},
				Tunnels: []vpn.Tunnel{{Local: vpn.End{ID: "sh.lab"}, Remote: vpn.End{Address: netip.MustParseAddr("203.0.113.10"), ID: "se.lab"}, Auth: good}}}
			c.change(&connection.Tunnels[0])
			l := connection.Validate()
			if c.path == "" && len(l) == 0 {
				return
			}
			if len(l) != 1 || l[0].Path != "tunnels[0].auth."+c.path || !strings.Contains(l[0].String(), c.says) {
				t.Errorf("got %v, want a problem at %q … %s", l, c.path, c.says)
			}
			if strings.Contains(l.Error(), "secret-that") || strings.Contains(l.Error(), strings.Split(key, "\n")[1]) {
				t.Errorf("a secret is shown: %v", l)
			}
		})
	}
}
