package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/vpn"
)

// Fault is one thing wrong between two gateways that speak through PoPs, and what
// a diagnosis must call it.
type Fault struct {
	Name  string
	Title string
	// Near and Far are the codes that the two ends' own logs must give first; empty
	// where an end cannot know. PoPs is what must be seen on the wire alone; empty
	// where keys would be needed for that.
	Near, Far, PoPs vpn.Code

	near, far func(*vpn.Connection)
	conf      func(swanctl string) string // what only the file can say
	certs     func(*faultRig) error
	before    func(context.Context, *faultRig) error
	up        bool // it comes up before it breaks
	after     func(context.Context, *faultRig) error
}

// faultName is what the connection is called in which everything is done wrong.
const faultName = "seoul"

// healthy is the connection that every fault is a change of, as its two ends have it.
func (r *faultRig) healthy() (near, far vpn.Connection) {
	near = vpn.Connection{
		Name: faultName, LocalNetworks: []netip.Prefix{r.tunnel.From.LAN}, RemoteNetworks: []netip.Prefix{r.tunnel.To.LAN},
		Tunnels: []vpn.Tunnel{{
			Local:  vpn.End{Address: r.l.Scenario.Sites[r.tunnel.From.Site].Gateway, ID: "sh.lab"},
			Remote: vpn.End{Address: r.tunnel.From.Peer, ID: "se.lab"},
			Auth:   vpn.Auth{PSK: "lab-faults-0123456789abcdef"}, NATT: true, Accelerated: true, Start: vpn.StartPeer,
			IKE: vpn.IKE{Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 19}}},
			ESP: vpn.ESP{Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 19}}},
			DPD: vpn.DPD{Action: vpn.DPDClear, Delay: 5 * time.Second},
		}},
	}
	near = near.WithDefaults()
	far = vpn.Mirror(near)
	t := &far.Tunnels[0]
	t.Local.Address, t.Remote.Address, t.Start = r.l.Scenario.Sites[r.tunnel.To.Site].Gateway, r.tunnel.To.Peer, vpn.StartPeer
	return near, far
}

// The changes.
func ikeWith(change func(*vpn.Proposal)) func(*vpn.Connection) {
	return func(c *vpn.Connection) { change(&c.Tunnels[0].IKE.Proposals[0]) }
}

func espWith(change func(*vpn.Proposal)) func(*vpn.Connection) {
	return func(c *vpn.Connection) { change(&c.Tunnels[0].ESP.Proposals[0]) }
}

// withIKEv1 has an end speak version 1, which wants addresses for identities.
func withIKEv1(c *vpn.Connection) {
	addresses := map[string]string{"sh.lab": "198.18.1.2", "se.lab": "198.19.1.2"}
	c.Tunnels[0].IKE.Version = 1
	c.Tunnels[0].Local.ID, c.Tunnels[0].Remote.ID = addresses[c.Tunnels[0].Local.ID], addresses[c.Tunnels[0].Remote.ID]
	c.Tunnels[0].DPD.Timeout = 10 * time.Second
}

func withCertificate(c *vpn.Connection) { c.Tunnels[0].Auth = vpn.Auth{Method: vpn.Certificate} }

func network(text string) func(*vpn.Connection) {
	return func(c *vpn.Connection) { c.LocalNetworks[0] = netip.MustParsePrefix(text) }
}

// issued gives both ends certificates that end at a time; ofAnother has the far
// end's come from an authority that the near end does not know.
func issued(life time.Duration, ofAnother bool) func(*faultRig) error {
	return func(r *faultRig) error {
		ours, err := gateway.NewAuthority()
		if err != nil {
			return err
		}
		theirs := ours
		if ofAnother {
			if theirs, err = gateway.NewAuthority(); err != nil {
				return err
			}
		}
		for _, end := range []struct {
			g  gateway.Gateway
			id string
			by *gateway.Authority
		}{{r.near, "sh.lab", ours}, {r.far, "se.lab", theirs}} {
			cert, key, err := end.by.Issue(end.id, time.Now().Add(life))
			if err != nil {
				return err
			}
			if err := gateway.WriteFiles(end.g.Dir, map[string][]byte{
				"x509/" + faultName + ".pem": cert, "private/" + faultName + ".pem": key, "x509ca/" + faultName + "-ca.pem": end.by.PEM(),
			}); err != nil {
				return err
			}
		}
		return nil
	}
}

// drop has a node's firewall drop what comes in and fits, before anything else
// gets to see it. Drops on the way in look to the sender like any loss; those on the way
// out it is told of.
func drop(node func(*faultRig) string, match string) func(context.Context, *faultRig) error {
	return func(_ context.Context, r *faultRig) error {
		return r.nft(node(r), fmt.Sprintf("table ip fault {\n chain in {\n  type filter hook prerouting priority -500\n  %s drop\n }\n}\n", match))
	}
}

func atFarEnd(r *faultRig) string  { return r.farNode }
func atNearEnd(r *faultRig) string { return r.nearNode }

// withoutIKEFragments has both ends leave large messages to IP's fragments.
func withoutIKEFragments(swanctl string) string {
	return strings.Replace(swanctl, "fragmentation = yes", "fragmentation = no", 1)
}

// Faults are all that are tried, in order.
func Faults() []Fault {
	return []Fault{
		{Name: "psk", Title: "pre-shared keys differ", Near: vpn.PskMismatch, Far: vpn.PskMismatch,
			far: func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = "another-0123456789abcdef" }},
		{Name: "ike-encryption", Title: "IKE encryption differs", Near: vpn.ProposalMismatch, Far: vpn.EncryptionAlgorithmMismatch, PoPs: vpn.ProposalMismatch,
			far: ikeWith(func(p *vpn.Proposal) { p.Encryption = "aes128" })},
		{Name: "ike-integrity", Title: "IKE integrity differs", Near: vpn.ProposalMismatch, Far: vpn.AuthenticationAlgorithmMismatch, PoPs: vpn.ProposalMismatch,
			far: ikeWith(func(p *vpn.Proposal) { p.Integrity, p.PRF = "sha512", "sha512" })},
		{Name: "ike-group", Title: "IKE Diffie-Hellman groups differ", Near: vpn.ProposalMismatch, Far: vpn.DhGroupMismatch, PoPs: vpn.ProposalMismatch,
			far: ikeWith(func(p *vpn.Proposal) { p.DH = 14 })},
		{Name: "esp-encryption", Title: "ESP encryption differs", Near: vpn.ProposalMismatch, Far: vpn.EncryptionAlgorithmMismatch,
			far: espWith(func(p *vpn.Proposal) { p.Encryption = "aes128" })},
		{Name: "pfs", Title: "groups of perfect forward secrecy differ, seen at the first rekey", Near: vpn.PfsMismatch, Far: vpn.PfsMismatch, up: true,
			far: espWith(func(p *vpn.Proposal) { p.DH = 14 }), after: rekeyRefused},
		{Name: "id-unknown", Title: "the far end does not know the near end's identity", Near: vpn.PskMismatch, Far: vpn.PeerIdMismatch,
			near: func(c *vpn.Connection) { c.Tunnels[0].Local.ID = "typo.lab" }},
		{Name: "id-unexpected", Title: "the near end expects another identity", Near: vpn.PskMismatch, Far: vpn.PeerIdMismatch,
			near: func(c *vpn.Connection) { c.Tunnels[0].Remote.ID = "seoul.lab" }},
		{Name: "networks", Title: "the networks behind the far end differ", Near: vpn.TrafficSelectorMismatch, Far: vpn.TrafficSelectorMismatch,
			far: network("10.99.0.0/24")},
		{Name: "version", Title: "one end speaks IKEv1 only", Near: vpn.ProposalMismatch, Far: vpn.IkeVersionMismatch, PoPs: vpn.ProposalMismatch, far: withIKEv1},
		{Name: "mode", Title: "IKEv1: aggressive mode meets main mode", Near: vpn.NegotiationModeMismatch, Far: vpn.NegotiationModeMismatch,
			near: func(c *vpn.Connection) { withIKEv1(c); c.Tunnels[0].IKE.Aggressive = true }, far: withIKEv1},
		{Name: "peer-address", Title: "the far end has the client's own address for its peer, not the egress IP", Near: vpn.ProposalMismatch, Far: vpn.PeerMismatch,
			PoPs: vpn.ProposalMismatch, far: func(c *vpn.Connection) { c.Tunnels[0].Remote.Address = netip.MustParseAddr("198.18.1.2") }},
		{Name: "no-answer", Title: "nobody answers at the endpoint", Near: vpn.NoResponse, PoPs: vpn.NoResponse,
			before: drop(atFarEnd, "meta l4proto udp")},
		{Name: "port-4500", Title: "a firewall before the endpoint lets UDP 500 through and not 4500", Near: vpn.Port4500Blocked, PoPs: vpn.Port4500Blocked,
			before: drop(atFarEnd, "udp dport 4500")},
		{Name: "fragments", Title: "a firewall drops IP fragments, of which IKE_AUTH has two", Near: vpn.FragmentsLost, PoPs: vpn.FragmentsLost,
			near: withCertificate, far: withCertificate, conf: withoutIKEFragments, certs: issued(time.Hour, false),
			before: drop(atFarEnd, "ip frag-off & 0x1fff != 0")},
		{Name: "certificate-untrusted", Title: "the certificate is of an authority that the other end does not know", Near: vpn.CertificateInvalid, Far: vpn.CertificateInvalid,
			near: withCertificate, far: withCertificate, certs: issued(time.Hour, true)},
		{Name: "certificate-expired", Title: "the certificate is over", Near: vpn.CertificateInvalid, Far: vpn.CertificateInvalid,
			near: withCertificate, far: withCertificate, certs: issued(-time.Hour, false)},
		{Name: "peer-deletes", Title: "the far end takes the tunnel down", Near: vpn.ReceiveDeleteNotify, up: true,
			after: func(ctx context.Context, r *faultRig) error {
				if err := r.far.Terminate(ctx, faultName); err != nil {
					return err
				}
				return r.await(ctx, r.near, "received DELETE for IKE_SA")
			}},
		{Name: "peer-dies", Title: "the way breaks while the tunnel is up", Near: vpn.DpdTimeout, up: true,
			after: func(ctx context.Context, r *faultRig) error {
				if err := drop(atNearEnd, "meta l4proto udp")(ctx, r); err != nil {
					return err
				}
				return r.await(ctx, r.near, "giving up after")
			}},
		{Name: "none", Title: "nothing is wrong", Near: vpn.NoExceptionFound, Far: vpn.NoExceptionFound, up: true},
	}
}

// rekeyRefused renews the CHILD SA's keys, which only then get a group of their own.
func rekeyRefused(ctx context.Context, r *faultRig) error {
	if err := r.near.RekeyChild(ctx, faultName); err != nil {
		return err
	}
	return r.await(ctx, r.near, "NO_PROPOSAL_CHOSEN")
}

// nft gives a node rules of a table called fault, in place of those it had.
func (r *faultRig) nft(node, rules string) error {
	ns, err := r.l.node(node)
	if err != nil {
		return err
	}
	return ns.Do(func() error { return nftables("table ip fault", rules) })
}

func (r *faultRig) clearFirewalls() error {
	for _, node := range []string{r.nearNode, r.farNode} {
		if err := r.nft(node, ""); err != nil {
			return err
		}
	}
	return nil
}

// faultTools says what of the faults' tools is missing.
func faultTools() error {
	if _, err := exec.LookPath("nft"); err != nil {
		var missing netMissing
		missing.tool(tool{name: "nft", purpose: "to be a firewall that blocks ports", pkg: "nftables"})
		return missing.err()
	}
	return nil
}
