package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/scenario"
	"causeway/internal/report"
	"causeway/internal/vpn"
	"causeway/internal/vpn/device"
	"causeway/internal/vpn/diagnose"
)

// FaultResult is what came of one fault.
type FaultResult struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Named bool   `json:"named"` // every end that can know it has called it what it is
	// What the log of each end says, and what the PoPs saw on the wire, the worst first.
	Near []vpn.Finding `json:"near"`
	Far  []vpn.Finding `json:"far"`
	PoPs []vpn.Finding `json:"pops"`
	// Why it was not named, or could not be made.
	Problem string `json:"problem,omitempty"`
}

// faultRig is a lab in which faults are made.
type faultRig struct {
	l                 *Lab
	tunnel            scenario.Tunnel
	nearNode, farNode string
	near, far         gateway.Gateway
	marks             map[string]int64
}

// RunFaults builds the scenario's lab, makes each fault between the two gateways of its
// accelerated tunnel, through the PoPs, and has it diagnosed. each is told the results as they come.
func RunFaults(ctx context.Context, s *scenario.Scenario, o Options, faults []Fault, each func(FaultResult)) (err error) {
	if err := faultTools(); err != nil {
		return err
	}
	t, ok := s.Tunnel(scenario.Accelerated)
	if !ok {
		return fail(usage, "scenario %s has no tunnel called accelerated", s.Name)
	}
	for i := range s.Tunnels {
		s.Tunnels[i].Later = true
	}
	o.impatient = true
	l, err := Up(ctx, s, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	r := &faultRig{l: l, tunnel: t, nearNode: scenario.GatewayNode(t.From.Site), farNode: scenario.GatewayNode(t.To.Site)}
	r.near, r.far = l.gateways[r.nearNode], l.gateways[r.farNode]
	for _, f := range faults {
		if err := ctx.Err(); err != nil {
			return err
		}
		result := r.try(ctx, f)
		l.say.Step("%s: %s", f.Name, cmpOr(result.Problem, "named"))
		each(result)
	}
	return nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// try makes one fault and judges what is said of it.
func (r *faultRig) try(ctx context.Context, f Fault) FaultResult {
	out := FaultResult{Name: f.Name, Title: f.Title}
	near, far, err := r.make(ctx, f)
	if err != nil {
		out.Problem = "it could not be made: " + err.Error()
		return out
	}
	if out.Near, err = r.read(r.near, r.nearNode, near); err == nil {
		out.Far, err = r.read(r.far, r.farNode, far)
	}
	if err != nil {
		out.Problem = err.Error()
		return out
	}
	out.PoPs = r.wire(ctx, near)
	var wrong []string
	for _, c := range []struct {
		who  string
		want vpn.Code
		got  []vpn.Finding
	}{{"the near end", f.Near, out.Near}, {"the far end", f.Far, out.Far}, {"the PoPs", f.PoPs, out.PoPs}} {
		if c.want != "" && codeOf(c.got) != c.want {
			wrong = append(wrong, fmt.Sprintf("%s: %s was said, %s was expected", c.who, cmpOr(string(codeOf(c.got)), "nothing"), c.want))
		}
	}
	out.Problem, out.Named = strings.Join(wrong, "; "), len(wrong) == 0
	return out
}

// codeOf is the code a diagnosis begins with.
func codeOf(f []vpn.Finding) vpn.Code {
	if len(f) == 0 {
		return ""
	}
	return f[0].Code
}

// make starts afresh, configures both ends, and tries to bring the tunnel up.
func (r *faultRig) make(ctx context.Context, f Fault) (near, far vpn.Connection, err error) {
	near, far = r.healthy()
	if f.near != nil {
		f.near(&near)
	}
	if f.far != nil {
		f.far(&far)
	}
	if err := errors.Join(r.clearFirewalls(), r.forgetSessions(ctx)); err != nil {
		return near, far, err
	}
	if f.certs != nil {
		if err := f.certs(r); err != nil {
			return near, far, err
		}
	}
	for _, end := range []struct {
		g gateway.Gateway
		c vpn.Connection
	}{{r.near, near}, {r.far, far}} {
		config, err := device.Render("strongswan", end.c, device.Options{})
		if err != nil {
			return near, far, err
		}
		text := config.Files[0].Text
		if f.conf != nil {
			text = f.conf(text)
		}
		if err := end.g.Configure(ctx, text); err != nil {
			return near, far, err
		}
	}
	r.marks = map[string]int64{r.nearNode: r.near.LogSize(), r.farNode: r.far.LogSize()}
	if f.before != nil {
		if err := f.before(ctx, r); err != nil {
			return near, far, err
		}
	}
	_, err = r.near.Initiate(ctx, faultName, 8*time.Second)
	if (err == nil) != f.up {
		return near, far, fmt.Errorf("the tunnel came up: %v, which was to be %v (%v)", err == nil, f.up, err)
	}
	if f.after != nil {
		return near, far, f.after(ctx, r)
	}
	return near, far, nil
}

// forgetSessions starts the PoPs with nothing on their disks but what they are
// told, so that they have seen nothing but the next fault.
func (r *faultRig) forgetSessions(ctx context.Context) error {
	for pop := range r.l.Scenario.PoPs {
		p, err := r.l.process(popProcess(pop))
		if err == nil {
			err = p.Stop(5 * time.Second)
		}
		if err == nil {
			err = os.RemoveAll(r.l.path(pop, "state"))
		}
		if err == nil {
			err = r.l.startPoP(pop)
		}
		if err != nil {
			return err
		}
	}
	r.l.segmentsUp = false
	say := r.l.say
	r.l.say = nil // the tenth time it is no news
	defer func() { r.l.say = say }()
	return r.l.awaitSegments(ctx)
}

// await waits until an end has logged some words.
func (r *faultRig) await(ctx context.Context, g gateway.Gateway, words string) error {
	node := r.nearNode
	if g == r.far {
		node = r.farNode
	}
	for deadline := time.Now().Add(30 * time.Second); ; sleep(ctx, 50*time.Millisecond) {
		log, err := g.LogSince(r.marks[node])
		switch {
		case err != nil:
			return err
		case bytes.Contains(log, []byte(words)):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%s has not logged %q after 30s", node, words)
		}
	}
}

// read diagnoses from an end's own log.
func (r *faultRig) read(g gateway.Gateway, node string, c vpn.Connection) ([]vpn.Finding, error) {
	log, err := g.LogSince(r.marks[node])
	if err != nil {
		return nil, err
	}
	var lines []diagnose.Line
	for raw := range strings.Lines(string(log)) {
		if line, ok := diagnose.ParseLine(raw); ok {
			lines = append(lines, line)
		}
	}
	return diagnose.Log(lines, c), nil
}

// wire diagnoses from what the two PoPs have seen of the client's packets.
func (r *faultRig) wire(ctx context.Context, c vpn.Connection) []vpn.Finding {
	client := r.l.Scenario.Sites[r.tunnel.From.Site].Gateway
	ends := map[string]report.IPsec{}
	for _, p := range r.l.popReports(ctx) {
		for _, s := range p.Sessions.List {
			if s.IPsec != nil && s.Client.Addr() == client {
				if s.Part == "both" {
					ends["ingress"], ends["egress"] = *s.IPsec, *s.IPsec
				} else {
					ends[s.Part] = *s.IPsec
				}
			}
		}
	}
	if len(ends) == 0 {
		return nil
	}
	o := diagnose.Seen(ends["ingress"], ends["egress"])
	o.At, o.Connection, o.Tunnel, o.Window = time.Now(), c.Name, c.Tunnels[0].Name, c.Tunnels[0].Window
	return diagnose.Wire(o)
}

// FaultsNamed returns the faults of those names, all when there are none.
func FaultsNamed(names []string) ([]Fault, error) {
	all := Faults()
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, f := range all {
		known = append(known, f.Name)
	}
	var some []Fault
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fail(notFound, "there is no fault %q; there are %s", name, strings.Join(known, ", "))
		}
		some = append(some, all[i])
	}
	return some, nil
}
