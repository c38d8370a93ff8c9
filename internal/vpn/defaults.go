package vpn

import (
	"fmt"
	"slices"
	"time"
)

// What a connection has that names nothing else.
const (
	DefaultIKELifetime = 24 * time.Hour
	DefaultESPLifetime = time.Hour
	DefaultDPDDelay    = 30 * time.Second
	DefaultWindow      = 1024 // packets
	DefaultPathMTU     = 1500 // bytes
)

// WithDefaults returns c with every value filled in that it leaves open. It
// judges nothing, and shares no memory with c that it changes. Identities
// default to the addresses, except the far one behind an accelerator, whose
// address is not its own: that one has to be given.
func (c Connection) WithDefaults() Connection {
	c.Routing = or(c.Routing, PolicyRouting)
	c.Redundancy = or(c.Redundancy, ActiveStandby)
	c.Tunnels = slices.Clone(c.Tunnels)
	for i := range c.Tunnels {
		if c.Tunnels[i].Name == "" && c.Name != "" {
			c.Tunnels[i].Name = c.Name
			if len(c.Tunnels) > 1 {
				c.Tunnels[i].Name = fmt.Sprintf("%s-%d", c.Name, i+1)
			}
		}
		c.Tunnels[i] = c.Tunnels[i].WithDefaults()
	}
	if c.HealthCheck != nil {
		h := *c.HealthCheck
		h.Interval, h.Retries = or(h.Interval, 3*time.Second), or(h.Retries, 3)
		c.HealthCheck = &h
	}
	return c
}

// WithDefaults returns t with every value filled in that it leaves open, but its name.
func (t Tunnel) WithDefaults() Tunnel {
	t.Local.ID, t.Remote.ID = or(t.Local.ID, localID(t.Local)), or(t.Remote.ID, remoteID(t))
	t.Auth.Method = or(t.Auth.Method, PSK)
	t.IKE = t.IKE.withDefaults()
	t.ESP = t.ESP.withDefaults()
	t.Start = or(t.Start, StartNow)
	t.Window = or(t.Window, DefaultWindow)
	t.Rekeying = or(t.Rekeying, RekeyEither)
	t.DPD = t.DPD.withDefaults(t.IKE.Version)
	if t.MTU == 0 {
		t.MTU, _ = t.PathMTU(DefaultPathMTU)
	}
	return t
}

func localID(e End) string {
	switch {
	case e.Public.IsValid():
		return e.Public.String()
	case e.Address.IsValid():
		return e.Address.String()
	}
	return ""
}

func remoteID(t Tunnel) string {
	switch {
	case t.Accelerated:
		return ""
	case t.Remote.Address.IsValid():
		return t.Remote.Address.String()
	}
	return t.Remote.Domain
}

func (k IKE) withDefaults() IKE {
	k.Version = or(k.Version, 2)
	k.Lifetime = or(k.Lifetime, DefaultIKELifetime)
	if k.Fragmentation == nil {
		yes := true
		k.Fragmentation = &yes
	}
	if len(k.Proposals) == 0 {
		k.Proposals = DefaultIKE
	}
	k.Proposals = slices.Clone(k.Proposals)
	for i, p := range k.Proposals {
		if p.PRF == "" {
			p.PRF = or(p.Integrity, "sha256")
		}
		k.Proposals[i] = p
	}
	return k
}

func (e ESP) withDefaults() ESP {
	e.Lifetime = or(e.Lifetime, DefaultESPLifetime)
	if len(e.Proposals) == 0 {
		e.Proposals = DefaultESP
	}
	e.Proposals = slices.Clone(e.Proposals)
	return e
}

func (d DPD) withDefaults(version int) DPD {
	if d.Off {
		return d
	}
	d.Delay = or(d.Delay, DefaultDPDDelay)
	if version == 1 {
		d.Timeout = or(d.Timeout, 5*d.Delay)
	}
	d.Action = or(d.Action, DPDRestart)
	return d
}

// WithDefaults returns r with every value filled in that it leaves open.
func (r Route) WithDefaults() Route {
	if r.Source.IsValid() {
		r.Priority = or(r.Priority, 10)
	}
	return r
}

// or returns v, or other where v is the zero value.
func or[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}
