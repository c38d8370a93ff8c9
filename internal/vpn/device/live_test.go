package device

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"causeway/internal/vpn"
	"causeway/internal/vpn/daemontest"
	"causeway/internal/vpn/daemontest/certtest"
)

// between is c joining the two hosts of daemontest, as both ends have it. Nobody
// begins by himself: the test does.
func between(c vpn.Connection) (near, far vpn.Connection) {
	t := &c.Tunnels[0]
	t.Local.Address, t.Remote.Address = netip.MustParseAddr("198.18.1.2"), netip.MustParseAddr("198.18.1.3")
	if t.IKE.Version == 1 {
		t.Local.ID, t.Remote.ID = "198.18.1.2", "198.18.1.3"
	}
	t.Accelerated, t.Start = false, vpn.StartPeer
	far = vpn.Mirror(c)
	far.Tunnels[0].Start = vpn.StartPeer
	return c, far
}

// nasty is a key with everything printable in it that quoting could fall over.
const nasty = `0x"1' \$#{}%;2=<&>` + "`" + `|~!?*,`

// written are the cases that go through real daemons.
func written() map[string]vpn.Connection {
	all := map[string]vpn.Connection{}
	for _, name := range []string{"psk", "ikev1", "gcm", "certificate"} {
		all[name] = cases[name]()
	}
	c := branch()
	c.Tunnels[0].Auth.PSK = nasty
	all["a nasty key"] = c
	c = branch()
	c.Tunnels[0].Local.ID, c.Tunnels[0].Remote.ID = "ops@shanghai.example.com", "10.99.0.1"
	all["identities of other forms"] = c
	return all
}

func load(t *testing.T, h *daemontest.Host, c vpn.Connection) {
	t.Helper()
	config, err := Render("strongswan", c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range config.Files {
		switch {
		case strings.HasSuffix(f.Name, ".conf"):
			h.Write("swanctl.conf", f.Text)
		case strings.HasSuffix(f.Name, ".nft"):
			h.Write("clamp.nft", f.Text)
			h.MustRun("nft", "-f", h.Dir+"/clamp.nft")
		case strings.HasSuffix(f.Name, ".pem"):
			h.Write(strings.TrimPrefix(f.Name, "/etc/swanctl/"), f.Text)
		default:
			t.Errorf("a file that nobody loads: %s", f.Name)
		}
	}
	h.Charon("")
}

func TestStrongswanConfigurationsBringTunnelsUp(t *testing.T) {
	for name, c := range written() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := daemontest.Pair(t)
			near, far := between(c)
			if near.Tunnels[0].Auth.Method == vpn.Certificate {
				give(t, &near, &far)
				if l := near.Validate(); len(l) != 0 {
					t.Errorf("certificates that work are refused: %v", l)
				}
			}
			load(t, a, near)
			load(t, b, far)
			if err := a.Initiate("seoul", daemontest.Patience); err != nil {
				t.Fatal(err)
			}
			a.Reach(b)
			b.Reach(a)
			throughTheTunnel(t, a)
		})
	}
}

// throughTheTunnel checks that what has been reached was reached by ESP in UDP.
func throughTheTunnel(t *testing.T, a *daemontest.Host) {
	t.Helper()
	daemontest.Until(t, func() error {
		if out := a.MustRun("swanctl", "--list-sas", "--raw"); !strings.Contains(out, "encap=yes") || !regexp.MustCompile(`packets-in=[1-9]`).MatchString(out) {
			return fmt.Errorf("no packet of ESP in UDP has come: %s", out)
		}
		return nil
	})
}

// give issues certificates to both ends.
func give(t *testing.T, near, far *vpn.Connection) {
	ca := certtest.Authority(t, "test")
	for _, c := range []*vpn.Connection{near, far} {
		cert, key := ca.Issue(t, c.Tunnels[0].Local.ID, time.Hour)
		c.Tunnels[0].Auth = vpn.Auth{Method: vpn.Certificate, Certificate: cert, PrivateKey: vpn.Secret(key), CA: ca.PEM()}
	}
}

// What libreswan says when its child SA is up, and when the kernel could not take it.
const (
	carried        = "established Child SA"
	kernelHasNoESP = "netlink response for Add SA"
)

// TestLibreswanConfigurationsNegotiate goes as far as this kernel allows:
// libreswan does ESP in the kernel only, and where that has none, installing the
// keys fails after everything has been agreed on. That strongSwan at the other
// end has its child SA proves the configuration; where the kernel can,
// packets have to get through as well.
func TestLibreswanConfigurationsNegotiate(t *testing.T) {
	for name, c := range written() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.Tunnels[0].IKE.Version == 1 { // libreswan has given up group 2
				c.Tunnels[0].IKE.Proposals[0].DH, c.Tunnels[0].ESP.Proposals[0].DH = 14, 14
			}
			a, b := daemontest.Pair(t)
			near, far := between(c)
			if near.Tunnels[0].Auth.Method == vpn.Certificate {
				give(t, &near, &far)
			}
			config, err := Render("libreswan", far, Options{})
			if err != nil {
				t.Fatal(err)
			}
			setup := "config setup\n"
			if far.Tunnels[0].IKE.Version == 1 {
				setup += "    ikev1-policy=accept\n" // see Notes
			}
			b.Write("ipsec.conf", setup+"\n"+config.Files[0].Text)
			b.Write("ipsec.secrets", "")
			for _, f := range config.Files[1:] {
				name := strings.TrimPrefix(f.Name, "/etc/ipsec.d/")
				if strings.HasSuffix(name, ".secrets") {
					name = "ipsec.secrets"
				}
				b.Write(name, f.Text)
			}
			load(t, a, near)
			b.InitNSS()
			if far.Tunnels[0].Auth.Method == vpn.Certificate {
				b.MustRun("env", "NSS=sql:"+b.Dir+"/nss", "PATH="+daemontest.NSSTools()+":"+os.Getenv("PATH"), "sh", b.Dir+"/seoul-import.sh", b.Dir)
			}
			b.Pluto()
			if said := b.AddConnection("seoul"); strings.Contains(said, "warning") || strings.Contains(said, "failed") {
				t.Errorf("libreswan says: %s", said)
			}
			b.Await(fmt.Sprintf(": added IKEv%d connection", far.Tunnels[0].IKE.Version))
			b.Whack("--name", "seoul", "--initiate", "--asynchronous")
			a.Await("] established between 198.18.1.2")
			if far.Tunnels[0].IKE.Version == 2 { // in IKEv1 the initiator installs before it sends the last message
				a.Await("established with SPIs")
			}
			daemontest.Until(t, func() error {
				for _, word := range []string{carried, kernelHasNoESP} {
					if strings.Contains(b.Log(), word) {
						return nil
					}
				}
				return fmt.Errorf("libreswan neither has its child SA nor says that the kernel has no ESP:\n%s", b.Log())
			})
			if strings.Contains(b.Log(), carried) && !strings.Contains(b.Log(), kernelHasNoESP) {
				b.Run("ip", "route", "add", "10.1.0.0/16", "via", a.Outer.String()) // where libreswan has not made it
				b.Reach(a)
				throughTheTunnel(t, a)
			}
		})
	}
}

// Two tunnels with routes need interfaces that not every kernel has; that the
// daemons take what is written is tried everywhere.
func TestDaemonsTakeTwoTunnels(t *testing.T) {
	a, b := daemontest.Pair(t)
	c := cases["two-tunnels"]()
	for i := range c.Tunnels {
		c.Tunnels[i].Start = vpn.StartPeer
	}
	config, err := Render("strongswan", c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range config.Files {
		switch {
		case strings.HasSuffix(f.Name, ".conf"):
			a.Write("swanctl.conf", f.Text)
		case strings.HasSuffix(f.Name, ".nft"):
			a.Write("clamp.nft", f.Text)
			a.MustRun("nft", "-f", a.Dir+"/clamp.nft")
		case strings.HasSuffix(f.Name, ".sh"):
			a.MustRun("sh", "-n", "-c", f.Text)
		}
	}
	a.Charon("")
	for _, n := range []string{"seoul-1", "seoul-2"} {
		a.Await("added vici connection: " + n)
	}
	if config, err = Render("libreswan", c, Options{}); err != nil {
		t.Fatal(err)
	}
	b.Write("ipsec.conf", "config setup\n\n"+strings.ReplaceAll(config.Files[0].Text, "198.18.1.2", b.Outer.String()))
	b.Write("ipsec.secrets", config.Files[1].Text)
	b.InitNSS()
	b.Pluto()
	for _, n := range []string{"seoul-1", "seoul-2"} {
		if said := b.AddConnection(n); strings.Contains(said, "warning") {
			t.Errorf("libreswan says: %s", said)
		}
		b.Await(`"` + n + `": `)
		log := b.Log()
		if !strings.Contains(log, `"`+n+`": added IKEv2 connection`) && !strings.Contains(log, `"`+n+`": failed to add connection: ipsec-interface=`) {
			t.Errorf("libreswan did not take %s, and not for want of interfaces in the kernel:\n%s", n, log)
		}
	}
}
