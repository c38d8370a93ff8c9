package swan

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/strongswan/govici/vici"
)

// SA is an IKE SA as charon lists it.
type SA struct {
	Tunnel        string // its connection's name
	ID            uint64 // grows with every IKE SA that this charon makes
	Version       int
	State         string // CREATED, CONNECTING, ESTABLISHED, REKEYING, REKEYED, DELETING, PASSIVE
	Local, Remote netip.AddrPort
	LocalID       string
	RemoteID      string
	Initiator     bool
	InitiatorSPI  string
	NATLocal      bool // something stands before this end, or charon was told to say so
	NATRemote     bool
	Proposal      string
	Established   float64 // seconds ago
	RekeyIn       float64 // seconds
	Children      []Child
}

// Child is a child SA.
type Child struct {
	Name          string // of its configuration
	ID            uint64 // grows with every child SA that this charon makes
	State         string // CREATED, ROUTED, INSTALLING, INSTALLED, UPDATING, REKEYING, REKEYED, DELETING, …
	SPIIn, SPIOut string
	Proposal      string
	Encap         bool
	Local, Remote []string // traffic selectors
	PacketsIn     uint64
	BytesIn       uint64
	PacketsOut    uint64
	BytesOut      uint64
	Installed     float64 // seconds ago
	RekeyIn       float64 // seconds
	IdleIn        float64 // seconds since a packet came in; -1: none did
}

// Up reports whether the IKE SA is there to be used.
func (s SA) Up() bool { return s.State == "ESTABLISHED" || s.State == "REKEYING" }

// Up reports whether packets can pass in both directions.
func (c Child) Up() bool {
	return c.State == "INSTALLED" || c.State == "REKEYING" || c.State == "UPDATING"
}

// SAs lists all IKE SAs with their children.
func (c Client) SAs(ctx context.Context) ([]SA, error) {
	list, err := c.list(ctx, "list-sas", "list-sa", nil)
	if err != nil {
		return nil, err
	}
	var all []SA
	for _, m := range list {
		names, found := sections(m)
		for i, s := range found {
			all = append(all, parseSA(names[i], s))
		}
	}
	return all, nil
}

func parseSA(name string, m *vici.Message) SA {
	s := SA{
		Tunnel: name, ID: number(m, "uniqueid"), Version: int(number(m, "version")), State: text(m, "state"),
		Local: endpoint(m, "local"), Remote: endpoint(m, "remote"), LocalID: text(m, "local-id"), RemoteID: text(m, "remote-id"),
		Initiator: yes(m, "initiator"), InitiatorSPI: text(m, "initiator-spi"), NATLocal: yes(m, "nat-local"), NATRemote: yes(m, "nat-remote"),
		Proposal: algorithms(m), Established: seconds(m, "established"), RekeyIn: max(seconds(m, "rekey-time"), seconds(m, "reauth-time")),
	}
	if children, ok := m.Get("child-sas").(*vici.Message); ok {
		_, found := sections(children)
		for _, c := range found {
			s.Children = append(s.Children, parseChild(c))
		}
	}
	return s
}

func parseChild(m *vici.Message) Child {
	c := Child{
		Name: text(m, "name"), ID: number(m, "uniqueid"), State: text(m, "state"), SPIIn: text(m, "spi-in"), SPIOut: text(m, "spi-out"),
		Proposal: algorithms(m), Encap: yes(m, "encap"), Local: texts(m, "local-ts"), Remote: texts(m, "remote-ts"),
		PacketsIn: number(m, "packets-in"), BytesIn: number(m, "bytes-in"), PacketsOut: number(m, "packets-out"), BytesOut: number(m, "bytes-out"),
		Installed: seconds(m, "install-time"), RekeyIn: seconds(m, "rekey-time"), IdleIn: -1,
	}
	if m.Get("use-in") != nil {
		c.IdleIn = seconds(m, "use-in")
	}
	return c
}

func endpoint(m *vici.Message, side string) netip.AddrPort {
	a, err := netip.ParseAddr(text(m, side+"-host"))
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, uint16(number(m, side+"-port")))
}

// algorithms puts together what was agreed on: AES_CBC-256/HMAC_SHA2_256_128/….
func algorithms(m *vici.Message) string {
	var parts []string
	add := func(name, size string) {
		if name != "" && size != "" {
			name += "-" + size
		}
		parts = append(parts, name)
	}
	add(text(m, "encr-alg"), text(m, "encr-keysize"))
	add(text(m, "integ-alg"), text(m, "integ-keysize"))
	add(text(m, "prf-alg"), "")
	add(text(m, "dh-group"), "")
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "/")
}

// OlderThan reports whether o is to be kept of s and o, two IKE SAs of one
// tunnel. Ages that differ by less than crossing attempts can are one age; then
// both ends decide by what both know.
func (s SA) OlderThan(o SA) bool {
	const crossing = 4 // seconds
	if d := s.Established - o.Established; d > crossing || d < -crossing {
		return d > 0
	}
	return o.InitiatorSPI < s.InitiatorSPI
}
