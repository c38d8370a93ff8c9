package vpn

import (
	"net/netip"
	"slices"
)

// Mirror returns c as the other end has to have it: networks, identities and
// routes to them swapped, the side that renews keys and the side that begins
// turned round, everything else the same. What c cannot know stays empty: the
// other end's certificate and private key, and, on an accelerated tunnel, both
// addresses, because neither end ever sees the other's own. Defaults are filled
// in first. Without accelerator and certificates Mirror(Mirror(c)) is c again,
// except that a domain and an address behind 1:1 NAT are not seen from outside.
func Mirror(c Connection) Connection {
	c = c.WithDefaults()
	c.LocalNetworks, c.RemoteNetworks = slices.Clone(c.RemoteNetworks), slices.Clone(c.LocalNetworks)
	for i := range c.Tunnels {
		c.Tunnels[i] = c.Tunnels[i].mirror()
	}
	if h := c.HealthCheck; h != nil {
		h.Source, h.Destination = h.Destination, h.Source
	}
	return c
}

func (t Tunnel) mirror() Tunnel {
	here, there := t.Local, t.Remote
	t.Local = End{Name: there.Name, Address: there.Address, ID: there.ID, ASN: there.ASN}
	t.Remote = End{Name: here.Name, Address: here.Address, ID: here.ID, ASN: here.ASN}
	if here.Public.IsValid() {
		t.Remote.Address = here.Public
	}
	if t.Accelerated {
		t.Local.Address, t.Remote.Address = netip.Addr{}, netip.Addr{}
	}
	t.Auth.Certificate, t.Auth.PrivateKey = "", ""
	t.Start = mirrored(t.Start, StartNow, StartPeer)
	t.Rekeying = mirrored(t.Rekeying, RekeyLocal, RekeyRemote)
	t.DPD.Action = mirrored(t.DPD.Action, DPDRestart, DPDClear) // one end starts again, or both do and get in each other's way
	return t
}

func mirrored[T comparable](v, a, b T) T {
	switch v {
	case a:
		return b
	case b:
		return a
	}
	return v
}
