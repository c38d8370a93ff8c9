package vpngw

import (
	"context"
	"time"

	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/swan"
)

// Times of negotiating.
const (
	longestTry = 15 * time.Second // between attempts to bring a tunnel up
	doubtAfter = 5 * time.Second  // that two associations of one tunnel may stand side by side
	longestTop = time.Minute      // between attempts to put a tunnel first
)

// act has charon do what follows from how everything is.
func (e *engine) act(ctx context.Context, now mono.Time) {
	if e.unloaded {
		e.load(ctx)
	}
	for _, c := range e.connections {
		for _, t := range c.tunnels {
			e.clear(ctx, t)
			e.begin(ctx, t, now)
		}
		if !e.kernel && len(c.tunnels) > 1 {
			e.putFirst(ctx, c, now)
		}
	}
}

// load makes charon know what the snapshot says, and nothing else. What it knows
// already is left alone, so that a new snapshot does not touch tunnels that stay.
func (e *engine) load(ctx context.Context) {
	var all []swan.Tunnel
	wanted := map[string]bool{}
	for _, c := range e.connections {
		for _, t := range c.tunnels {
			all, wanted[t.Name] = append(all, t.Tunnel), true
		}
	}
	if err := e.loadAll(ctx, all, wanted); err != nil {
		if text := e.hide.text(err.Error()); e.care.problem != text {
			e.log.Error("charon does not take everything; it will be tried again", "reason", text)
			e.care.problem = text
		}
		return
	}
	e.unloaded = false
}

func (e *engine) loadAll(ctx context.Context, all []swan.Tunnel, wanted map[string]bool) error {
	there, err := e.swan.Loaded(ctx)
	if err != nil {
		return err
	}
	for _, name := range there {
		if wanted[name] {
			continue
		}
		if err := e.swan.Unload(ctx, name); err != nil {
			return err
		}
		_ = e.swan.Terminate(ctx, name, 0) // charon refuses where there is nothing to end
		e.log.Info("tunnel removed", "tunnel", name)
	}
	if now := swan.CredentialsOf(all); now.Digest() != e.credentials.Digest() {
		if err := e.swan.LoadCredentials(ctx, e.credentials, now); err != nil {
			return err
		}
		e.credentials = now
		for _, c := range e.connections {
			for _, t := range c.tunnels { // what did not come up for a wrong key may do now
				if t.loaded != "" {
					t.tryAt, t.tries = 0, 0
				}
			}
		}
	}
	for _, c := range e.connections {
		for _, t := range c.tunnels {
			if err := e.loadTunnel(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// proofs are what an end proves itself by.
var proofs = map[vpn.AuthMethod]string{vpn.PSK: "pre-shared key", vpn.Certificate: "certificates"}

func (e *engine) loadTunnel(ctx context.Context, t *tunnel) error {
	digest, proof := t.Digest(), t.Proof()
	was, wasProof := t.loaded, t.proof
	if was == digest && wasProof == proof {
		return nil
	}
	if was != digest {
		if err := e.swan.Load(ctx, t.Tunnel); err != nil {
			return err
		}
		e.log.Info("tunnel loaded", "tunnel", t.Name, "connection", t.connection, "peer", t.Remote.Address, "changed", was != "")
	}
	t.loaded, t.proof = digest, proof
	if was == "" || len(t.sas) == 0 {
		return nil
	}
	// What is up has the old parameters, and has proved itself by the old key, which
	// may be changed because others know it.
	because := "its parameters changed"
	if wasProof != proof {
		because = "what it proves itself by changed: its " + proofs[t.Auth.Method]
	}
	e.log.Info("tunnel is negotiated anew", "tunnel", t.Name, "connection", t.connection, "because", because)
	e.book.add(swan.Event{At: time.Now(), Group: "AGENT", Tunnels: []string{t.Name}, Text: "the tunnel is negotiated anew: " + because}, e.hide)
	_ = e.swan.Terminate(ctx, t.Name, 0)
	t.tryAt, t.tries = 0, 0
	return nil
}

// begin brings a tunnel up that should be and is not, nor on its way. A charon
// that does ESP itself cannot wait for traffic: such tunnels are begun as well.
func (e *engine) begin(ctx context.Context, t *tunnel, now mono.Time) {
	if t.state == report.IPsecEstablished {
		t.tries = 0
		return
	}
	wants := t.Start == vpn.StartNow || t.Start == vpn.StartTraffic && !t.Trap
	if !wants || t.held || t.loaded == "" || now.Before(t.tryAt) {
		return
	}
	for _, s := range t.sas {
		if s.State == "CONNECTING" || s.Up() && len(s.Children) > 0 && t.tries == 0 {
			t.tryAt = now.Add(time.Second)
			return // charon is at it, and repeats by itself
		}
	}
	t.tries++
	t.tryAt = now.Add(min(longestTry, time.Second<<min(t.tries-1, 6)))
	if err := e.swan.Initiate(ctx, t.Name, 0); err != nil {
		e.log.Warn("tunnel could not be initiated", "tunnel", t.Name, "reason", e.hide.text(err.Error()))
	}
}

// clear ends associations of a tunnel that another one has taken the place of. Two
// ends that began in the same moment must both keep the same one: of two of one
// age it is the one whose initiator has the smaller SPI.
func (e *engine) clear(ctx context.Context, t *tunnel) {
	var keep *swan.SA
	for i := range t.sas {
		if s := &t.sas[i]; s.Up() && (keep == nil || keep.OlderThan(*s)) {
			keep = s
		}
	}
	for _, s := range t.sas {
		if s.Up() && s.ID != keep.ID && min(s.Established, keep.Established) >= doubtAfter.Seconds() {
			e.log.Info("an association that was replaced is ended", "tunnel", t.Name, "age_seconds", s.Established)
			_ = e.swan.TerminateSA(ctx, s.ID)
		}
	}
}

// putFirst makes charon send through the tunnel that was chosen. The one that
// sends is the one that was established last, so the child of the chosen one,
// which carries nothing yet, is ended and made anew; begin does the second half.
// Both ends see the same order, so they change over together, and one of them is
// enough to do it. A tunnel that sends and whose peer is dead is ended without
// asking, to be negotiated anew.
func (e *engine) putFirst(ctx context.Context, c *connection, now mono.Time) {
	chosen, sender := c.chosen(), c.sender()
	if sender == chosen || sender == nil {
		if now.Sub(c.topAt) > longestTop {
			c.tops = 0
		}
		return
	}
	dead := sender.life.Since().IsZero()
	if chosen.state != report.IPsecEstablished || c.Redundancy == vpn.ActiveActive && !dead || !dead && !chosen.leads() || now.Before(c.topAt) {
		return
	}
	c.tops++
	c.topAt = now.Add(min(longestTop, 2*time.Second<<min(c.tops-1, 6)))
	e.log.Info("tunnel is put first", "connection", c.Name, "tunnel", chosen.Name, "before", sender.Name, "which_is_dead", dead)
	if dead {
		sender.tryAt, sender.tries, c.topAt, c.tops = 0, 0, 0, 0
		e.swan.Abandon(ctx, sender.Name)
		return
	}
	chosen.tryAt, chosen.tries, chosen.remade = 0, 0, now.Add(doubtAfter)
	if err := e.swan.TerminateChild(ctx, chosen.Name); err != nil {
		e.log.Warn("tunnel could not be put first", "tunnel", chosen.Name, "reason", e.hide.text(err.Error()))
	}
}

// leads reports whether this end is the one to change the order of tunnels: the
// one that began it.
func (t *tunnel) leads() bool {
	s := t.best()
	return s != nil && s.Initiator && t.Start != vpn.StartPeer
}

func (c *connection) chosen() *tunnel { return c.tunnels[c.choice.Active()] }
