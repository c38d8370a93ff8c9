package vpn

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, x := range s {
		p = append(p, netip.MustParsePrefix(x))
	}
	return p
}

// good is a connection with nothing wrong in it.
func good() Connection {
	return Connection{
		Name: "seoul", LocalNetworks: prefixes("10.1.0.0/24"), RemoteNetworks: prefixes("10.2.0.0/24"),
		Tunnels: []Tunnel{{
			Local:  End{Address: netip.MustParseAddr("198.18.1.2"), ID: "sh.lab"},
			Remote: End{Address: netip.MustParseAddr("203.0.113.10"), ID: "se.lab"},
			Auth:   Auth{PSK: "0123456789abcdef0123456789abcdef"}, NATT: true, Accelerated: true, Rekeying: RekeyLocal,
		}},
	}
}

func with(change func(*Connection)) Connection {
	c := good()
	change(&c)
	return c
}

func tunnel(change func(*Tunnel)) Connection {
	return with(func(c *Connection) { change(&c.Tunnels[0]) })
}

func TestAGoodConnectionHasNothingWrong(t *testing.T) {
	if l := good().Validate(); len(l) != 0 {
		t.Errorf("got %v", l)
	}
	if f := Lint(good(), nil); len(f) != 0 {
		t.Errorf("got %+v", f)
	}
	if f := Mismatches(good(), with(func(c *Connection) { *c = Mirror(*c) })); len(f) != 0 {
		t.Errorf("a mirrored connection does not match: %+v", f)
	}
	if f := LintPair(good(), Mirror(good())); len(f) != 0 {
		t.Errorf("a mirrored connection does not go together: %+v", f)
	}
}

func TestDefaultsFillInAndChangeNothingElse(t *testing.T) {
	before := good()
	c := before.WithDefaults()
	if !reflect.DeepEqual(before, good()) {
		t.Errorf("WithDefaults wrote into its receiver: %+v", before)
	}
	tun := c.Tunnels[0]
	if c.Routing != PolicyRouting || tun.Name != "seoul" || tun.IKE.Version != 2 || tun.IKE.Lifetime != 24*time.Hour || tun.ESP.Lifetime != time.Hour ||
		tun.MTU != 1422 || tun.Window != 1024 || tun.DPD.Delay != 30*time.Second || tun.DPD.Timeout != 0 || tun.IKE.Proposals[0].PRF != "sha256" || !*tun.IKE.Fragmentation {
		t.Errorf("got %+v", c)
	}
	if again := c.WithDefaults(); !reflect.DeepEqual(again, c) {
		t.Errorf("defaults of defaults differ: %+v and %+v", again, c)
	}
	if DefaultIKE[0] != (Proposal{Encryption: "aes256", Integrity: "sha256", PRF: "sha256", DH: 14}) {
		t.Errorf("the defaults themselves were changed: %+v", DefaultIKE)
	}
	two := with(func(c *Connection) { c.Tunnels = append(c.Tunnels, c.Tunnels[0]) }).WithDefaults()
	if two.Tunnels[0].Name != "seoul-1" || two.Tunnels[1].Name != "seoul-2" {
		t.Errorf("two tunnels are called %s and %s", two.Tunnels[0].Name, two.Tunnels[1].Name)
	}
}

func TestEveryMistakeIsNamedByItsField(t *testing.T) {
	v1 := func(t *Tunnel) { t.IKE.Version, t.Local.ID, t.Remote.ID = 1, "198.18.1.2", "203.0.113.10" }
	for _, c := range []struct {
		name string
		c    Connection
		path string // of the first problem
		says string
	}{
		{"no name", with(func(c *Connection) { c.Name = "" }), "name", "missing"},
		{"a name with a line break", with(func(c *Connection) { c.Name = "a\nb" }), "name", "letters"},
		{"an unknown routing", with(func(c *Connection) { c.Routing = "polcy" }), "routing", "did you mean policy?"},
		{"no networks", with(func(c *Connection) { c.LocalNetworks = nil }), "local_networks", "routing: route"},
		{"host bits", with(func(c *Connection) { c.RemoteNetworks = prefixes("10.2.0.7/24") }), "remote_networks[0]", "write 10.2.0.0/24"},
		{"a network twice", with(func(c *Connection) { c.RemoteNetworks = prefixes("10.2.0.0/24", "10.2.0.0/24") }), "remote_networks[1]", "once"},
		{"a multicast network", with(func(c *Connection) { c.RemoteNetworks = prefixes("224.0.0.0/24") }), "remote_networks[0]", "unicast"},
		{"no tunnel", with(func(c *Connection) { c.Tunnels = nil }), "tunnels", "one or two"},
		{"three tunnels", with(func(c *Connection) { c.Tunnels = make([]Tunnel, 3) }), "tunnels", "one or two"},
		{"two tunnels alike", with(func(c *Connection) { c.Tunnels = append(c.Tunnels, c.Tunnels[0]) }), "tunnels[1].remote", "tell the two apart"},
		{"nowhere to go", tunnel(func(t *Tunnel) { t.Remote.Address = netip.Addr{} }), "tunnels[0].remote.address", "start: peer"},
		{"an address and a domain", tunnel(func(t *Tunnel) { t.Remote.Domain = "a.example" }), "tunnels[0].remote.domain", "not both"},
		{"mixed families", tunnel(func(t *Tunnel) { t.Remote.Address = netip.MustParseAddr("2001:db8::1") }), "tunnels[0].remote.address", "family"},
		{"an accelerated peer without identity", tunnel(func(t *Tunnel) { t.Remote.ID = "" }), "tunnels[0].remote.id", "not its own"},
		{"an identity with @ in front", tunnel(func(t *Tunnel) { t.Remote.ID = "@se.lab" }), "tunnels[0].remote.id", "without the @"},
		{"an identity with a quote", tunnel(func(t *Tunnel) { t.Remote.ID = `se"lab` }), "tunnels[0].remote.id", "domain name"},
		{"an address that is none", tunnel(func(t *Tunnel) { t.Remote.ID = "203.0.113.300" }), "tunnels[0].remote.id", "domain name"},
		{"the same identity twice", tunnel(func(t *Tunnel) { t.Remote.ID = "sh.lab" }), "tunnels[0].remote.id", "another"},
		{"IKE version 3", tunnel(func(t *Tunnel) { t.IKE.Version = 3 }), "tunnels[0].ike.version", "1 or 2"},
		{"main mode with names", tunnel(func(t *Tunnel) { t.IKE.Version = 1 }), "tunnels[0].local.id", "main mode"},
		{"two networks with IKEv1", with(func(c *Connection) { v1(&c.Tunnels[0]); c.LocalNetworks = prefixes("10.1.0.0/24", "10.3.0.0/24") }), "local_networks", "IKEv1"},
		{"aggressive IKEv2", tunnel(func(t *Tunnel) { t.IKE.Aggressive = true }), "tunnels[0].ike.aggressive", "no modes"},
		{"GCM for IKEv1 itself", tunnel(func(t *Tunnel) {
			v1(t)
			t.IKE.Proposals = []Proposal{{Encryption: "aes256gcm16", PRF: "sha256", DH: 14}}
		}), "tunnels[0].ike.proposals[0].encryption", "IKEv1"},
		{"an unknown cipher", tunnel(func(t *Tunnel) { t.ESP.Proposals = []Proposal{{Encryption: "AES-256", Integrity: "sha256"}} }), "tunnels[0].esp.proposals[0].encryption", "did you mean aes256?"},
		{"a hash by another name", tunnel(func(t *Tunnel) { t.ESP.Proposals = []Proposal{{Encryption: "aes256", Integrity: "SHA"}} }), "tunnels[0].esp.proposals[0].integrity", "did you mean sha1?"},
		{"integrity beside GCM", tunnel(func(t *Tunnel) { t.ESP.Proposals = []Proposal{{Encryption: "aes256gcm16", Integrity: "sha256"}} }), "tunnels[0].esp.proposals[0].integrity", "take it away"},
		{"no integrity beside CBC", tunnel(func(t *Tunnel) { t.ESP.Proposals = []Proposal{{Encryption: "aes256"}} }), "tunnels[0].esp.proposals[0].integrity", "missing"},
		{"no group for IKE", tunnel(func(t *Tunnel) { t.IKE.Proposals = []Proposal{{Encryption: "aes256", Integrity: "sha256"}} }), "tunnels[0].ike.proposals[0].dh", "missing"},
		{"group 22", tunnel(func(t *Tunnel) { t.ESP.Proposals = []Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 22}} }), "tunnels[0].esp.proposals[0].dh", "14"},
		{"a PRF for ESP", tunnel(func(t *Tunnel) {
			t.ESP.Proposals = []Proposal{{Encryption: "aes256", Integrity: "sha256", PRF: "sha256"}}
		}), "tunnels[0].esp.proposals[0].prf", "child"},
		{"a short IKE lifetime", tunnel(func(t *Tunnel) { t.IKE.Lifetime = time.Minute }), "tunnels[0].ike.lifetime", "5m–168h"},
		{"a long ESP lifetime", tunnel(func(t *Tunnel) { t.ESP.Lifetime = 48 * time.Hour }), "tunnels[0].esp.lifetime", "2m–24h"},
		{"a DPD timeout in IKEv2", tunnel(func(t *Tunnel) { t.DPD.Timeout = time.Minute }), "tunnels[0].dpd.timeout", "retransmissions"},
		{"a replay window of 16", tunnel(func(t *Tunnel) { t.Window = 16 }), "tunnels[0].replay_window", "32–2048"},
		{"an MTU of 100", tunnel(func(t *Tunnel) { t.MTU = 100 }), "tunnels[0].mtu", "576"},
		{"no key", tunnel(func(t *Tunnel) { t.Auth.PSK = "" }), "tunnels[0].auth.psk", "missing"},
		{"the mask instead of the key", tunnel(func(t *Tunnel) { t.Auth.PSK = Mask }), "tunnels[0].auth.psk", "the key itself"},
		{"a key of 101 characters", tunnel(func(t *Tunnel) { t.Auth.PSK = Secret(strings.Repeat("x", 101)) }), "tunnels[0].auth.psk", "101"},
		{"a key with a line break", tunnel(func(t *Tunnel) { t.Auth.PSK = "abc\ndef" }), "tunnels[0].auth.psk", "printable"},
		{"a key with a space behind", tunnel(func(t *Tunnel) { t.Auth.PSK = "abcdef " }), "tunnels[0].auth.psk", "space"},
		{"a certificate beside a key", tunnel(func(t *Tunnel) { t.Auth.CA = "x" }), "tunnels[0].auth.ca", "take it away"},
		{"certificates without any", tunnel(func(t *Tunnel) { t.Auth = Auth{Method: Certificate} }), "tunnels[0].auth.certificate", "missing"},
		{"a probe from outside", with(func(c *Connection) {
			c.HealthCheck = &HealthCheck{Source: netip.MustParseAddr("10.9.0.1"), Destination: netip.MustParseAddr("10.2.0.1")}
		}), "health_check.source", "local_networks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.c.Validate()
			if len(l) == 0 || l[0].Path != c.path || !strings.Contains(l[0].String(), c.says) {
				t.Errorf("got %v, want %s … %s", l, c.path, c.says)
			}
			for _, p := range l {
				if strings.Contains(p.String(), good().Tunnels[0].Auth.PSK.Reveal()) {
					t.Errorf("a problem shows the key: %v", p)
				}
			}
		})
	}
}

func TestRoutesAreJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Route
		path string
	}{
		{"everything as policy route", Route{Source: netip.MustParsePrefix("10.1.0.0/24"), Destination: netip.MustParsePrefix("0.0.0.0/0"), Connection: "a"}, "destination"},
		{"everything by destination", Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Connection: "a"}, ""},
		{"a weight of 50", Route{Destination: netip.MustParsePrefix("10.2.0.0/24"), Connection: "a", Weight: 50}, "weight"},
		{"a priority by destination", Route{Destination: netip.MustParsePrefix("10.2.0.0/24"), Connection: "a", Priority: 1}, "priority"},
		{"into nothing", Route{Destination: netip.MustParsePrefix("10.2.0.0/24")}, "connection"},
		{"nowhere", Route{Connection: "a"}, "destination"},
	} {
		l := c.r.Validate()
		if c.path == "" && len(l) != 0 || c.path != "" && (len(l) != 1 || l[0].Path != c.path) {
			t.Errorf("%s: got %v, want a problem at %q", c.name, l, c.path)
		}
	}
}

// The table that AWS publishes for its tunnels, and what follows from RFC 4303.
func TestInnerMTUIsThePublishedTable(t *testing.T) {
	for _, c := range []struct {
		natt     bool
		p        Proposal
		mtu, mss int
	}{
		{false, Proposal{Encryption: "aes128gcm16"}, 1446, 1406},
		{true, Proposal{Encryption: "aes256gcm16"}, 1438, 1398},
		{false, Proposal{Encryption: "aes128", Integrity: "sha1"}, 1438, 1398},
		{false, Proposal{Encryption: "aes256", Integrity: "sha256"}, 1438, 1398},
		{true, Proposal{Encryption: "aes256", Integrity: "sha1"}, 1422, 1382},
		{true, Proposal{Encryption: "aes128", Integrity: "sha256"}, 1422, 1382},
		{true, Proposal{Encryption: "aes256", Integrity: "sha512"}, 1406, 1366},
		{true, Proposal{Encryption: "chacha20poly1305"}, 1438, 1398},
		{true, Proposal{Encryption: "3des", Integrity: "md5"}, 1438, 1398},
	} {
		if mtu, mss := InnerMTU(1500, c.natt, c.p); mtu != c.mtu || mss != c.mss {
			t.Errorf("%+v, NAT-T %v: got %d/%d, want %d/%d", c.p, c.natt, mtu, mss, c.mtu, c.mss)
		}
	}
}

// What InnerMTU promises, checked by building the packet: the largest fits, one byte more does not.
func TestInnerMTUIsExact(t *testing.T) {
	outer := func(inner int, natt bool, p Proposal) int {
		s := shapeOf(p)
		n := inner + 2
		for n%s.block != 0 {
			n++
		}
		n += 20 + 8 + s.iv + s.icv
		if natt {
			n += 8
		}
		return n
	}
	for path := 600; path <= 1500; path++ {
		for _, c := range Ciphers {
			for _, h := range Hashes {
				for _, natt := range []bool{false, true} {
					p := Proposal{Encryption: c.Name, Integrity: h.Name}
					if c.AEAD {
						p.Integrity = ""
					}
					mtu, _ := InnerMTU(path, natt, p)
					if outer(mtu, natt, p) > path || outer(mtu+1, natt, p) <= path {
						t.Fatalf("%+v over %d, NAT-T %v: %d is not the most", p, path, natt, mtu)
					}
				}
			}
		}
	}
}

func find1(f []Finding, code Code) (Finding, bool) {
	for _, x := range f {
		if x.Code == code {
			return x, true
		}
	}
	return Finding{}, false
}

func TestLintFindsWhatWillBeRegretted(t *testing.T) {
	for _, c := range []struct {
		name  string
		c     Connection
		code  Code
		field string
		fix   string
	}{
		{"the tutorial's network", with(func(c *Connection) { c.RemoteNetworks = prefixes("172.32.0.0/16") }), PublicNetwork, "remote_networks[0]", "172.16.0.0 to 172.31.255.255"},
		{"a network that is half private", with(func(c *Connection) { c.LocalNetworks = prefixes("172.0.0.0/8") }), PublicNetwork, "local_networks[0]", "userCidrs"},
		{"overlapping sides", with(func(c *Connection) { c.RemoteNetworks = prefixes("10.1.0.0/16") }), OverlappingNetworks, "remote_networks[0]", "Renumber"},
		{"the peer inside its network", with(func(c *Connection) { c.RemoteNetworks = prefixes("203.0.113.0/24") }), OverlappingNetworks, "tunnels[0].remote.address", "past the tunnel"},
		{"no NAT-T before an accelerator", tunnel(func(t *Tunnel) { t.NATT = false }), NatTMissing, "tunnels[0].nat_t", "nat_t: true"},
		{"ESP keys older than IKE's", tunnel(func(t *Tunnel) { t.ESP.Lifetime, t.IKE.Lifetime = 8*time.Hour, time.Hour }), LifetimeMismatch, "tunnels[0].esp.lifetime", "at most"},
		{"3DES", tunnel(func(t *Tunnel) { t.ESP.Proposals = []Proposal{{Encryption: "3des", Integrity: "sha256", DH: 14}} }), WeakAlgorithm, "tunnels[0].esp.proposals[0].encryption", "aes256"},
		{"group 2", tunnel(func(t *Tunnel) { t.IKE.Proposals = []Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 2}} }), WeakAlgorithm, "tunnels[0].ike.proposals[0].dh", "14"},
		{"a guessable key", tunnel(func(t *Tunnel) { t.Auth.PSK = "123456" }), WeakAlgorithm, "tunnels[0].auth.psk", "openssl"},
		{"a small replay window", tunnel(func(t *Tunnel) { t.Window = 32 }), ReplayWindowTooSmall, "tunnels[0].replay_window", "1024"},
		{"a large MTU", tunnel(func(t *Tunnel) { t.MTU = 1500 }), PathMTUTooSmall, "tunnels[0].mtu", "1422"},
		{"either end renews", tunnel(func(t *Tunnel) { t.Rekeying = RekeyEither }), RekeyCollision, "tunnels[0].rekeying", "one end"},
		{"main mode behind an accelerator", tunnel(func(t *Tunnel) { t.IKE.Version, t.Local.ID, t.Remote.ID = 1, "198.18.1.2", "203.0.113.10" }), PeerIdMismatch, "tunnels[0].ike.version", "version: 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if l := c.c.Validate(); len(l) != 0 {
				t.Fatalf("refused before it could be judged: %v", l)
			}
			x, found := find1(Lint(c.c, nil), c.code)
			if !found || x.Field != c.field || !strings.Contains(x.Fix, c.fix) || x.Connection != "seoul" {
				t.Errorf("got %+v, want %s at %s, fix … %s", x, c.code, c.field, c.fix)
			}
		})
	}
	if f := Lint(with(func(c *Connection) { c.RemoteNetworks = prefixes("172.32.0.0/16") }), prefixes("172.32.0.0/12")); len(f) != 0 {
		t.Errorf("a network among the user CIDRs is still complained of: %+v", f)
	}
}

func TestMismatchesSayBothValues(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Connection) // of the far end
		code   Code
		a, b   string
	}{
		{"another key", func(c *Connection) { c.Tunnels[0].Auth.PSK = "ffffffffffffffffffffffffffffffff" }, PskMismatch, "a key", "another key"},
		{"another cipher", func(c *Connection) { c.Tunnels[0].IKE.Proposals[0].Encryption = "aes128" }, EncryptionAlgorithmMismatch, "aes256", "aes128"},
		{"another hash", func(c *Connection) { c.Tunnels[0].ESP.Proposals[0].Integrity = "sha1" }, AuthenticationAlgorithmMismatch, "sha256", "sha1"},
		{"another group", func(c *Connection) { c.Tunnels[0].IKE.Proposals[0].DH = 2 }, DhGroupMismatch, "group 14", "group 2"},
		{"no forward secrecy", func(c *Connection) { c.Tunnels[0].ESP.Proposals[0].DH = 0 }, PfsMismatch, "group 14", "none"},
		{"another identity", func(c *Connection) { c.Tunnels[0].Local.ID = "other.lab" }, PeerIdMismatch, "se.lab", "other.lab"},
		{"another network", func(c *Connection) { c.LocalNetworks = prefixes("10.9.0.0/24") }, TrafficSelectorMismatch, "10.2.0.0/24", "10.9.0.0/24"},
		{"another version", func(c *Connection) { c.Tunnels[0].IKE.Version = 1 }, IkeVersionMismatch, "2", "1"},
		{"no NAT-T", func(c *Connection) { c.Tunnels[0].NATT = false }, NatTMismatch, "true", "false"},
		{"both wait", func(c *Connection) { c.Tunnels[0].Start = StartPeer }, NoResponse, "peer", "peer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := good(), Mirror(good())
			if c.code == NoResponse {
				near.Tunnels[0].Start = StartPeer
			}
			c.change(&far)
			f := Mismatches(near, far)
			if len(f) == 0 || f[0].Code != c.code || f[0].Local != c.a || f[0].Remote != c.b {
				t.Errorf("got %+v, want %s: %s and %s", f, c.code, c.a, c.b)
			}
		})
	}
}

func TestLintPairFindsLifetimesThatDiffer(t *testing.T) {
	far := Mirror(good())
	far.Tunnels[0].ESP.Lifetime = 24 * time.Hour
	f := LintPair(good(), far)
	if x, found := find1(f, LifetimeMismatch); !found || x.Local != "1h" || x.Remote != "24h" || x.Severity != Warn {
		t.Errorf("got %+v", f)
	}
	far.Tunnels[0].Rekeying = RekeyLocal
	if _, found := find1(LintPair(good(), far), RekeyCollision); !found {
		t.Error("two ends that both renew first are not named")
	}
}

func TestMirrorTwiceIsTheSame(t *testing.T) {
	c := tunnel(func(t *Tunnel) { t.Accelerated = false }).WithDefaults()
	if got := Mirror(Mirror(c)); !reflect.DeepEqual(got, c) {
		t.Errorf("got  %+v\nwant %+v", got, c)
	}
	m := Mirror(c)
	if m.Tunnels[0].Start != StartPeer || m.Tunnels[0].Rekeying != RekeyRemote || m.Tunnels[0].Local.ID != "se.lab" || m.LocalNetworks[0] != c.RemoteNetworks[0] {
		t.Errorf("got %+v", m)
	}
	if a := Mirror(good()).Tunnels[0]; a.Local.Address.IsValid() || a.Remote.Address.IsValid() {
		t.Errorf("the far end of an accelerated tunnel was given addresses that it has not: %+v", a)
	}
}

func TestIdentitiesHaveForms(t *testing.T) {
	for id, want := range map[string]IDKind{
		"198.51.100.7": IDAddress, "2001:db8::1": IDAddress, "sh.lab": IDDomain, "branch-1": IDDomain, "a@b.example": IDMail, "C=KR, O=Example Ltd., CN=seoul": IDName,
		"": IDUnknown, "a b": IDUnknown, "@x": IDUnknown, "CN=a\nb": IDUnknown, "1.2.3": IDUnknown, "x/y": IDUnknown, "CN=a;b": IDUnknown, "fe80::1%eth0": IDUnknown,
	} {
		if got := IDKindOf(id); got != want {
			t.Errorf("%q: got form %d, want %d", id, got, want)
		}
	}
}

func FuzzValidateNeverFails(f *testing.F) {
	f.Add("seoul", "sh.lab", "key", "aes256", "10.1.0.0/24", 1)
	f.Add("", "", "", "", "", 0)
	f.Fuzz(func(t *testing.T, name, id, key, cipher, network string, n int) {
		p, _ := netip.ParsePrefix(network)
		c := Connection{Name: name, LocalNetworks: []netip.Prefix{p}, RemoteNetworks: []netip.Prefix{p},
			Tunnels: []Tunnel{{Local: End{ID: id}, Remote: End{ID: id, Domain: name}, Auth: Auth{PSK: Secret(key), Certificate: key, Method: AuthMethod(name)},
				IKE: IKE{Version: n, Proposals: []Proposal{{Encryption: cipher, DH: n}}}, ESP: ESP{Lifetime: time.Duration(n)}}}}
		_ = c.Validate().Error()
		Lint(c, []netip.Prefix{p})
		Mismatches(c, Mirror(c))
		LintPair(c, Mirror(c))
	})
}
