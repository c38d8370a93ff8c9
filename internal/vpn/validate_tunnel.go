package vpn

import (
	"fmt"
	"net/mail"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"causeway/internal/problem"
)

func (t Tunnel) validate() problem.List {
	var l list
	l.check("name", t.Name, name.MatchString(t.Name), nameForm)
	t.validateEnds(&l)
	t.validateIDs(&l)
	l.under("auth", t.Auth.validate(t))
	l.under("ike", t.IKE.validate())
	l.under("esp", t.ESP.validate(t.IKE.Version))
	l.under("dpd", t.DPD.validate(t.IKE.Version))
	l.oneOf("start", string(t.Start), string(StartNow), string(StartTraffic), string(StartPeer))
	l.oneOf("rekeying", string(t.Rekeying), string(RekeyEither), string(RekeyLocal), string(RekeyRemote))
	l.check("replay_window", t.Window, t.Window >= 32 && t.Window <= 2048, "32–2048 packets")
	l.check("mtu", t.MTU, t.MTU >= 576 && t.MTU <= 9000, "576–9000 bytes")
	return problem.List(l)
}

func (t Tunnel) validateEnds(l *list) {
	if t.Local.Domain != "" {
		l.add("local.domain", t.Local.Domain, "nothing: only the other end can be looked up", "set local.address, or leave it away to send from any")
	}
	if t.Remote.Public.IsValid() {
		l.add("remote.public", t.Remote.Public.String(), "nothing: remote.address is the address seen from here", "put it into remote.address")
	}
	validateAddress(l, "local.address", t.Local.Address)
	validateAddress(l, "local.public", t.Local.Public)
	validateAddress(l, "remote.address", t.Remote.Address)
	switch {
	case t.Remote.Address.IsValid() && t.Remote.Domain != "":
		l.add("remote.domain", t.Remote.Domain, "an address or a domain, not both", "take one of them away")
	case t.Remote.Domain != "" && !domain.MatchString(t.Remote.Domain):
		l.add("remote.domain", t.Remote.Domain, "a domain name such as vpn.example.com", "")
	case !t.Remote.Address.IsValid() && t.Remote.Domain == "" && t.Start != StartPeer:
		l.missing("remote.address", "an address, or remote.domain", "name where the other end is, or set start: peer to wait for it from anywhere")
	}
	if a, b := t.Local.Address, t.Remote.Address; a.IsValid() && b.IsValid() {
		if a.Is4() != b.Is4() {
			l.add("remote.address", b.String(), "an address of local.address's family", "")
		}
		if a == b {
			l.add("remote.address", b.String(), "another address than this end's", "")
		}
	}
}

func validateAddress(l *list, path string, a netip.Addr) {
	if a.IsValid() && (a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || a.Zone() != "" || a.Is4In6()) {
		l.add(path, a.String(), "a unicast address such as 198.51.100.7", "")
	}
}

func (t Tunnel) validateIDs(l *list) {
	for _, side := range []struct {
		field string
		end   End
	}{{"local.id", t.Local}, {"remote.id", t.Remote}} {
		id := side.end.ID
		switch {
		case id == "" && side.field == "remote.id" && t.Accelerated:
			l.missing(side.field, idForms, "behind an accelerator the other end's address is not its own: write the identity that it sends")
		case id == "":
			l.missing(side.field, idForms, "")
		case IDKindOf(id) == IDUnknown:
			fix := ""
			if strings.HasPrefix(id, "@") {
				fix = "write it without the @"
			}
			l.add(side.field, id, idForms, fix)
		case t.IKE.Version == 1 && !t.IKE.Aggressive && t.Auth.Method == PSK && IDKindOf(id) != IDAddress:
			l.add(side.field, id, "an address, because IKEv1's main mode looks the key up by address", "set ike.version: 2, or ike.aggressive: true where the other end knows nothing better")
		}
	}
	if t.Local.ID != "" && t.Local.ID == t.Remote.ID {
		l.add("remote.id", t.Remote.ID, "another identity than this end's", "")
	}
}

// IDKind is the form of an IKE identity (RFC 7296, 3.5).
type IDKind int

// The forms there are.
const (
	IDUnknown IDKind = iota
	IDAddress        // ID_IPV4_ADDR, ID_IPV6_ADDR
	IDDomain         // ID_FQDN
	IDMail           // ID_RFC822_ADDR: user@domain
	IDName           // ID_DER_ASN1_DN: a distinguished name such as "C=KR, O=Example, CN=seoul"
)

const idForms = "an address, a domain name, user@domain, or a distinguished name such as \"C=KR, O=Example, CN=seoul\""

var (
	domain    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
	mailUser  = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)
	component = regexp.MustCompile(`^(CN|C|O|OU|L|ST|S|DC|UID|E|emailAddress|serialNumber|SN|GN|N|G|I|T|D)=[^\x00-\x1f\x7f,"/\\;{}#]{1,128}$`)
)

// IDKindOf says which form id has; IDUnknown is none that may be used.
func IDKindOf(id string) IDKind {
	if len(id) > 255 || !printable(id) {
		return IDUnknown
	}
	if a, err := netip.ParseAddr(id); err == nil {
		if a.Zone() != "" {
			return IDUnknown
		}
		return IDAddress
	}
	if strings.Contains(id, "=") {
		for part := range strings.SplitSeq(id, ",") {
			if !component.MatchString(strings.TrimSpace(part)) {
				return IDUnknown
			}
		}
		return IDName
	}
	if user, host, found := strings.Cut(id, "@"); found {
		if _, err := mail.ParseAddress(id); err == nil && mailUser.MatchString(user) && domain.MatchString(host) {
			return IDMail
		}
		return IDUnknown
	}
	if len(id) <= 100 && domain.MatchString(id) && strings.Trim(id, "0123456789.") != "" {
		return IDDomain
	}
	return IDUnknown
}

// printable says whether s is of ASCII characters that can be seen, and spaces.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func (k IKE) validate() problem.List {
	var l list
	l.check("version", k.Version, k.Version == 1 || k.Version == 2, "1 or 2")
	if k.Aggressive && k.Version != 1 {
		l.add("aggressive", true, "nothing: IKEv2 has no modes", "take it away, or set version: 1")
	}
	l.between("lifetime", k.Lifetime, 5*time.Minute, 7*24*time.Hour)
	validateProposals(&l, k.Proposals, k.Version, true)
	return problem.List(l)
}

func (e ESP) validate(version int) problem.List {
	var l list
	l.between("lifetime", e.Lifetime, 2*time.Minute, 24*time.Hour)
	validateProposals(&l, e.Proposals, version, false)
	return problem.List(l)
}

func (d DPD) validate(version int) problem.List {
	var l list
	if d.Off {
		return nil
	}
	l.between("delay", d.Delay, 5*time.Second, time.Hour)
	if version == 2 && d.Timeout != 0 {
		l.add("timeout", d.Timeout, "nothing: IKEv2 counts retransmissions instead", "take it away")
	}
	if version == 1 && d.Timeout < d.Delay {
		l.add("timeout", d.Timeout, "at least the delay", fmt.Sprintf("leave it away for %s", 5*d.Delay))
	}
	l.oneOf("action", string(d.Action), string(DPDClear), string(DPDTrap), string(DPDRestart))
	return problem.List(l)
}
