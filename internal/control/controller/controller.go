// Package controller hands out what follows from the store, and takes in what
// comes back: resources changed, so compile; a PoP's part changed, so its agent
// gets its snapshot; agents report, so the PoP's state is noted. Any number of
// controllers may do so beside one another on one store: equal worlds compile
// to equal snapshots, and nothing is decided here.
//
// How agents are connected is package agentlink's; every rule is the service's.
package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/apiform"
	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/pki"
	"causeway/internal/report"
	"causeway/internal/resource"
	"causeway/internal/strictyaml"
)

const (
	// recheck is how often the store is asked whether the certificate of an agent
	// that follows is good, should no change have told of its end.
	recheck = 8 * time.Second
	// grace is how long an agent may be gone before it is noted: one that lost its
	// connection comes back within seconds.
	grace = 5 * time.Second
	// settle is how long after the start of a controller agents may take to come.
	settle = time.Minute
	// findingsPace is between notes of a gateway whose findings alone changed.
	findingsPace = 10 * time.Second
	// again is how long to wait after the store failed.
	again = time.Second
)

// Controller serves agents.
type Controller struct {
	Address string // how other controllers reach this one; set before Run
	// Elsewhere asks the controller at that address whether an agent is connected to
	// it, and whether it answered. Set before Run; nil: nobody can be asked, and
	// what the store says of other controllers' agents stands.
	Elsewhere func(ctx context.Context, address, agent string) (there, answered bool)

	service   *service.Service
	authority *pki.Authority
	log       *slog.Logger

	told keeper // of reports

	mu        sync.Mutex // guards what is below
	compiled  *service.Compiled
	enrolled  map[string]*resource.Enrolment // as compiled has it, by agent
	renewed   chan struct{}                  // closed when compiled changes
	followers map[string]int                 // connections of each agent
	reports   map[string]Live                // the last of each agent
	encoded   map[string]encoded             // snapshots in their file form, by agent
	known     map[string]service.PoPReport   // what is in the store about each agent, as far as this controller wrote it
	leaving   map[string]*time.Timer         // will note that an agent is away
	summed    map[string]time.Time           // when a VPN gateway's summary was noted
	closed    bool
}

// Live is what a PoP reported last, as far as this controller knows.
type Live struct {
	At   time.Time
	JSON []byte
}

type encoded struct {
	digest string
	update agentlink.Update
}

// New returns a controller over a service. Authority signs agents' certificates.
func New(s *service.Service, authority *pki.Authority, log *slog.Logger) *Controller {
	return &Controller{
		service: s, authority: authority, log: log, renewed: make(chan struct{}),
		followers: map[string]int{}, reports: map[string]Live{}, encoded: map[string]encoded{}, known: map[string]service.PoPReport{},
		leaving: map[string]*time.Timer{}, summed: map[string]time.Time{},
	}
}

// Run compiles what changes until ctx ends. A store that cannot be reached is
// waited for; agents go on with what they have.
func (c *Controller) Run(ctx context.Context) error {
	var upkeep sync.WaitGroup
	defer upkeep.Wait()
	upkeep.Go(func() { c.lookForMissing(ctx) })
	upkeep.Go(func() { c.tidy(ctx) })
	upkeep.Go(func() { c.refresh(ctx) })
	for ctx.Err() == nil {
		err := c.service.Changes(ctx, func(int64) error { return c.compile(ctx) })
		if ctx.Err() != nil {
			break
		}
		c.log.Warn("the store cannot be followed; trying again", "reason", err)
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	return nil
}

func (c *Controller) compile(ctx context.Context) error {
	started := time.Now()
	compiled, err := c.service.Compiled(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.compiled == nil || c.compiled.World.Revision != compiled.World.Revision {
		c.log.Debug("compiled", "revision", compiled.World.Revision, "pops", len(compiled.Plan.Snapshots), "problems", len(compiled.Problems), "took", time.Since(started))
	}
	if c.compiled == nil || c.compiled.Serial != compiled.Serial {
		c.enrolled = make(map[string]*resource.Enrolment, len(compiled.World.PoPs))
		for i := range compiled.World.PoPs {
			c.enrolled[compiled.World.PoPs[i].Name] = compiled.World.PoPs[i].Given.Enrolment
		}
		for i := range compiled.World.VPNGateways {
			g := &compiled.World.VPNGateways[i]
			c.enrolled[resource.AgentOf(resource.RefOf(g))] = g.Given.Enrolment
		}
	}
	if c.compiled == nil || c.compiled.Serial != compiled.Serial {
		c.forgetOthers()
	}
	c.compiled = compiled
	close(c.renewed)
	c.renewed = make(chan struct{})
	return nil
}

// current returns what is compiled, and what is closed when that changes.
func (c *Controller) current() (*service.Compiled, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compiled, c.renewed
}

// Good returns nil while a PoP's certificate may be used.
func (c *Controller) Good(ctx context.Context, pop, serial string) error {
	return apiform.EncodeError(c.service.CertificateGood(ctx, pop, serial))
}

// Follow tells an agent its snapshots.
func (c *Controller) Follow(ctx context.Context, pop, serial string, have agentlink.Have, each func(agentlink.Update) error) error {
	c.join(pop)
	defer c.leave(pop)
	c.log.Info("agent connected", "pop", pop, "has", have.Version)
	defer c.log.Info("agent disconnected", "pop", pop)
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for {
		compiled, changed := c.current()
		if compiled != nil {
			update, there, err := c.update(pop, compiled)
			if err != nil {
				return apiform.EncodeError(err)
			}
			if there && update.Digest != have.Digest {
				if err := each(update); err != nil {
					return err
				}
				have = agentlink.Have{Version: update.Version, Digest: update.Digest}
			}
		}
		suspicious := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			suspicious = !c.shows(pop, serial)
		case <-ticker.C:
			suspicious = true
		}
		if !suspicious {
			continue
		}
		if err := c.service.CertificateGood(ctx, pop, serial); resource.CodeOf(err).Class() == resource.Unauthenticated {
			c.log.Warn("an agent's certificate is good no more", "pop", pop, "certificate", serial)
			return apiform.EncodeError(err)
		}
	}
}

// shows reports whether, by what was compiled last, a PoP's certificate is good.
func (c *Controller) shows(pop, serial string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.enrolled[pop]
	return e != nil && !e.Revoked && e.Certificate == serial
}

// update is an agent's snapshot in its file form, made once for all its followers.
func (c *Controller) update(agent string, compiled *service.Compiled) (u agentlink.Update, there bool, err error) {
	var version uint64
	var make func() (any, error) // the snapshot
	if ref := resource.RefOfAgent(agent); ref.Kind == resource.KindVPNGateway {
		g, known := compiled.Plan.Gateways[ref.Name]
		version, there, make = g.Version, known, func() (any, error) { return c.service.OpenGateway(g) }
	} else {
		s, known := compiled.Plan.Snapshots[agent]
		version, there, make = s.Version, known, func() (any, error) { return s, nil }
	}
	if !there {
		return u, false, nil
	}
	digest := compiled.Plan.Digests[agent]
	c.mu.Lock()
	kept := c.encoded[agent]
	c.mu.Unlock()
	if kept.digest == digest {
		return kept.update, true, nil
	}
	s, err := make()
	if err != nil {
		return u, false, fmt.Errorf("open the snapshot of %s: %w", agent, err)
	}
	text, err := strictyaml.Encode(s)
	if err != nil {
		return u, false, fmt.Errorf("encode the snapshot of %s: %w", agent, err)
	}
	u = agentlink.Update{Version: version, Digest: digest, Snapshot: text}
	c.mu.Lock()
	c.encoded[agent] = encoded{digest, u}
	c.mu.Unlock()
	return u, true, nil
}

// join notes that an agent of a PoP is connected here.
func (c *Controller) join(pop string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followers[pop]++
}

// leave notes that one is gone and, when none came back for a while, that the
// PoP is away.
func (c *Controller) leave(pop string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followers[pop]--
	if c.closed {
		return // this controller stops; its agents find another one
	}
	if old := c.leaving[pop]; old != nil {
		old.Stop()
	}
	c.leaving[pop] = time.AfterFunc(grace, func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		c.left(ctx, pop)
	})
}

// left notes that an agent is away, unless it came back or went to another controller.
func (c *Controller) left(ctx context.Context, agent string) {
	c.mu.Lock()
	there, last := c.followers[agent] > 0, c.known[agent]
	c.mu.Unlock()
	if there || !last.Connected {
		return
	}
	if where, err := c.service.ReporterOf(ctx, agent); err == nil && where != "" && where != c.Address {
		return
	}
	last.Connected, last.Since = false, time.Now()
	_ = c.note(ctx, agent, last) // what is wrong it has logged
}

// forgetOthers lets go of what is kept about agents that do not exist any more.
// The caller holds mu, and enrolled is new.
func (c *Controller) forgetOthers() {
	gone := func(agent string) bool { _, exists := c.enrolled[agent]; return !exists }
	maps.DeleteFunc(c.reports, func(agent string, _ Live) bool { return gone(agent) })
	maps.DeleteFunc(c.encoded, func(agent string, _ encoded) bool { return gone(agent) })
	maps.DeleteFunc(c.known, func(agent string, _ service.PoPReport) bool { return gone(agent) })
	maps.DeleteFunc(c.summed, func(agent string, _ time.Time) bool { return gone(agent) })
	maps.DeleteFunc(c.followers, func(agent string, n int) bool { return n <= 0 && gone(agent) })
	maps.DeleteFunc(c.leaving, func(agent string, t *time.Timer) bool { return gone(agent) && t.Stop() })
	c.told.forget(gone)
}

// forget lets go of what is kept about one agent that does not exist.
func (c *Controller) forget(agent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reports, agent)
	delete(c.known, agent)
	delete(c.summed, agent)
}

// lookForMissing notes which agents are missing, a while after the start and
// again and again until ctx ends.
func (c *Controller) lookForMissing(ctx context.Context) {
	unanswered := map[string]int{}
	ticker := time.NewTicker(settle)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.noteMissing(ctx, unanswered)
		}
	}
}

// noteMissing notes that agents are away which the store says are connected, and
// are not: the controller they were connected to may have been killed. Until this
// one has run for a while, and about agents of another controller that answers,
// the store is believed. Unanswered counts, by agent, how often the controller that
// it reports to did not answer in a row.
func (c *Controller) noteMissing(ctx context.Context, unanswered map[string]int) {
	compiled, _ := c.current()
	if compiled == nil {
		return
	}
	for i := range compiled.World.PoPs {
		p, err := c.service.GetPoP(ctx, service.Call{Caller: auth.Local}, compiled.World.PoPs[i].Name)
		if err == nil {
			c.missing(ctx, unanswered, p.Name, p.Status.State, service.PoPReport{Version: p.Status.Applied, Refusal: p.Status.Refusal, Build: p.Status.Build})
		}
	}
	for i := range compiled.World.VPNGateways {
		g, err := c.service.GetVPNGateway(ctx, service.Call{Caller: auth.Local}, compiled.World.VPNGateways[i].Name)
		if err == nil && g.Status.State != resource.Unmanaged {
			c.missing(ctx, unanswered, resource.AgentOf(resource.RefOf(&g)), g.Status.State, service.PoPReport{Version: g.Status.Applied, Refusal: g.Status.Refusal, Build: g.Status.Build})
		}
	}
}

// silences is how often in a row another controller must not answer for its
// agents to be taken for missing.
const silences = 2

// missing notes that an agent is away, unless it is here, known to be away, or as
// far as can be known with another controller.
func (c *Controller) missing(ctx context.Context, unanswered map[string]int, agent string, state resource.State, last service.PoPReport) {
	c.mu.Lock()
	here := c.followers[agent] > 0
	c.mu.Unlock()
	if here || state == resource.Away || state == resource.NotEnrolled || c.elsewhere(ctx, unanswered, agent) {
		delete(unanswered, agent)
		return
	}
	if n := unanswered[agent]; n > 0 && n < silences {
		return
	}
	delete(unanswered, agent)
	last.Since = time.Now()
	_ = c.note(ctx, agent, last)
}

// elsewhere reports whether an agent is with another controller, or whether that
// cannot be known. One that does not answer is counted.
func (c *Controller) elsewhere(ctx context.Context, unanswered map[string]int, agent string) bool {
	where, err := c.service.ReporterOf(ctx, agent)
	switch {
	case err != nil:
		return true // nothing is known, so nothing is noted
	case where == "" || where == c.Address:
		return false
	case c.Elsewhere == nil:
		return true
	}
	there, answered := c.Elsewhere(ctx, where, agent)
	if !answered {
		unanswered[agent]++
	}
	return there
}

// Report takes what an agent tells.
func (c *Controller) Report(ctx context.Context, pop string, r agentlink.Report) error {
	c.mu.Lock()
	if len(r.JSON) > 0 {
		c.reports[pop] = Live{At: time.Now(), JSON: r.JSON}
	}
	last := c.known[pop]
	c.mu.Unlock()
	c.told.keep(pop, r.JSON)
	now := service.PoPReport{
		Connected: true, Since: last.Since, Version: r.Applied.Version, Digest: r.Applied.Digest,
		Refusal: r.Reason, RefusedDigest: r.Refused.Digest, Build: r.Build, Sessions: r.Sessions, Controller: c.Address,
	}
	if !last.Connected {
		now.Since = time.Now()
	}
	if resource.RefOfAgent(pop).Kind == resource.KindVPNGateway {
		now.VPN = last.VPN
		var told report.Gateway
		if json.Unmarshal(r.JSON, &told) == nil {
			now.VPN = c.calmed(pop, last.VPN, service.Summarize(told))
		}
	}
	err := c.note(ctx, pop, now)
	if resource.CodeOf(err) == resource.CodeNotFound {
		c.forget(pop)
	}
	return apiform.EncodeError(err)
}

// calmed is a VPN gateway's summary as it is noted: findings alone, which a
// tunnel that fails again and again makes every few seconds, wait for a while.
func (c *Controller) calmed(agent string, last, now *service.VPNSummary) *service.VPNSummary {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last != nil && last.SameStates(now) && time.Since(c.summed[agent]) < findingsPace {
		return last
	}
	c.summed[agent] = time.Now()
	return now
}

// Close stops what would still be noted later. It is called when no agent is
// served any more.
func (c *Controller) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, t := range c.leaving {
		t.Stop()
	}
}

// note keeps a PoP's report in the store.
func (c *Controller) note(ctx context.Context, pop string, r service.PoPReport) error {
	if err := c.service.ReportPoP(ctx, service.Call{Caller: auth.ForAgent(pop)}, r); err != nil {
		c.log.Warn("an agent's report could not be kept", "pop", pop, "reason", err)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[pop] = r
	return nil
}

// Connections is how many connections a PoP's agent has to this controller.
func (c *Controller) Connections(pop string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.followers[pop]
}

// LastReport returns what a PoP reported last to this controller.
func (c *Controller) LastReport(pop string) (Live, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.reports[pop]
	return l, ok
}
