package vpngw

import (
	"context"
	"maps"
	"slices"
	"time"

	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/vpngw/failover"
	"causeway/internal/vpngw/swan"
)

// look asks charon for its associations.
func (e *engine) look(ctx context.Context, now mono.Time) {
	ask, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	sas, err := e.swan.SAs(ask)
	if err != nil {
		if e.care.quiet.IsZero() {
			e.care.quiet = now
		}
		if e.clock.Now().Sub(e.care.quiet) >= stale-every {
			e.care.problem = e.hide.text(err.Error())
			e.assign(nil, now)
		}
		return
	}
	e.care.quiet, e.care.problem = 0, ""
	e.mu.Lock()
	e.looked = time.Now()
	e.mu.Unlock()
	e.assign(sas, now)
}

// assign gives each tunnel its associations, and draws from counters that grew
// that the peer is alive.
func (e *engine) assign(sas []swan.SA, now mono.Time) {
	for _, c := range e.connections {
		var sending []*tunnel
		for _, t := range c.tunnels {
			if t.assign(sas, now) {
				sending = append(sending, t)
			}
		}
		if len(sending) == 1 {
			e.seen(c, sending[0])
		}
	}
}

// assign takes t's associations out of all, and reports whether packets went out.
func (t *tunnel) assign(sas []swan.SA, now mono.Time) (sending bool) {
	t.sas = nil
	in, out := map[uint64]uint64{}, uint64(0)
	for _, s := range sas {
		if s.Tunnel != t.Name {
			continue
		}
		t.sas = append(t.sas, s)
		for _, child := range s.Children {
			in[child.ID] = child.PacketsIn
			out += child.PacketsOut
			if child.PacketsIn > t.packetsIn[child.ID] {
				t.life.Hear(now)
				t.lastFrom[child.SPIIn] = time.Now()
			}
		}
	}
	sending = out > t.packetsOut && t.packetsOut > 0
	t.packetsIn, t.packetsOut = in, out
	maps.DeleteFunc(t.lastFrom, func(spi string, _ time.Time) bool {
		return !slices.ContainsFunc(t.sas, func(s swan.SA) bool {
			return slices.ContainsFunc(s.Children, func(c swan.Child) bool { return c.SPIIn == spi })
		})
	})
	return sending
}

// best is the association that counts: one that is up, the youngest of these.
func (t *tunnel) best() *swan.SA {
	var best *swan.SA
	for i := range t.sas {
		s := &t.sas[i]
		switch {
		case best == nil, s.Up() && !best.Up(), s.Up() == best.Up() && s.ID > best.ID:
			best = s
		}
	}
	return best
}

// newest is the ID of the youngest child that packets can pass; 0: there is none.
func (t *tunnel) newest() (id uint64) {
	for _, s := range t.sas {
		for _, c := range s.Children {
			if c.Up() && s.Up() {
				id = max(id, c.ID)
			}
		}
	}
	return id
}

// stateNow is one of the four states that the compatible API knows.
func (t *tunnel) stateNow() string {
	best := t.best()
	switch {
	case t.newest() != 0:
		return report.IPsecEstablished
	case best == nil || !best.Up():
		return report.IKENotEstablished
	case len(best.Children) > 0:
		return report.IPsecNotEstablished // a child was there, or is under way, and does not carry
	}
	return report.IKEEstablished
}

// between reports whether the tunnel's IKE SA may be being renewed at this moment,
// in which charon lists the old one as going and its successor not at all. It is
// not believed for longer than a second.
func (t *tunnel) between(now mono.Time) bool {
	const atMost = time.Second
	going := false
	for _, s := range t.sas {
		if s.Up() {
			t.going = 0
			return false
		}
		going = going || s.State == "REKEYED" || s.State == "DELETING"
	}
	switch {
	case !going:
		t.going = 0
	case t.going.IsZero():
		t.going = now
	}
	return going && now.Sub(t.going) < atMost || !t.renewed.IsZero() && now.Sub(t.renewed) < atMost
}

// rank orders the states, the best last.
var rank = map[string]int{report.IKENotEstablished: 0, report.IKEEstablished: 1, report.IPsecNotEstablished: 2, report.IPsecEstablished: 3}

// judge says how tunnels and connections are, and chooses between tunnels.
func (e *engine) judge(now mono.Time) {
	for _, c := range e.connections {
		var lives []*failover.Life
		best := report.IKENotEstablished
		for _, t := range c.tunnels {
			if s, between := t.stateNow(), t.between(now); s != t.state && !between {
				e.log.Info("tunnel changed", "tunnel", t.Name, "connection", c.Name, "state", s, "was", t.state)
				t.state, t.since = s, time.Now()
				e.poke()
			}
			if t.state == report.IPsecEstablished {
				t.remade = 0
			}
			carries := t.state == report.IPsecEstablished || t.state != report.IKENotEstablished && now.Before(t.remade)
			was := t.life.Since()
			alive := t.life.Alive(now, carries && !now.Before(t.failed))
			if was != 0 && !alive && t.state == report.IPsecEstablished {
				e.log.Warn("tunnel is taken for dead: nothing comes from the peer", "tunnel", t.Name, "connection", c.Name)
			}
			if rank[t.state] > rank[best] {
				best = t.state
			}
			lives = append(lives, &t.life)
		}
		if best != c.state {
			c.state, c.since = best, time.Now()
		}
		before := c.choice
		chosen := c.choice.Next(now, lives)
		if before != c.choice {
			c.topAt, c.tops = 0, 0
			c.check.reset()
		}
		active := e.carriers(c, chosen)
		if len(c.tunnels) > 1 && !slices.Equal(active, c.active) {
			e.log.Info("connection uses other tunnels now", "connection", c.Name, "tunnels", active, "before", c.active)
			e.poke()
		}
		c.active = active
	}
}
