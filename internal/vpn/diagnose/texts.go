package diagnose

import (
	"fmt"
	"net/netip"
	"strings"

	"causeway/internal/vpn"
)

// refusals are one end's reasons not to go on, as it says them itself, or as
// the other end is told.
var refusals = []rule{
	on(`^(received proposals unacceptable|no acceptable proposal found|received proposals inacceptable)$`, func(r *reader, t *talk, l Line, m []string) vpn.Finding { return refusedProposals(t) }),
	on(`^no IKE config found for (\S+)\.\.\.(\S+), sending NO_PROPOSAL_CHOSEN`, unknownPeer),
	on(`^no (?:matching |alternative )?peer config found|^no alternative config found`, unknownIdentity),
	on(`^(?:tried (\d+) shared keys? for .*, but MAC mismatched)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.PskMismatch, Field: "auth.psk", Local: "a key", Remote: "another key", Text: "The other end proved itself with another pre-shared key than the one configured here.", Fix: fixKey}
	}),
	on(`^no shared key found for (.*)$`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.PskMismatch, Field: "auth.psk", Text: "This end has no pre-shared key for the identities " + m[1] + ".", Fix: "Set the key for exactly these two identities, or correct the identities."}
	}),
	on(`^invalid (?:HASH_V1|ID_V1) payload length, decryption failed\?|^could not decrypt payloads`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.PskMismatch, Field: "auth.psk", Local: "a key", Remote: "another key", Text: "The other end's message cannot be decrypted: with IKEv1's main mode that is another pre-shared key.", Fix: fixKey}
	}),
	on(`^Aggressive Mode PSK disabled for security reasons`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.NegotiationModeMismatch, Field: "ike.aggressive", Local: "main", Remote: "aggressive", Text: "The other end negotiates in aggressive mode, which this one does not accept with a pre-shared key.", Fix: "Set main mode at the other end, or better IKEv2 at both."}
	}),
	on(`^(?:remote|peer) requested .*mode.*not acceptable|^not acceptable .* mode`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.NegotiationModeMismatch, Field: "ike.aggressive", Text: "The ends use different modes of IKEv1.", Fix: "Set main mode at both, or better IKEv2."}
	}),
	on(`^constraint requires (.+) authentication, but (.+) was used`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.AuthenticationAlgorithmMismatch, Field: "auth.method", Local: m[1], Remote: m[2], Text: fmt.Sprintf("The other end proves itself by %s; this one wants %s.", m[2], m[1]), Fix: "Set the same method at both ends."}
	}),
	on(`^(?:constraint check failed: )?identity '(.*)' required`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.PeerIdMismatch, Field: "remote.id", Local: m[1], Text: "The other end's identity is not " + m[1] + ", which this end expects.", Fix: fixIDs}
	}),
	on(`^IDir '(.*)' does not match to '(.*)'`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.PeerIdMismatch, Field: "remote.id", Local: m[2], Remote: m[1], Text: "The other end identifies itself as " + m[1] + "; this one expects " + m[2] + ".", Fix: fixIDs}
	}),
	on(`^subject certificate invalid \((.*)\)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.CertificateInvalid, Field: "auth.certificate", Remote: m[1], Text: "The other end's certificate is out of its time: " + m[1] + ".", Fix: "Issue a new certificate for the other end, and check both clocks."}
	}),
	on(`^no issuer certificate found for "(.*)"`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.CertificateInvalid, Field: "auth.ca", Remote: m[1], Text: "The other end's certificate (" + m[1] + ") comes from an authority that this end does not trust.", Fix: "Set auth.ca here to the authority of the other end's certificate, intermediate ones included."}
	}),
	on(`^certificate was revoked|^certificate status is not available`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.CertificateInvalid, Field: "auth.certificate", Text: "The other end's certificate is revoked, or that cannot be found out.", Fix: "Issue a new one, or let this end reach the revocation list."}
	}),
	on(`^no trusted (\S+) public key found for '(.*)'`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.CertificateInvalid, Field: "auth.ca", Remote: m[2], Text: "There is no certificate that this end trusts for " + m[2] + ".", Fix: "See that the other end's certificate is valid, names " + m[2] + " (subject alternative name), and comes from the authority set here."}
	}),
	on(`^no private key found for '(.*)'`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.CertificateInvalid, Field: "auth.private_key", Local: m[1], Text: "This end has no private key for its identity " + m[1] + ".", Fix: "Set auth.private_key to the key of auth.certificate, and local.id to a name in it."}
	}),
	on(`^traffic selectors (.*) === (.*) unacceptable`, func(r *reader, t *talk, l Line, m []string) vpn.Finding { return selectors(r, m[1], m[2]) }),
	on(`^no matching CHILD_SA config found for (.*) === (.*)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding { return selectors(r, m[2], m[1]) }),
	on(`^received (\d+)s lifetime, configured (\d+)s`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.LifetimeMismatch, Severity: vpn.Warn, Field: "esp.lifetime", Local: m[2] + "s", Remote: m[1] + "s", Text: "The ends have different lifetimes of keys; some devices refuse the longer one.", Fix: "Set the same lifetime at both ends, in seconds, and none by volume."}
	}),
	on(`per-IP half-open IKE_SA limit of (\d+) reached|half-open IKE_SA count of \d+ reached|^ignoring IKE_SA setup from`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.HalfOpenLimit, Text: "This end ignores new negotiations because too many were begun and not finished; behind an accelerator all peers count as one.", Fix: "Switch on the accelerator's admission of IKE (cookies), and raise block_threshold and cookie_threshold_ip of charon."}
	}),
	on(`^unable to install .*IPsec (?:SA|policies)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.NegotiationFailed, Text: "The keys were agreed on and could not be installed: this kernel lacks ESP, the algorithm, or the policy is taken.", Fix: "Load kernel-libipsec, or a kernel with ESP; see that no other connection has the same networks."}
	}),

	// What the other end answers.
	on(`^received AUTHENTICATION_FAILED (?:notify error|error notify)`, refusedAuthentication),
	on(`^received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if t.exchange == "CREATE_CHILD_SA" {
			return vpn.Finding{Code: vpn.PfsMismatch, Field: "esp.proposals", Text: "The other end took the first ESP keys and refuses new ones: the first need no Diffie-Hellman group, so it is the group for perfect forward secrecy that differs.",
				Fix: "Set the same group in esp.proposals of both ends, or none at both."}
		}
		return vpn.Finding{Code: vpn.ProposalMismatch, Field: "esp.proposals", Text: "The other end accepts none of the ESP algorithms (phase 2) that this one proposes.", Fix: fixProposals("esp")}
	}),
	on(`^received NO_PROPOSAL_CHOSEN (?:notify error|error notify)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if t.established {
			return vpn.Finding{Code: vpn.ProposalMismatch, Field: "esp.proposals", Text: "The other end accepts none of the ESP algorithms (phase 2) that this one proposes.", Fix: fixProposals("esp")}
		}
		return vpn.Finding{Code: vpn.ProposalMismatch, Field: "ike.proposals", Text: "The other end refuses the first message: it accepts none of the IKE algorithms (phase 1), speaks another version of IKE, or expects its peer at another address.",
			Fix: fixProposals("ike") + " Compare ike.version, and the address the other end has for this one: behind an accelerator that is the egress IP. Its log says which it is."}
	}),
	on(`^received INVALID_KE_PAYLOAD (?:notify error|error notify)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.DhGroupMismatch, Field: "ike.proposals", Text: "The other end does not accept the Diffie-Hellman group.", Fix: "Set the same group at both ends."}
	}),
	on(`^received TS_UNACCEPTABLE notify`, func(r *reader, t *talk, l Line, m []string) vpn.Finding { return foreignSelectors(r) }),
	on(`^received INVALID_ID_INFORMATION (?:notify error|error notify)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if t.established {
			return foreignSelectors(r)
		}
		return vpn.Finding{Code: vpn.PeerIdMismatch, Field: "local.id", Local: r.tunnel(l).Local.ID, Text: "The other end does not know this end's identity.", Fix: fixIDs}
	}),
	on(`^received (?:INVALID_MAJOR_VERSION|UNSUPPORTED_CRITICAL_PAYLOAD)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if strings.Contains(m[0], "MAJOR") {
			return vpn.Finding{Code: vpn.IkeVersionMismatch, Field: "ike.version", Text: "The other end speaks another version of IKE.", Fix: "Set ike.version: 2 at both ends."}
		}
		return vpn.Finding{Code: vpn.PeerMismatch, Text: "The other end does not know what to do with this connection's messages.", Fix: "See that it has a connection for this end's address and identity."}
	}),
	on(`^received (?:INVALID_SYNTAX|PAYLOAD_MALFORMED|INVALID_HASH_INFORMATION)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if r.tunnel(l).IKE.Version == 1 && r.tunnel(l).Auth.Method == vpn.PSK {
			return vpn.Finding{Code: vpn.PskMismatch, Field: "auth.psk", Local: "a key", Remote: "another key", Text: "The other end cannot read this end's message: with IKEv1 that is mostly another pre-shared key.", Fix: fixKey}
		}
		return vpn.Finding{Code: vpn.NegotiationFailed, Text: "The other end cannot read this end's message.", Fix: "Look into the other end's log."}
	}),
}

const (
	fixKey = "Write the same key at both ends; look for a space or a line break that was copied along, and for a key that belongs to other identities."
	fixIDs = "Make local.id of each end what remote.id of the other says, letter by letter and of the same form. Behind an accelerator an address is not the end's own: use names."
)

func fixProposals(layer string) string {
	return "Compare " + layer + ".proposals of both ends, algorithm by algorithm; aes256, sha256, group 14 is what every device can do."
}

// refusedProposals works out which algorithm the ends do not share.
func refusedProposals(t *talk) vpn.Finding {
	received, layer := parseProposals(t.received)
	configured, _ := parseProposals(t.configured)
	f := vpn.Finding{Code: vpn.ProposalMismatch, Field: layer + ".proposals", Local: t.configured, Remote: t.received, Text: "The ends have no set of algorithms in common.", Fix: fixProposals(layer)}
	if layer == "" {
		f.Field, f.Fix = "", fixProposals("ike")
	}
	if layer == "esp" && t.exchange != "CREATE_CHILD_SA" && t.exchange != "QUICK_MODE" { // the first child takes its keys from IKE: no group is sent
		for i := range configured {
			configured[i].DH = 0
		}
	}
	var best []vpn.Finding
	for _, p := range configured {
		for _, q := range received {
			if d := vpn.DiffProposals(p, q, layer == "ike"); best == nil || len(d) < len(best) {
				best = d
			}
		}
	}
	if len(best) == 0 {
		return f
	}
	f.Code, f.Local, f.Remote = best[0].Code, best[0].Local, best[0].Remote
	f.Text, f.Fix = best[0].Text, best[0].Fix
	f.Source = "received proposals: " + t.received + "; configured proposals: " + t.configured
	for _, d := range best[1:] {
		f.Text += fmt.Sprintf(" They also differ in %s: %s here, %s there.", d.Field, d.Local, d.Remote)
	}
	return f
}

// unknownPeer is charon finding no connection for the two addresses, and IKE
// version, of a first message.
func unknownPeer(r *reader, t *talk, l Line, m []string) vpn.Finding {
	version := 2
	if t.exchange == "ID_PROT" || t.exchange == "AGGRESSIVE" {
		version = 1
	}
	mine := r.tunnel(l)
	if t.exchange != "" && mine.IKE.Version != version && r.peer(m[2]) {
		return vpn.Finding{Code: vpn.IkeVersionMismatch, Field: "ike.version", Local: fmt.Sprint(mine.IKE.Version), Remote: fmt.Sprint(version), Text: "The other end speaks another version of IKE.", Fix: "Set ike.version: 2 at both ends."}
	}
	expected := mine.Remote.Domain
	if mine.Remote.Address.IsValid() {
		expected = mine.Remote.Address.String()
	}
	return vpn.Finding{Code: vpn.PeerMismatch, Field: "remote.address", Local: expected, Remote: m[2],
		Text: fmt.Sprintf("A negotiation came from %s, for which no connection is configured here.", m[2]),
		Fix:  "Set remote.address to the address that packets of the other end come from: behind an accelerator that is its egress IP, behind NAT the NAT's."}
}

// unknownIdentity is charon finding no connection for the identities of a peer.
func unknownIdentity(r *reader, t *talk, l Line, m []string) vpn.Finding {
	mine := r.tunnel(l)
	f := vpn.Finding{Code: vpn.PeerIdMismatch, Field: "remote.id", Text: "No connection here has the identities that the other end names.", Fix: fixIDs}
	local, peer := identity(t.local), identity(t.peer)
	switch {
	case peer != "" && peer != mine.Remote.ID:
		f.Local, f.Remote = mine.Remote.ID, peer
		f.Text = fmt.Sprintf("The other end identifies itself as %s; this one expects %s.", peer, mine.Remote.ID)
	case local != "" && local != mine.Local.ID:
		f.Field, f.Local, f.Remote = "local.id", mine.Local.ID, local
		f.Text = fmt.Sprintf("The other end asks for %s; this end is %s.", local, mine.Local.ID)
	}
	if t.peer != "" {
		f.Source = l.Text + ": " + t.local + "..." + t.peer
	}
	return f
}

// identity is what stands in brackets behind an address; "" where nothing was sent.
func identity(s string) string {
	_, id, found := strings.Cut(strings.TrimSuffix(s, "]"), "[")
	if !found || id == "%any" {
		return ""
	}
	return id
}

func refusedAuthentication(r *reader, t *talk, l Line, m []string) vpn.Finding {
	mine := r.tunnel(l)
	switch {
	case t.aggressive:
		return vpn.Finding{Code: vpn.NegotiationModeMismatch, Field: "ike.aggressive", Local: "aggressive", Remote: "main", Text: "The other end refuses aggressive mode before it has seen any key.", Fix: "Set main mode, or better IKEv2, at both ends."}
	case mine.Auth.Method == vpn.Certificate:
		return vpn.Finding{Code: vpn.CertificateInvalid, Field: "auth.certificate", Local: mine.Local.ID, Text: "The other end does not accept this end's certificate: it is out of its time, comes from an authority that is not trusted there, does not name local.id, or a pre-shared key is wanted.",
			Fix: "Look into the other end's log, which says which it is; check validity, issuer and subject alternative names of the certificate."}
	}
	return vpn.Finding{Code: vpn.PskMismatch, Field: "auth.psk", Local: mine.Local.ID, Text: "The other end does not accept this end's proof: the pre-shared keys differ, or it has none for this end's identity (" + mine.Local.ID + ").",
		Fix: fixKey + " If the keys are the same, compare the identities: the other end's log says which it is."}
}

// selectors says which of the networks that the other end proposes, of our side
// and of its own, this end does not have.
func selectors(r *reader, ours, theirs string) vpn.Finding {
	f := vpn.Finding{Code: vpn.TrafficSelectorMismatch, Text: "The ends do not agree on the networks that the tunnel joins.", Fix: "What is local here has to be remote there, network by network."}
	local, remote := join(r.c.LocalNetworks), join(r.c.RemoteNetworks)
	switch {
	case ours != local:
		f.Field, f.Local, f.Remote = "local_networks", local, ours
	case theirs != remote:
		f.Field, f.Local, f.Remote = "remote_networks", remote, theirs
	}
	return f
}

func foreignSelectors(r *reader) vpn.Finding {
	return vpn.Finding{Code: vpn.TrafficSelectorMismatch, Field: "local_networks", Local: join(r.c.LocalNetworks) + " === " + join(r.c.RemoteNetworks),
		Text: "The other end does not accept the networks that this one wants to join.", Fix: "What is local here has to be remote there, network by network; a device of IKEv1 takes one pair only."}
}

func join(nets []netip.Prefix) string {
	var s []string
	for _, n := range nets {
		s = append(s, n.String())
	}
	return strings.Join(s, " ")
}
