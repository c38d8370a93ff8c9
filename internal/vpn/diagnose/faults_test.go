package diagnose

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway/internal/vpn"
	"causeway/internal/vpn/daemontest"
	"causeway/internal/vpn/device"
)

// fault is one thing wrong between two real daemons: how it is made, and what
// each end's log has to be read as.
type fault struct {
	name       string
	near, far  func(*vpn.Connection)                     // changes to what the two ends have
	files      func(t *testing.T, a, b *daemontest.Host) // more files of theirs
	settings   string                                    // of both daemons
	before     func(a, b *daemontest.Host)               // both run, nothing is begun
	absent     bool                                      // the far daemon does not run
	up         bool                                      // the tunnel comes up before it breaks
	after      func(a, b *daemontest.Host)               // it was tried, or it is up
	a, b       vpn.Code                                  // "": the log of this end says nothing
	local, rem string                                    // what does not match, as the near end's finding says, or, where it can't know, the far end's
}

// pairOf is a connection that comes up between the two hosts of daemontest.
func pairOf() (near, far vpn.Connection) {
	prefix := netip.MustParsePrefix
	near = vpn.Connection{
		Name: "seoul", LocalNetworks: []netip.Prefix{prefix("10.1.0.0/24")}, RemoteNetworks: []netip.Prefix{prefix("10.2.0.0/24")},
		Tunnels: []vpn.Tunnel{{
			Local:  vpn.End{Address: netip.MustParseAddr("198.18.1.2"), ID: "sh.lab"},
			Remote: vpn.End{Address: netip.MustParseAddr("198.18.1.3"), ID: "se.lab"},
			Auth:   vpn.Auth{PSK: "captured-with-this-key"}, NATT: true, Start: vpn.StartTraffic,
			IKE: vpn.IKE{Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 19}}},
			ESP: vpn.ESP{Proposals: []vpn.Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 19}}},
			DPD: vpn.DPD{Action: vpn.DPDClear, Delay: 5 * time.Second},
		}},
	}
	near = near.WithDefaults()
	far = vpn.Mirror(near)
	return near, far
}

func ike1(c *vpn.Connection) {
	t := &c.Tunnels[0]
	t.IKE.Version = 1
	t.Local.ID, t.Remote.ID = t.Local.Address.String(), t.Remote.Address.String()
	t.DPD.Timeout = 10 * time.Second
}

func ikeProposal(change func(*vpn.Proposal)) func(*vpn.Connection) {
	return func(c *vpn.Connection) { change(&c.Tunnels[0].IKE.Proposals[0]) }
}

func espProposal(change func(*vpn.Proposal)) func(*vpn.Connection) {
	return func(c *vpn.Connection) { change(&c.Tunnels[0].ESP.Proposals[0]) }
}

var faults = []fault{
	{name: "psk", far: func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = "another" }, a: vpn.PskMismatch, b: vpn.PskMismatch},
	{name: "psk-ikev1", near: ike1, far: func(c *vpn.Connection) { ike1(c); c.Tunnels[0].Auth.PSK = "another" }, a: vpn.PskMismatch, b: vpn.PskMismatch},
	{name: "ike-encryption", far: ikeProposal(func(p *vpn.Proposal) { p.Encryption = "aes128" }), a: vpn.ProposalMismatch, b: vpn.EncryptionAlgorithmMismatch, local: "aes128", rem: "aes256"},
	{name: "ike-integrity", far: ikeProposal(func(p *vpn.Proposal) { p.Integrity, p.PRF = "sha512", "sha512" }), a: vpn.ProposalMismatch, b: vpn.AuthenticationAlgorithmMismatch, local: "sha512", rem: "sha256"},
	{name: "ike-group", far: ikeProposal(func(p *vpn.Proposal) { p.DH = 14 }), a: vpn.ProposalMismatch, b: vpn.DhGroupMismatch, local: "group 14", rem: "group 19"},
	{name: "esp-encryption", far: espProposal(func(p *vpn.Proposal) { p.Encryption = "aes128" }), a: vpn.ProposalMismatch, b: vpn.EncryptionAlgorithmMismatch, local: "aes128", rem: "aes256"},
	{name: "pfs", far: espProposal(func(p *vpn.Proposal) { p.DH = 14 }), up: true, after: func(a, b *daemontest.Host) {
		a.Run("swanctl", "--rekey", "--child", "seoul")
		a.Await("NO_PROPOSAL_CHOSEN")
	}, a: vpn.PfsMismatch, b: vpn.PfsMismatch, local: "group 14", rem: "group 19"},
	{name: "id-unknown-there", near: func(c *vpn.Connection) { c.Tunnels[0].Local.ID = "typo.lab" }, a: vpn.PskMismatch, b: vpn.PeerIdMismatch, local: "sh.lab", rem: "typo.lab"},
	{name: "id-unexpected-here", near: func(c *vpn.Connection) { c.Tunnels[0].Remote.ID = "seoul.lab" }, a: vpn.PskMismatch, b: vpn.PeerIdMismatch, local: "se.lab", rem: "seoul.lab"},
	{name: "selectors", far: func(c *vpn.Connection) { c.LocalNetworks[0] = netip.MustParsePrefix("10.9.0.0/24") }, a: vpn.TrafficSelectorMismatch, b: vpn.TrafficSelectorMismatch, local: "10.9.0.0/24", rem: "10.2.0.0/24"},
	{name: "selectors-ikev1", near: ike1, far: func(c *vpn.Connection) { ike1(c); c.LocalNetworks[0] = netip.MustParsePrefix("10.9.0.0/24") }, a: vpn.TrafficSelectorMismatch, b: vpn.TrafficSelectorMismatch},
	{name: "version-far-is-1", far: ike1, a: vpn.ProposalMismatch, b: vpn.IkeVersionMismatch, local: "1", rem: "2"},
	{name: "version-far-is-2", near: ike1, a: vpn.ProposalMismatch, b: vpn.IkeVersionMismatch, local: "2", rem: "1"},
	{name: "mode-aggressive", near: func(c *vpn.Connection) { ike1(c); c.Tunnels[0].IKE.Aggressive = true }, far: ike1, a: vpn.NegotiationModeMismatch, b: vpn.NegotiationModeMismatch},
	{name: "no-answer", absent: true, a: vpn.NoResponse},
	{name: "peer-address", far: func(c *vpn.Connection) { c.Tunnels[0].Remote.Address = netip.MustParseAddr("198.18.1.77") }, a: vpn.ProposalMismatch, b: vpn.PeerMismatch},
	{name: "port-4500-blocked", before: func(a, b *daemontest.Host) { a.Block(4500) }, a: vpn.Port4500Blocked},
	{name: "certificate-untrusted", near: certificates, far: certificates, files: func(t *testing.T, a, b *daemontest.Host) {
		issue(t, a, "sh.lab", "one", b, "se.lab", "two", time.Hour)
	}, a: vpn.CertificateInvalid, b: vpn.CertificateInvalid},
	{name: "certificate-expired", near: certificates, far: certificates, files: func(t *testing.T, a, b *daemontest.Host) {
		issue(t, a, "sh.lab", "one", b, "se.lab", "one", -time.Hour)
	}, a: vpn.CertificateInvalid, b: vpn.CertificateInvalid},
	{name: "method", near: certificates, files: func(t *testing.T, a, b *daemontest.Host) {
		issue(t, a, "sh.lab", "one", b, "se.lab", "one", time.Hour)
	}, a: vpn.CertificateInvalid, b: vpn.AuthenticationAlgorithmMismatch},
	{name: "peer-dies", up: true, after: func(a, b *daemontest.Host) { b.Block(0); a.Await("giving up after") }, a: vpn.DpdTimeout},
	{name: "peer-deletes", up: true, after: func(a, b *daemontest.Host) {
		b.Run("swanctl", "--terminate", "--ike", "seoul")
		a.Await("received DELETE for IKE_SA")
	}, a: vpn.ReceiveDeleteNotify},
	{name: "lifetime-ikev1", near: ike1, far: func(c *vpn.Connection) { ike1(c); c.Tunnels[0].ESP.Lifetime = 30 * time.Minute }, up: true, b: vpn.LifetimeMismatch},
	{name: "fine", up: true, a: vpn.NoExceptionFound, b: vpn.NoExceptionFound},
}

func certificates(c *vpn.Connection) {
	c.Tunnels[0].Auth = vpn.Auth{Method: vpn.Certificate}
}

// play makes a fault happen and returns what the two ends logged.
func play(t *testing.T, f fault) (logA, logB string) {
	a, b := daemontest.Pair(t)
	near, far := f.ends()
	for h, c := range map[*daemontest.Host]vpn.Connection{a: near, b: far} {
		config, err := device.Render("strongswan", c, device.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h.Write("swanctl.conf", config.Files[0].Text)
	}
	if f.files != nil {
		f.files(t, a, b)
	}
	a.Charon(f.settings)
	if !f.absent {
		b.Charon(f.settings)
	}
	if f.before != nil {
		f.before(a, b)
	}
	within := 15 * time.Second // enough to give up once or more
	if f.up {
		within = daemontest.Patience
	}
	err := a.Initiate("seoul", within)
	if f.up != (err == nil) {
		t.Fatalf("the tunnel came up: %v; want %v; %v\n%s\n%s", err == nil, f.up, err, a.Log(), b.Log())
	}
	if f.after != nil {
		f.after(a, b)
	}
	return a.Log(), b.Log()
}

func (f fault) ends() (near, far vpn.Connection) {
	near, far = pairOf()
	if f.near != nil {
		f.near(&near)
	}
	if f.far != nil {
		f.far(&far)
	}
	return near, far
}

func lines(log string) []Line {
	var l []Line
	for raw := range strings.Lines(log) {
		if line, ok := ParseLine(raw); ok {
			l = append(l, line)
		}
	}
	return l
}
