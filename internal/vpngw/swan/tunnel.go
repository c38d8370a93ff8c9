package swan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/strongswan/govici/vici"

	"causeway/internal/vpn"
)

// Tunnel is everything charon is told about one tunnel, but its secrets. The IKE
// connection and its child both have the tunnel's name.
type Tunnel struct {
	vpn.Tunnel                           // with its defaults
	LocalNets, RemoteNets []netip.Prefix // traffic selectors
	// Shared says that another tunnel of this gateway has the same two
	// identities: then charon must not take one for a successor of the other.
	Shared bool
	Reqid  uint32        // of its policies; not 0, and this tunnel's alone
	IfID   uint32        // of its XFRM interface; 0: none
	DPD    time.Duration // of silence before charon asks the peer; 0: as the tunnel says
	Trap   bool          // packets may start it
}

// Digest changes when anything that charon is told about the tunnel does.
func (t Tunnel) Digest() string {
	sum := sha256.Sum256([]byte(t.message().String()))
	return hex.EncodeToString(sum[:8])
}

// Proof changes when what either end proves itself by does: the pre-shared key, or
// certificates and private key. It gives no secret away.
func (t Tunnel) Proof() string { return CredentialsOf([]Tunnel{t}).Digest() }

// message is what load-conn takes.
func (t Tunnel) message() *vici.Message {
	rekeyIKE, _ := t.RekeyTimes()
	unique := "replace"
	if t.Shared {
		unique = "never"
	}
	m := message(
		"version", fmt.Sprint(t.IKE.Version),
		"local_addrs", []string{address(t.Local)},
		"remote_addrs", []string{address(t.Remote)},
		"proposals", ikeProposals(t.IKE),
		"aggressive", t.IKE.Aggressive,
		"encap", t.NATT,
		"mobike", false, // behind a NAT whose mapping moves it keeps a tunnel dead for longer than DPD does
		"fragmentation", t.IKE.Fragmentation == nil || *t.IKE.Fragmentation,
		"childless", "allow",
		"keyingtries", "0",
		"unique", unique,
		"rekey_time", whole(rekeyIKE),
		"over_time", whole(t.IKE.Lifetime-rekeyIKE),
		"rand_time", whole(advance(t.Rekeying, t.IKE.Lifetime)),
		"local", t.local(),
		"remote", t.remote(),
		"children", message(t.Name, t.child()),
	)
	if delay := t.dpdDelay(); delay > 0 {
		set(m, "dpd_delay", whole(delay))
		if t.IKE.Version == 1 && t.Tunnel.DPD.Timeout > 0 {
			set(m, "dpd_timeout", whole(t.Tunnel.DPD.Timeout))
		}
	}
	return message(t.Name, m)
}

func (t Tunnel) dpdDelay() time.Duration {
	switch {
	case t.Tunnel.DPD.Off:
		return 0
	case t.DPD > 0:
		return min(t.DPD, t.Tunnel.DPD.Delay)
	}
	return t.Tunnel.DPD.Delay
}

func (t Tunnel) child() *vici.Message {
	_, rekey := t.RekeyTimes()
	start := "none"
	if t.Trap {
		start = "trap"
	}
	m := message(
		"local_ts", prefixes(t.LocalNets),
		"remote_ts", prefixes(t.RemoteNets),
		"esp_proposals", espProposals(t.ESP),
		"mode", "tunnel",
		"start_action", start,
		"close_action", "none", // who begins again, and when, is the agent's business
		"rekey_time", whole(rekey),
		"life_time", whole(t.ESP.Lifetime),
		"rand_time", whole(advance(t.Rekeying, t.ESP.Lifetime)),
		"replay_window", fmt.Sprint(t.Window),
		"reqid", fmt.Sprint(t.Reqid),
	)
	if t.IfID != 0 {
		set(m, "if_id_in", fmt.Sprint(t.IfID))
		set(m, "if_id_out", fmt.Sprint(t.IfID))
	}
	if action := t.Tunnel.DPD.Action; !t.Tunnel.DPD.Off && action != "" {
		set(m, "dpd_action", string(action))
	}
	return m
}

// advance is the most by which charon renews keys earlier than it must, by
// chance: so that two ends that may both begin do not do it in the same moment.
// An end that is to come first, or last, keeps its place.
func advance(r vpn.Rekeying, lifetime time.Duration) time.Duration {
	if r == vpn.RekeyEither {
		return lifetime / 10
	}
	return lifetime / 25
}

func (t Tunnel) local() *vici.Message {
	return t.end(t.Local.ID, "certs", firstCertificate(t.Auth.Certificate))
}

func (t Tunnel) remote() *vici.Message {
	return t.end(t.Remote.ID, "cacerts", certificates(t.Auth.CA))
}

// end is one end: who it is, and how it proves that.
func (t Tunnel) end(id, proof string, certificates []string) *vici.Message {
	m := message("id", id)
	if t.Auth.Method != vpn.Certificate {
		set(m, "auth", "psk")
		return m
	}
	set(m, "auth", "pubkey")
	set(m, proof, certificates)
	return m
}

func set(m *vici.Message, key string, value any) {
	if s, ok := value.([]string); ok && len(s) == 0 {
		return
	}
	if err := m.Set(key, value); err != nil {
		panic("swan: " + err.Error()) // a type that no caller here has
	}
}

func address(e vpn.End) string {
	switch {
	case e.Address.IsValid():
		return e.Address.String()
	case e.Domain != "":
		return e.Domain
	}
	return "%any"
}

func prefixes(nets []netip.Prefix) []string {
	all := make([]string, len(nets))
	for i, n := range nets {
		all[i] = n.Masked().String()
	}
	return all
}

func whole(d time.Duration) string { return fmt.Sprintf("%ds", max(int64(d/time.Second), 1)) }
