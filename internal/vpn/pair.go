package vpn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Mismatches says what keeps a and b, one connection as its two ends have it,
// from coming up together or from carrying anything: each value as a has it
// (Local) and as b has it (Remote). Nothing that an end leaves open is compared.
func Mismatches(a, b Connection) []Finding {
	a, b = a.WithDefaults(), b.WithDefaults()
	var f []Finding
	f = append(f, mismatchedNetworks(a, b)...)
	if len(a.Tunnels) != len(b.Tunnels) {
		f = append(f, Finding{Code: NegotiationFailed, Severity: Warn, Field: "tunnels", Local: fmt.Sprint(len(a.Tunnels)), Remote: fmt.Sprint(len(b.Tunnels)),
			Text: "The two ends have different numbers of tunnels.", Fix: "Give both the same; one that is alone stays down."})
	}
	return stamped(append(f, eachTunnel(a, b, mismatchedTunnels)...), a)
}

// LintPair says what does not go well together in a and b, one connection as its
// two ends have it, although it comes up: lifetimes, who renews keys, who
// begins, dead peer detection, MTU, replay windows.
func LintPair(a, b Connection) []Finding {
	a, b = a.WithDefaults(), b.WithDefaults()
	return stamped(eachTunnel(a, b, lintPair), a)
}

// eachTunnel is what find says of each tunnel of a beside that of b.
func eachTunnel(a, b Connection, find func(a, b Tunnel) []Finding) (f []Finding) {
	for i := range min(len(a.Tunnels), len(b.Tunnels)) {
		for _, x := range find(a.Tunnels[i], b.Tunnels[i]) {
			x.Tunnel = a.Tunnels[i].Name
			x.Field = fmt.Sprintf("tunnels[%d].%s", i, x.Field)
			f = append(f, x)
		}
	}
	return f
}

func mismatchedNetworks(a, b Connection) []Finding {
	var f []Finding
	if a.Routing != b.Routing {
		f = append(f, Finding{Code: TrafficSelectorMismatch, Severity: Critical, Field: "routing", Local: string(a.Routing), Remote: string(b.Routing),
			Text: "One end protects networks, the other everything: the selectors do not match.", Fix: "Give both the same routing."})
		return f
	}
	if a.Routing == RouteRouting {
		return nil
	}
	for _, pair := range []struct {
		field      string
		mine, hers []netip.Prefix
	}{{"local_networks", a.LocalNetworks, b.RemoteNetworks}, {"remote_networks", a.RemoteNetworks, b.LocalNetworks}} {
		if mine, hers := networks(pair.mine), networks(pair.hers); mine != hers {
			severity := Critical
			if slices.ContainsFunc(pair.mine, func(n netip.Prefix) bool { return inside(n, pair.hers) }) {
				severity = Warn // IKEv2 narrows, when the device lets it
			}
			f = append(f, Finding{Code: TrafficSelectorMismatch, Severity: severity, Field: pair.field, Local: mine, Remote: hers,
				Text: "The ends do not agree on the networks that the tunnel joins.", Fix: "What is local here has to be remote there, network by network."})
		}
	}
	return f
}

// networks writes nets in one order, whatever order they were given in.
func networks(nets []netip.Prefix) string {
	var s []string
	for _, n := range nets {
		s = append(s, n.String())
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

func mismatchedTunnels(a, b Tunnel) []Finding {
	var f []Finding
	say := func(code Code, field string, mine, hers any, text, fix string) {
		f = append(f, Finding{Code: code, Severity: Critical, Field: field, Local: fmt.Sprint(mine), Remote: fmt.Sprint(hers), Text: text, Fix: fix})
	}
	if a.IKE.Version != b.IKE.Version {
		say(IkeVersionMismatch, "ike.version", a.IKE.Version, b.IKE.Version, "The ends speak different versions of IKE.", "Set version 2 at both.")
	}
	if a.IKE.Version == 1 && b.IKE.Version == 1 && a.IKE.Aggressive != b.IKE.Aggressive {
		say(NegotiationModeMismatch, "ike.aggressive", mode(a.IKE), mode(b.IKE), "The ends use different modes of IKEv1.", "Set main mode at both, or better version 2.")
	}
	if a.Auth.Method != b.Auth.Method {
		say(AuthenticationAlgorithmMismatch, "auth.method", a.Auth.Method, b.Auth.Method, "The ends prove who they are in different ways.", "Set the same method at both.")
	} else if a.Auth.PSK != "" && b.Auth.PSK != "" && a.Auth.PSK != b.Auth.PSK {
		say(PskMismatch, "auth.psk", "a key", "another key", "The pre-shared keys differ.", "Write the same key at both ends; look for a space or a line break that was copied along.")
	}
	if a.Local.ID != b.Remote.ID {
		say(PeerIdMismatch, "local.id", a.Local.ID, b.Remote.ID, "This end's identity is not what the other end expects.", "Make this end's local.id and the other end's remote.id the same.")
	}
	if a.Remote.ID != b.Local.ID {
		say(PeerIdMismatch, "remote.id", a.Remote.ID, b.Local.ID, "The other end's identity is not what this end expects.", "Make this end's remote.id and the other end's local.id the same.")
	}
	f = append(f, mismatchedProposals("ike", a.IKE.Proposals, b.IKE.Proposals)...)
	f = append(f, mismatchedProposals("esp", a.ESP.Proposals, b.ESP.Proposals)...)
	if a.NATT != b.NATT && (a.Accelerated || b.Accelerated) {
		say(NatTMismatch, "nat_t", a.NATT, b.NATT, "Only one end puts ESP into UDP, and nothing else crosses an accelerator.", "Switch NAT traversal on at both.")
	}
	if a.Start == StartPeer && b.Start == StartPeer {
		say(NoResponse, "start", a.Start, b.Start, "Both ends wait for the other to begin.", "Set start: start at one of them.")
	}
	return f
}

func mode(k IKE) string {
	if k.Aggressive {
		return "aggressive"
	}
	return "main"
}

// mismatchedProposals finds no fault where any proposal of one end is also one
// of the other; otherwise it says what differs in the pair that differs least.
func mismatchedProposals(field string, mine, hers []Proposal) []Finding {
	var best []Finding
	for i, p := range mine {
		for _, q := range hers {
			d := DiffProposals(p, q, field == "ike")
			if len(d) == 0 {
				return nil
			}
			if best == nil || len(d) < len(best) {
				best = d
				for k := range best {
					best[k].Field = fmt.Sprintf("%s.proposals[%d].%s", field, i, best[k].Field)
				}
			}
		}
	}
	return best
}

// DiffProposals says in which algorithms p, of this end, and q, of the other,
// differ: encryption, integrity, prf (of IKE) and dh, with the code for each.
func DiffProposals(p, q Proposal, ike bool) []Finding {
	var f []Finding
	say := func(code Code, field, mine, hers, what string) {
		f = append(f, Finding{Code: code, Severity: Critical, Field: field, Local: mine, Remote: hers,
			Text: fmt.Sprintf("The ends have no %s in common.", what), Fix: fmt.Sprintf("Set the same %s at both ends.", what)})
	}
	if p.Encryption != q.Encryption {
		say(EncryptionAlgorithmMismatch, "encryption", p.Encryption, q.Encryption, "encryption algorithm")
	}
	a, _ := CipherOf(p.Encryption)
	b, _ := CipherOf(q.Encryption)
	if p.Integrity != q.Integrity && a.AEAD == b.AEAD {
		say(AuthenticationAlgorithmMismatch, "integrity", p.Integrity, q.Integrity, "integrity algorithm")
	} else if ike && p.PRF != "" && q.PRF != "" && p.PRF != q.PRF {
		say(AuthenticationAlgorithmMismatch, "prf", p.PRF, q.PRF, "pseudo-random function")
	}
	if p.DH != q.DH {
		code, what := DhGroupMismatch, "Diffie-Hellman group"
		if !ike {
			code, what = PfsMismatch, "group for perfect forward secrecy"
		}
		say(code, "dh", groupWord(p.DH), groupWord(q.DH), what)
	}
	return f
}

func groupWord(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("group %d", n)
}

func lintPair(a, b Tunnel) []Finding {
	var f []Finding
	say := func(code Code, severity Severity, field string, mine, hers any, text, fix string) {
		f = append(f, Finding{Code: code, Severity: severity, Field: field, Local: fmt.Sprint(mine), Remote: fmt.Sprint(hers), Text: text, Fix: fix})
	}
	for _, l := range []struct {
		field      string
		mine, hers time.Duration
	}{{"ike.lifetime", a.IKE.Lifetime, b.IKE.Lifetime}, {"esp.lifetime", a.ESP.Lifetime, b.ESP.Lifetime}} {
		if l.mine == l.hers {
			continue
		}
		severity := Normal // IKEv2 does not negotiate lifetimes: the shorter one wins
		if a.IKE.Version == 1 {
			severity = Warn // a responder may refuse a longer one than its own
		}
		if longer, shorter := max(l.mine, l.hers), min(l.mine, l.hers); longer > 4*shorter {
			severity = Warn
		}
		say(LifetimeMismatch, severity, l.field, short(l.mine), short(l.hers), "The ends let keys live differently long: the one with the shorter lifetime always renews, and one of IKEv1 may refuse the longer.",
			"Set the same lifetime at both ends, in seconds, and no lifetime by volume.")
	}
	switch {
	case a.Rekeying == RekeyLocal && b.Rekeying == RekeyLocal:
		say(RekeyCollision, Warn, "rekeying", a.Rekeying, b.Rekeying, "Both ends want to be the one that renews keys, and will do so in the same moment.", "Set rekeying: remote at one of them.")
	case a.Rekeying == RekeyRemote && b.Rekeying == RekeyRemote:
		say(LifetimeMismatch, Warn, "rekeying", a.Rekeying, b.Rekeying, "Both ends leave renewing keys to the other; only shortly before the keys expire one of them will do it.", "Set rekeying: local at one of them.")
	}
	if a.DPD.Off != b.DPD.Off {
		say(DpdTimeout, Normal, "dpd.off", a.DPD.Off, b.DPD.Off, "Only one end notices that the other is gone.", "Switch dead peer detection on at both.")
	}
	if a.DPD.Action == DPDRestart && b.DPD.Action == DPDRestart && a.Start == StartNow && b.Start == StartNow {
		say(RekeyCollision, Normal, "dpd.action", a.DPD.Action, b.DPD.Action, "After an outage both ends begin anew in the same moment, and one of the two tunnels is thrown away again.", "Set dpd.action: clear at the end that answers.")
	}
	if a.MTU != b.MTU {
		say(PathMTUTooSmall, Normal, "mtu", a.MTU, b.MTU, "The ends send packets of different size.", fmt.Sprintf("Set both to %d.", min(a.MTU, b.MTU)))
	}
	if a.Window != b.Window && min(a.Window, b.Window) < 128 {
		say(ReplayWindowTooSmall, Normal, "replay_window", a.Window, b.Window, "One end bears less reordering than the other.", fmt.Sprintf("Set both to %d.", DefaultWindow))
	}
	return f
}
