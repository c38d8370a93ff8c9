package sim

import (
	"net/netip"
	"time"
)

// SetEndpointHealth tells the running PoP what asking one of its endpoints has
// shown, as its agent would.
func (p *PoP) SetEndpointHealth(group string, endpoint netip.Addr, up bool, rtt time.Duration) error {
	err := p.engine.SetEndpointHealth(p.world.Now, group, endpoint, up, rtt)
	p.engine.Flush(p.world.Now)
	return err
}

// SetEndpointBears tells the running PoP what its probes would.
func (p *PoP) SetEndpointBears(group string, endpoint netip.Addr, bears bool) {
	p.engine.SetEndpointBears(group, endpoint, bears)
}
