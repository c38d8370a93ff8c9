package wan

import (
	"causeway/internal/mono"
	"causeway/internal/weather"
)

// report gathers the counts; it runs on the loop's thread.
func (l *loop) report(now mono.Time) Stats {
	s := Stats{Since: now.Sub(l.since), Elapsed: now.Sub(l.t0), Lateness: l.late.report()}
	for i := range l.net.links {
		s.Links = append(s.Links, l.net.links[i].report())
	}
	for _, n := range l.net.nodes {
		s.Nodes = append(s.Nodes, NodeStats{
			Name: n.Name, NoRoute: n.noRoute, Foreign: n.foreign,
			Malformed: n.malformed, Overflow: n.overflow, Unwritten: n.unwritten,
		})
	}
	return s
}

func (l *linkState) report() LinkStats {
	c := &l.counts
	s := LinkStats{
		From: l.From, To: l.To, Offered: c.offered, OfferedBytes: c.offeredBytes,
		Delivered: c.delivered, DeliveredBytes: c.deliveredBytes, Duplicated: c.duplicated,
		TTLExpired: c.expired, Fragmented: c.fragmented, Dropped: map[string]uint64{},
	}
	for why := weather.Kept + 1; why < weather.DropReasons; why++ {
		if n := c.dropped[why]; n > 0 {
			s.Dropped[why.String()] = n
		}
	}
	return s
}
