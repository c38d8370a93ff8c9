package device

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causeway/internal/problem"
	"causeway/internal/vpn"
)

var update = flag.Bool("update", false, "write the golden files anew")

func prefixes(s ...string) (p []netip.Prefix) {
	for _, x := range s {
		p = append(p, netip.MustParsePrefix(x))
	}
	return p
}

const testKey = "Pn2f8Kd93msQ71xZr5Tb"

// branch is a branch office's end of a connection through an accelerator.
func branch() vpn.Connection {
	return vpn.Connection{
		Name: "seoul", ID: "vco-1", LocalNetworks: prefixes("10.1.0.0/24"), RemoteNetworks: prefixes("10.2.0.0/24"),
		Tunnels: []vpn.Tunnel{{
			Local:  vpn.End{Address: netip.MustParseAddr("198.18.1.2"), ID: "shanghai.example.com"},
			Remote: vpn.End{Address: netip.MustParseAddr("203.0.113.10"), ID: "seoul.example.com"},
			Auth:   vpn.Auth{PSK: testKey}, NATT: true, Accelerated: true, Rekeying: vpn.RekeyLocal,
			IKE: vpn.IKE{Lifetime: 8 * time.Hour},
		}},
	}
}

// cases are what every device is asked to write; where it cannot, the golden file says why.
var cases = map[string]func() vpn.Connection{
	"psk": branch,
	"ikev1": func() vpn.Connection {
		c := branch()
		t := &c.Tunnels[0]
		t.IKE = vpn.IKE{Version: 1, Lifetime: 8 * time.Hour, Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha1", DH: 2}}}
		t.ESP.Proposals = []vpn.Proposal{{Encryption: "aes128", Integrity: "sha1", DH: 2}}
		t.Local.ID, t.Remote.ID = "198.18.1.2", "203.0.113.10"
		return c
	},
	"gcm": func() vpn.Connection {
		c := branch()
		c.LocalNetworks = prefixes("10.1.0.0/24", "10.1.9.0/24")
		c.Tunnels[0].IKE.Proposals = []vpn.Proposal{{Encryption: "aes256gcm16", PRF: "sha384", DH: 20}}
		c.Tunnels[0].ESP.Proposals = []vpn.Proposal{{Encryption: "aes256gcm16", DH: 20}}
		c.Tunnels[0].Start = vpn.StartPeer
		return c
	},
	"two-tunnels": func() vpn.Connection {
		c := branch()
		c.Routing = vpn.RouteRouting
		c.RemoteNetworks = prefixes("10.2.0.0/24", "10.3.0.0/16")
		second := c.Tunnels[0]
		second.Remote.Address, second.Remote.ID, second.Auth.PSK = netip.MustParseAddr("203.0.113.11"), "seoul-2.example.com", "Zx8Lm3Vt62bnW90yHq4C"
		c.Tunnels = append(c.Tunnels, second)
		return c
	},
	"certificate": func() vpn.Connection {
		c := branch()
		c.Tunnels[0].Auth = vpn.Auth{Method: vpn.Certificate}
		return c
	},
}

func TestEveryDeviceWritesWhatItsGoldenFileSays(t *testing.T) {
	for _, d := range Devices() {
		for name, connection := range cases {
			t.Run(d.Name+"/"+name, func(t *testing.T) {
				config, err := Render(d.Name, connection(), Options{})
				var b strings.Builder
				if err != nil {
					b.WriteString("refused:\n" + err.Error() + "\n")
				} else {
					b.WriteString(config.Text())
					for _, w := range config.Warnings {
						b.WriteString("warning: " + w + "\n")
					}
				}
				golden := filepath.Join("testdata", d.Name, name+".golden")
				if *update {
					if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if b.String() != string(want) {
					t.Errorf("got:\n%s\nwant:\n%s\n(go test ./internal/vpn/device -update writes it anew)", b.String(), want)
				}
			})
		}
	}
}

func TestAnUnknownDeviceIsToldWhichThereAre(t *testing.T) {
	_, err := Render("fortigat", branch(), Options{})
	var u *Unknown
	if !errors.As(err, &u) || u.Nearest != "fortigate" || !strings.Contains(err.Error(), "mikrotik") || !strings.Contains(err.Error(), "did you mean fortigate?") {
		t.Errorf("got %v", err)
	}
	if _, err := Find("toaster-3000"); !errors.As(err, &u) || u.Nearest != "" {
		t.Errorf("got %v", err)
	}
	for alias, name := range map[string]string{"cisco": "cisco-ios", "ASA": "cisco-asa", "Junos": "juniper-srx", "swanctl": "strongswan", "aliyun": "alibaba"} {
		if d, err := Find(alias); err != nil || d.Name != name {
			t.Errorf("%s: got %s, %v", alias, d.Name, err)
		}
	}
}

func TestNamesAndAliasesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, d := range Devices() {
		for _, n := range append([]string{d.Name}, d.Aliases...) {
			if seen[n] != "" {
				t.Errorf("%s is %s and %s", n, seen[n], d.Name)
			}
			seen[n] = d.Name
		}
	}
}

func TestADeviceRefusesWhatItCannotDo(t *testing.T) {
	for _, c := range []struct {
		name, device string
		change       func(*vpn.Connection)
		path, says   string
	}{
		{"a cipher", "alibaba", func(c *vpn.Connection) { c.Tunnels[0].ESP.Proposals = []vpn.Proposal{{Encryption: "aes256gcm16"}} }, "tunnels[0].esp.proposals[0].encryption", "aes256, aes192"},
		{"a group", "alibaba", func(c *vpn.Connection) {
			c.Tunnels[0].IKE.Proposals = []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 19}}
		}, "tunnels[0].ike.proposals[0].dh", "14, 5, 2, 1"},
		{"a key with a question mark", "cisco-ios", func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = "abc?def" }, "tunnels[0].auth.psk", "'?'"},
		{"a key with a quote", "juniper-srx", func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = `abc"def` }, "tunnels[0].auth.psk", `'\"'`},
		{"a key that is too short", "fortigate", func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = "abc" }, "tunnels[0].auth.psk", "3 characters"},
		{"a key with a dash", "aws", func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = "abcdefgh-ij" }, "tunnels[0].auth.psk", "'-'"},
		{"a long lifetime", "aws", func(c *vpn.Connection) { c.Tunnels[0].IKE.Lifetime = 24 * time.Hour }, "tunnels[0].ike.lifetime", "set it to 28800s"},
		{"routes", "mikrotik", func(c *vpn.Connection) { c.Routing = vpn.RouteRouting }, "routing", "set routing: policy"},
		{"a peer by name", "cisco-ios", func(c *vpn.Connection) {
			c.Tunnels[0].Remote.Address, c.Tunnels[0].Remote.Domain = netip.Addr{}, "a.example"
		}, "tunnels[0].remote.domain", "remote.address"},
		{"IPv6", "h3c", func(c *vpn.Connection) {
			c.LocalNetworks = prefixes("fd00::/64")
			c.RemoteNetworks = prefixes("fd01::/64")
		}, "local_networks[0]", "IPv4"},
		{"two tunnels by policy", "vyos", func(c *vpn.Connection) { *c = cases["two-tunnels"](); c.Routing = vpn.PolicyRouting }, "routing", "routing: route"},
		{"two names that become one", "generic", func(c *vpn.Connection) {
			*c = cases["two-tunnels"]()
			c.Tunnels[0].Name, c.Tunnels[1].Name = "a.b", "a_b"
		}, "tunnels[1].name", "differ"},
		{"what nobody can do", "generic", func(c *vpn.Connection) { c.Tunnels[0].Remote.ID = "a b" }, "tunnels[0].remote.id", "domain name"},
	} {
		t.Run(c.name+" on "+c.device, func(t *testing.T) {
			connection := branch()
			c.change(&connection)
			_, err := Render(c.device, connection, Options{})
			var l problem.List
			if !errors.As(err, &l) || l[0].Path != c.path || !strings.Contains(l[0].String(), c.says) || l[0].Fix+l[0].Allowed == "" {
				t.Errorf("got %v, want %s … %s", err, c.path, c.says)
			}
			if key := connection.Tunnels[0].Auth.PSK.Reveal(); err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the refusal shows the key: %v", err)
			}
		})
	}
}

func TestABadInterfaceNameIsRefused(t *testing.T) {
	if _, err := Render("cisco-ios", branch(), Options{WAN: "Gi0/0\nno aaa"}); err == nil {
		t.Error("an interface name with a line break was taken")
	}
	if c, err := Render("cisco-ios", branch(), Options{WAN: "GigabitEthernet0/0"}); err != nil || !strings.Contains(c.Text(), "interface GigabitEthernet0/0\n") || strings.Contains(c.Text(), "<WAN") {
		t.Errorf("got %v, %v", c.Text(), err)
	}
}

func TestHiddenKeysAreNowhere(t *testing.T) {
	for _, d := range Devices() {
		config, err := Render(d.Name, branch(), Options{Hide: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range config.Files {
			if strings.Contains(f.Text, testKey) || f.Secret {
				t.Errorf("%s: %s is a secret, or shows the key", d.Name, f.Name)
			}
		}
		if config, err = Render(d.Name, branch(), Options{}); err != nil || !strings.Contains(config.Text(), testKey) {
			t.Errorf("%s: the key is missing: %v", d.Name, err)
		}
	}
}

func TestEveryConfigurationSaysWhatAnAcceleratorNeeds(t *testing.T) {
	for _, d := range Devices() {
		config, err := Render(d.Name, branch(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		text := config.Text()
		if d.Name != "aws" && (!strings.Contains(text, "shanghai.example.com") && d.Name != "cisco-asa" || !strings.Contains(text, "seoul.example.com") && d.Name != "cisco-asa") {
			t.Errorf("%s: identities are not explicit", d.Name)
		}
		if !strings.Contains(text, "203.0.113.10") {
			t.Errorf("%s: the peer is missing", d.Name)
		}
		if d.Name != "aws" && d.Name != "alibaba" && d.Name != "paloalto" && d.Name != "pfsense" && d.Name != "libreswan" && !strings.Contains(text, "1382") {
			t.Errorf("%s: the MSS of ESP in UDP is missing", d.Name)
		}
	}
}

func TestTheHowToHasEveryDevice(t *testing.T) {
	page, err := os.ReadFile("../../../docs/how-to/vpn-devices.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Devices() {
		if !strings.Contains(string(page), "\n## "+d.Name+"\n") {
			t.Errorf("docs/how-to/vpn-devices.md has no section for %s", d.Name)
		}
	}
}
