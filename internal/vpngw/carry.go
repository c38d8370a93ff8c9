package vpngw

import (
	"slices"

	"causeway/internal/report"
	"causeway/internal/vpn"
)

// carriers names the tunnels that carry a connection's traffic to the peer.
//
// With the kernel's ESP each tunnel has an interface, and routes decide. charon's
// own ESP has one device for all: of tunnels with the same selectors it sends
// through the one that was established last, so that there is only ever one,
// also in active-active; packets from the peer are taken on both.
func (e *engine) carriers(c *connection, chosen int) []string {
	if !e.kernel {
		if t := c.sender(); t != nil {
			return []string{t.Name}
		}
		for _, t := range c.tunnels {
			if t.state == report.IPsecEstablished && slices.Contains(c.active, t.Name) {
				return c.active // it is being renewed
			}
		}
		return nil
	}
	if c.Redundancy == vpn.ActiveActive {
		var all []string
		for _, t := range c.tunnels {
			if !t.life.Since().IsZero() {
				all = append(all, t.Name)
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	if t := c.tunnels[chosen]; t.state == report.IPsecEstablished {
		return []string{t.Name}
	}
	return nil
}

// sender is the tunnel that a charon which does ESP itself sends through: of
// policies alike it takes the one that was installed last. A child that is
// renewed keeps the place of the one before it.
func (c *connection) sender() *tunnel {
	var sender *tunnel
	for _, t := range c.tunnels {
		if t.newest() != 0 && (sender == nil || t.place > sender.place) {
			sender = t
		}
	}
	return sender
}

// seen corrects what is known about places by what was seen: when packets went
// out through one tunnel alone, it is that one that sends.
func (e *engine) seen(c *connection, out *tunnel) {
	if out != nil && c.sender() != out {
		out.place = e.nextPlace()
	}
}

// nextPlace is before all others.
func (e *engine) nextPlace() uint64 {
	e.places++
	return e.places
}
