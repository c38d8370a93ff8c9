package vpn

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// private are the networks that routers treat as private without being told:
// RFC 1918, RFC 6598 and RFC 4193.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
}

// Lint says what in c is allowed and will probably be regretted, before anything
// is applied. userCIDRs are networks outside the private ranges that this side
// has been told are private all the same. c's defaults are filled in first; what
// Validate refuses is not said again.
func Lint(c Connection, userCIDRs []netip.Prefix) []Finding {
	c = c.WithDefaults()
	var f []Finding
	f = append(f, lintPublic("local_networks", c.LocalNetworks, userCIDRs)...)
	f = append(f, lintPublic("remote_networks", c.RemoteNetworks, userCIDRs)...)
	f = append(f, lintOverlap(c)...)
	for i, t := range c.Tunnels {
		for _, x := range lintTunnel(t) {
			x.Tunnel = t.Name
			x.Field = fmt.Sprintf("tunnels[%d].%s", i, x.Field)
			f = append(f, x)
		}
	}
	f = append(f, lintTwo(c)...)
	return stamped(f, c)
}

func stamped(f []Finding, c Connection) []Finding {
	for i := range f {
		f[i].Connection = c.Name
	}
	slices.SortStableFunc(f, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return f
}

// rank is 0 for the worst.
func (s Severity) rank() int {
	switch s {
	case Critical:
		return 0
	case Warn:
		return 1
	}
	return 2
}

// lintPublic finds networks that routers take for the Internet's: the tunnel
// comes up, and packets for them leave by another door.
func lintPublic(field string, nets, userCIDRs []netip.Prefix) []Finding {
	var f []Finding
	for i, n := range nets {
		if !n.IsValid() || n.Bits() == 0 || inside(n, private) || inside(n, userCIDRs) {
			continue
		}
		fix := fmt.Sprintf("If the network is really used behind the tunnel, add %s to the user CIDRs of the gateway (userCidrs), so that it is routed as a private one.", n)
		if near := privateLike(n); near != "" {
			fix += " If it was chosen by mistake, renumber it: " + near
		}
		f = append(f, Finding{Code: PublicNetwork, Severity: Warn, Field: fmt.Sprintf("%s[%d]", field, i), Source: n.String(),
			Text: fmt.Sprintf("%s lies outside the private ranges (RFC 1918, RFC 6598, RFC 4193): routers that go by the ranges send its packets to the Internet although the tunnel is up.", n), Fix: fix})
	}
	return f
}

// privateLike explains a network that looks private: 172.32.0.0/16 is the usual one.
func privateLike(n netip.Prefix) string {
	if !n.Addr().Is4() {
		return ""
	}
	switch a := n.Addr().As4(); a[0] {
	case 172:
		return "only 172.16.0.0 to 172.31.255.255 are private; 172.16.0.0/16 to 172.31.0.0/16 are free to use."
	case 192:
		return "of 192.0.0.0/8 only 192.168.0.0/16 is private."
	case 100:
		return "of 100.0.0.0/8 only 100.64.0.0/10 is shared address space."
	}
	return ""
}

func inside(n netip.Prefix, all []netip.Prefix) bool {
	for _, p := range all {
		if p.IsValid() && p.Addr().Is4() == n.Addr().Is4() && p.Bits() <= n.Bits() && p.Contains(n.Addr()) {
			return true
		}
	}
	return false
}

func lintOverlap(c Connection) []Finding {
	var f []Finding
	say := func(field string, a, b netip.Prefix, severity Severity, text, fix string) {
		f = append(f, Finding{Code: OverlappingNetworks, Severity: severity, Field: field, Local: a.String(), Remote: b.String(), Text: text, Fix: fix})
	}
	for _, a := range c.LocalNetworks {
		for j, b := range c.RemoteNetworks {
			if a.Bits() > 0 && b.Bits() > 0 && a.Overlaps(b) {
				say(fmt.Sprintf("remote_networks[%d]", j), a, b, Critical, fmt.Sprintf("%s here and %s there overlap: a packet for the common part has two places to go.", a, b),
					"Renumber one side, or translate one of the two (1:1 NAT) and name the translated network here.")
			}
		}
	}
	for _, side := range []struct {
		field string
		nets  []netip.Prefix
	}{{"local_networks", c.LocalNetworks}, {"remote_networks", c.RemoteNetworks}} {
		for i, a := range side.nets {
			for j, b := range side.nets[i+1:] {
				if a != b && a.Overlaps(b) {
					say(fmt.Sprintf("%s[%d]", side.field, i+1+j), a, b, Warn, fmt.Sprintf("%s and %s of the same side overlap: devices negotiate two selectors for the same packets.", a, b), "Keep the larger one.")
				}
			}
		}
	}
	for i, t := range c.Tunnels {
		for _, n := range c.RemoteNetworks {
			if n.IsValid() && n.Bits() > 0 && t.Remote.Address.IsValid() && n.Contains(t.Remote.Address) {
				say(fmt.Sprintf("tunnels[%d].remote.address", i), netip.PrefixFrom(t.Remote.Address, t.Remote.Address.BitLen()), n, Critical,
					fmt.Sprintf("The address %s that the tunnel is sent to lies in %s, which is sent into the tunnel.", t.Remote.Address, n), "Take the address out of remote_networks, or route it past the tunnel.")
			}
		}
	}
	return f
}

func lintTunnel(t Tunnel) []Finding {
	f := lintAccelerated(t)
	f = append(f, lintLifetimes(t)...)
	f = append(f, lintAlgorithms(t)...)
	if t.Window < DefaultWindow {
		severity, text := Normal, "Packets that arrive more than %d places late are dropped."
		if t.Accelerated && t.Window < 128 {
			severity, text = Warn, "Packets that arrive more than %d places late are dropped, and an accelerated route, with several ways and repaired losses, may bring some that late."
		}
		f = append(f, Finding{Code: ReplayWindowTooSmall, Severity: severity, Field: "replay_window", Local: fmt.Sprint(t.Window),
			Text: fmt.Sprintf(text, t.Window), Fix: fmt.Sprintf("Set replay_window: %d, at both ends where the device can.", DefaultWindow)})
	}
	if most, mss := t.PathMTU(DefaultPathMTU); t.MTU > most {
		f = append(f, Finding{Code: PathMTUTooSmall, Severity: Warn, Field: "mtu", Local: fmt.Sprint(t.MTU), Remote: fmt.Sprint(most),
			Text: fmt.Sprintf("Packets of %d bytes grow beyond %d when they are encrypted, and are fragmented or lost.", t.MTU, DefaultPathMTU),
			Fix:  fmt.Sprintf("Set mtu: %d or leave it away, and clamp TCP to a segment of %d.", most, mss)})
	}
	if t.MTU < 1280 {
		f = append(f, Finding{Code: PathMTUTooSmall, Severity: Normal, Field: "mtu", Local: fmt.Sprint(t.MTU),
			Text: "IPv6 does not work over an MTU below 1,280.", Fix: "Raise mtu, or keep IPv6 out of this tunnel."})
	}
	if t.IKE.Version == 1 {
		f = append(f, lintIKEv1(t)...)
	}
	return f
}

func lintAccelerated(t Tunnel) []Finding {
	if !t.Accelerated {
		return nil
	}
	var f []Finding
	if !t.NATT {
		f = append(f, Finding{Code: NatTMissing, Severity: Critical, Field: "nat_t", Local: "false", Text: "ESP outside of UDP does not cross an accelerator: the tunnel comes up and carries nothing.",
			Fix: "Set nat_t: true, and switch NAT traversal on at the other end."})
	}
	if t.Rekeying == RekeyEither {
		f = append(f, Finding{Code: RekeyCollision, Severity: Normal, Field: "rekeying", Local: string(t.Rekeying), Text: "Both ends may renew keys in the same moment; some devices then drop both.",
			Fix: "Let one end do it: rekeying: local or remote. AWS's accelerated tunnels want it to be the customer gateway."})
	}
	if t.DPD.Off {
		f = append(f, Finding{Code: DpdTimeout, Severity: Warn, Field: "dpd.off", Local: "true", Text: "Without dead peer detection nobody notices that the other end has forgotten the tunnel, until the keys expire.",
			Fix: "Switch it on at both ends."})
	}
	return f
}

func lintLifetimes(t Tunnel) []Finding {
	var f []Finding
	if t.ESP.Lifetime > t.IKE.Lifetime {
		f = append(f, Finding{Code: LifetimeMismatch, Severity: Warn, Field: "esp.lifetime", Local: t.ESP.Lifetime.String(), Remote: t.IKE.Lifetime.String(),
			Text: fmt.Sprintf("ESP keys live longer (%s) than the IKE SA that renews them (%s).", short(t.ESP.Lifetime), short(t.IKE.Lifetime)),
			Fix:  "Make esp.lifetime at most ike.lifetime; 1h and 24h go well together."})
	}
	if least := t.DPD.Delay; !t.DPD.Off && t.ESP.Lifetime < 3*least {
		f = append(f, Finding{Code: LifetimeMismatch, Severity: Warn, Field: "esp.lifetime", Local: t.ESP.Lifetime.String(),
			Text: "ESP keys expire before dead peer detection could tell that the other end is gone.", Fix: fmt.Sprintf("Set esp.lifetime to more than %s.", short(3*least))})
	}
	if block, known := CipherOf(t.ESP.Proposals[0].Encryption); known && (block.Name == "3des" || block.Name == "des") && t.ESP.Lifetime > time.Hour {
		f = append(f, Finding{Code: LifetimeMismatch, Severity: Warn, Field: "esp.lifetime", Local: t.ESP.Lifetime.String(),
			Text: "A cipher with 64-bit blocks repeats itself after some 32 GB under one key.", Fix: "Set esp.lifetime: 1h or less, or better choose aes256."})
	}
	return f
}

func lintAlgorithms(t Tunnel) []Finding {
	var f []Finding
	say := func(field, word, fix string) {
		f = append(f, Finding{Code: WeakAlgorithm, Severity: Warn, Field: field, Local: word, Text: word + " is not to be used in new connections (RFC 8247, RFC 8221).", Fix: fix})
	}
	for _, layer := range []struct {
		field     string
		proposals []Proposal
	}{{"ike", t.IKE.Proposals}, {"esp", t.ESP.Proposals}} {
		for i, p := range layer.proposals {
			path := fmt.Sprintf("%s.proposals[%d].", layer.field, i)
			if a, _ := CipherOf(p.Encryption); a.Weak {
				say(path+"encryption", a.Name, "Choose aes256gcm16 or aes256, at both ends.")
			}
			if a, _ := HashOf(p.Integrity); a.Weak {
				say(path+"integrity", a.Name, "Choose sha256, at both ends.")
			}
			if a, _ := HashOf(p.PRF); a.Weak && p.PRF != p.Integrity {
				say(path+"prf", a.Name, "Choose sha256, at both ends.")
			}
			if g, _ := GroupOf(p.DH); g.Weak {
				say(path+"dh", fmt.Sprintf("group %d", g.Number), "Choose 14, 19 or 20, at both ends.")
			}
			if layer.field == "esp" && p.DH == 0 {
				f = append(f, Finding{Code: WeakAlgorithm, Severity: Normal, Field: path + "dh", Local: "0", Text: "Without perfect forward secrecy whoever learns the IKE SA's keys reads every ESP key made from them.", Fix: "Set dh: 14 or better, at both ends."})
			}
		}
	}
	if key := t.Auth.PSK.Reveal(); t.Auth.Method == PSK && key != "" && len(key) < 16 {
		f = append(f, Finding{Code: WeakAlgorithm, Severity: Warn, Field: "auth.psk", Local: fmt.Sprintf("%d characters", len(key)),
			Text: "A short pre-shared key can be guessed by whoever records one negotiation.", Fix: "Take a random one: openssl rand -hex 24."})
	}
	return f
}

func lintIKEv1(t Tunnel) []Finding {
	var f []Finding
	if t.IKE.Aggressive {
		f = append(f, Finding{Code: WeakAlgorithm, Severity: Warn, Field: "ike.aggressive", Local: "true",
			Text: "Aggressive mode sends a hash of the pre-shared key in the clear: it can be guessed offline.", Fix: "Set ike.version: 2 at both ends."})
	}
	if t.Accelerated && !t.IKE.Aggressive && t.Auth.Method == PSK {
		f = append(f, Finding{Code: PeerIdMismatch, Severity: Warn, Field: "ike.version", Local: "1",
			Text: "IKEv1's main mode looks the key up by the address that packets come from; behind an accelerator that is the accelerator's, not the other end's.",
			Fix:  "Set ike.version: 2 at both ends. If a device cannot, let each end expect the accelerator's address, and send its own as identity."})
	}
	return f
}

// lintTwo judges what two tunnels do together.
func lintTwo(c Connection) []Finding {
	if len(c.Tunnels) != 2 {
		return nil
	}
	var f []Finding
	a, b := c.Tunnels[0], c.Tunnels[1]
	if a.MTU != b.MTU {
		f = append(f, Finding{Code: PathMTUTooSmall, Severity: Normal, Field: "tunnels[1].mtu", Local: fmt.Sprint(a.MTU), Remote: fmt.Sprint(b.MTU),
			Text: "The two tunnels bear packets of different size; a flow that changes over may stall.", Fix: fmt.Sprintf("Set both to %d.", min(a.MTU, b.MTU))})
	}
	if c.Redundancy == ActiveActive && c.Routing == PolicyRouting {
		f = append(f, Finding{Code: TrafficSelectorMismatch, Severity: Warn, Field: "redundancy", Local: string(c.Redundancy),
			Text: "Two tunnels with the same selectors: most devices use the one that came up last, and the other end may answer through the first.",
			Fix:  "Set routing: route, so that routes share the traffic between the tunnels, or redundancy: active-standby."})
	}
	if a.Auth.PSK == b.Auth.PSK && a.Auth.Method == PSK && a.Auth.PSK != "" {
		f = append(f, Finding{Code: WeakAlgorithm, Severity: Normal, Field: "tunnels[1].auth.psk", Text: "Both tunnels have the same pre-shared key.", Fix: "Give each its own."})
	}
	return f
}
