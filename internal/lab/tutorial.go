package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/snapshot"
)

// The steps by which an accelerator comes about, numbered as in the tutorial
// that the product follows: its reader finds each of them here.
const (
	stepNetwork     = "0 the network: regions, PoPs, a token for each"
	stepAccelerator = "4.1 the accelerator, its bandwidth, one stable source address"
	stepIPSet       = "4.2 where clients board: the accelerated IP"
	stepListener    = "4.4 what is taken from clients, where it leaves and to whom"
	stepEndpoint    = "4.9 the real endpoint in place of the temporary one"
	stepLook        = "4.10 is it up?"
)

// buildControl starts the controller, enrols the PoPs and goes through the
// steps up to the endpoint group; gateways are set up after, then setEndpoint.
func (l *Lab) buildControl(ctx context.Context) error {
	l.state.Control = &report.Control{}
	l.began = time.Now()
	if err := errors.Join(l.joinController(), l.startController()); err != nil {
		return err
	}
	if err := l.awaitController(ctx); err != nil {
		return err
	}
	l.say.Step("a controller, which keeps everything in its own etcd")
	if err := l.enrol(ctx); err != nil {
		return err
	}
	for _, f := range []func(context.Context) error{l.makeAccelerator, l.makeIPSets, l.makeListeners, l.readGiven} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// enrol creates regions and PoPs, and starts each PoP with a token.
func (l *Lab) enrol(ctx context.Context) error {
	l.say.Step(stepNetwork)
	names := slices.Sorted(maps.Keys(l.Scenario.PoPs))
	for _, region := range l.regions() {
		if err := l.step(ctx, stepNetwork, "region", "create", region); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := l.step(ctx, stepNetwork, l.popCommand(name)...); err != nil {
			return err
		}
		if err := l.makePoPDir(name); err != nil {
			return err
		}
		if err := l.stepTo(ctx, stepNetwork, l.tokenFile(name), "token", "create", "--pop", name, "-q"); err != nil {
			return err
		}
		l.say.Shell(fmt.Sprintf("causeway pop --controller %s --token-file %s.token", controllerURL(), name), 0, "")
		if err := l.startPoP(name); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := l.awaitPoP(ctx, name); err != nil {
			return err
		}
	}
	return l.awaitSegments(ctx)
}

func (l *Lab) regions() []string {
	var all []string
	for _, p := range l.Scenario.PoPs {
		all = append(all, p.Region)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// popCommand creates a PoP, with the addresses that the scenario's listeners
// and groups have on it as its pool.
func (l *Lab) popCommand(name string) []string {
	p := l.Scenario.PoPs[name]
	args := []string{"pop", "create", name, "--region", p.Region}
	for _, carrier := range slices.Sorted(maps.Keys(p.Overlay)) {
		args = append(args, "--overlay", netip.AddrPortFrom(p.Overlay[carrier], scenario.OverlayPort).String()+",name="+carrier)
	}
	use := map[netip.Addr]string{}
	for _, k := range p.Listeners {
		for _, a := range k.Addresses {
			use[a.Bind] = ",use=accelerated"
		}
	}
	for _, g := range l.Scenario.EndpointGroups {
		if g.PoP != name {
			continue
		}
		if _, both := use[g.EgressIP.Bind]; both {
			use[g.EgressIP.Bind] = ""
		} else {
			use[g.EgressIP.Bind] = ",use=egress"
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(use), netip.Addr.Compare) {
		args = append(args, "--address", a.String()+use[a])
	}
	return args
}

func (l *Lab) makeAccelerator(ctx context.Context) error {
	l.say.Step(stepAccelerator)
	c := l.Scenario.Control
	mbps := fmt.Sprint(c.Mbps)
	commands := [][]string{
		{"accelerator", "create", c.Accelerator, "--spec", c.Spec, "--source-consistent"},
		{"bandwidth-package", "create", c.Accelerator + "-basic", "--type", "basic", "--kind", "enhanced", "--mbps", mbps},
		{"bandwidth-package", "bind", c.Accelerator + "-basic", c.Accelerator},
		{"bandwidth-package", "create", c.Accelerator + "-border", "--type", "cross-domain", "--mbps", mbps},
		{"bandwidth-package", "bind", c.Accelerator + "-border", c.Accelerator},
	}
	return l.steps(ctx, stepAccelerator, commands)
}

func (l *Lab) steps(ctx context.Context, of string, commands [][]string) error {
	for _, args := range commands {
		if err := l.step(ctx, of, args...); err != nil {
			return err
		}
	}
	return nil
}

// ingresses are the PoPs that clients send to.
func (l *Lab) ingresses() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(l.Scenario.PoPs)) {
		if len(l.Scenario.PoPs[name].Listeners) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// makeIPSets makes one for each PoP that clients send to, named after it.
func (l *Lab) makeIPSets(ctx context.Context) error {
	l.say.Step(stepIPSet)
	c := l.Scenario.Control
	ingresses := l.ingresses()
	for _, name := range ingresses {
		mbps := fmt.Sprint(max(2, c.Mbps/len(ingresses)))
		args := []string{"ip-set", "create", name, "--accelerator", c.Accelerator, "--region", l.Scenario.PoPs[name].Region, "--mbps", mbps}
		if err := l.step(ctx, stepIPSet, args...); err != nil {
			return err
		}
	}
	return nil
}

// makeListeners makes the listeners, and their groups with reserved egress IPs.
func (l *Lab) makeListeners(ctx context.Context) error {
	l.say.Step(stepListener)
	var commands [][]string
	for _, k := range l.Scenario.Listeners() {
		commands = append(commands, listenerCommand(l.Scenario.Control.Accelerator, k))
	}
	for i, g := range l.Scenario.EndpointGroups {
		region := l.Scenario.PoPs[g.PoP].Region
		commands = append(commands, []string{"egress-ip", "create", g.Name, "--region", region, "--pop", g.PoP, "--address", g.EgressIP.Bind.String()},
			l.groupCommand(g, region, i == 0))
	}
	return l.steps(ctx, stepListener, commands)
}

func listenerCommand(accelerator string, k snapshot.Listener) []string {
	var ports []string
	for _, p := range k.Ports {
		ports = append(ports, fmt.Sprint(p))
	}
	args := []string{"listener", "create", k.Name, "--accelerator", accelerator, "--ports", strings.Join(ports, ",")}
	flag := func(name, value string, given bool) {
		if given {
			args = append(args, "--"+name, value)
		}
	}
	var allow []string
	for _, p := range k.Allow {
		allow = append(allow, p.String())
	}
	flag("idle-timeout", k.IdleTimeout.String(), k.IdleTimeout != 0)
	flag("repair", string(k.Repair), k.Repair != "")
	flag("order", string(k.Order), k.Order != "")
	flag("replay-window", fmt.Sprint(k.ReplayWindow), k.ReplayWindow != 0)
	flag("allow", strings.Join(allow, ","), len(allow) > 0)
	return args
}

// groupCommand makes a group, the first one with the temporary endpoint where
// there is one.
func (l *Lab) groupCommand(g snapshot.EndpointGroup, region string, first bool) []string {
	listener := ""
	for _, k := range l.Scenario.Listeners() {
		if k.EndpointGroup == g.Name {
			listener = k.Name
		}
	}
	args := []string{"endpoint-group", "create", g.Name, "--listener", listener, "--region", region, "--egress-ip", g.Name}
	if t := l.Scenario.Control.Temporary; first && t.IsValid() {
		args = append(args, "--endpoint", t.String())
	} else {
		args = append(args, endpointFlags(g)...)
		for _, in := range g.Initiate {
			args = append(args, "--initiate", fmt.Sprintf("%s,client=%s,ip-set=%s", in.Endpoint, in.Client, in.Ingress))
		}
	}
	return append(args, "--wait")
}

func endpointFlags(g snapshot.EndpointGroup) []string {
	var args []string
	for _, e := range g.Endpoints {
		text := e.Address.String()
		if e.Weight != nil {
			text += fmt.Sprintf(",weight=%d", *e.Weight)
		}
		args = append(args, "--endpoint", text)
	}
	return args
}

// readGiven notes what addresses were given out, and holds them against those
// that the scenario's gateways take for their peers.
func (l *Lab) readGiven(ctx context.Context) error {
	c := l.state.Control
	var accelerated []string
	for _, name := range l.ingresses() {
		ip, err := l.given(ctx, "ip-set", name)
		if err != nil {
			return err
		}
		accelerated = append(accelerated, ip.String())
	}
	group := l.Scenario.EndpointGroups[0].Name
	egress, err := l.given(ctx, "endpoint-group", group)
	if err != nil {
		return err
	}
	c.AcceleratedIP, c.EndpointGroup, c.EgressBefore, c.EgressAfter = strings.Join(accelerated, ", "), group, egress.String(), egress.String()
	for _, t := range l.Scenario.Tunnels {
		if t.Name == scenario.Accelerated && !slices.Contains(accelerated, t.From.Peer.String()) {
			return fmt.Errorf("tunnel %s: the scenario has %s call %s, but clients were given %s", t.Name, t.From.Site, t.From.Peer, c.AcceleratedIP)
		}
	}
	l.say.Step("4.5 the VPN devices' peers: clients send to %s, endpoints see %s", c.AcceleratedIP, c.EgressBefore)
	return nil
}

// setEndpoint replaces the temporary endpoint, looks whether the egress IP
// stayed, and waits until everything is as it should be.
func (l *Lab) setEndpoint(ctx context.Context) error {
	if !l.managed() {
		return nil
	}
	c, g := l.state.Control, l.Scenario.EndpointGroups[0]
	if t := l.Scenario.Control.Temporary; t.IsValid() {
		l.say.Step(stepEndpoint)
		args := append([]string{"endpoint-group", "update", g.Name}, endpointFlags(g)...)
		for _, in := range g.Initiate {
			args = append(args, "--initiate", fmt.Sprintf("%s,client=%s,ip-set=%s", in.Endpoint, in.Client, in.Ingress))
		}
		if err := l.step(ctx, stepEndpoint, append(args, "--wait")...); err != nil {
			return err
		}
		after, err := l.given(ctx, "endpoint-group", g.Name)
		if err != nil {
			return err
		}
		c.EgressAfter = after.String()
		c.Endpoints = fmt.Sprintf("%s → %s", t, g.Endpoints[0].Address)
		l.say.Step("the listener stayed live, the egress IP is %s as before: %v", c.EgressAfter, c.EgressAfter == c.EgressBefore)
	}
	c.ReadyMs = report.Milliseconds(time.Since(l.began))
	return nil
}

// lookAround shows everything as it is when all is up.
func (l *Lab) lookAround(ctx context.Context) error {
	if !l.managed() {
		return nil
	}
	if err := l.awaitConnections(ctx); err != nil {
		return err
	}
	l.say.Step(stepLook)
	return l.step(ctx, stepLook, "status")
}

// controlPart is the report's: what was noted while building, and what became
// of it during the run.
func (l *Lab) controlPart(ctx context.Context, m *Measurement) *report.Control {
	if l.state.Control == nil {
		return nil
	}
	c := *l.state.Control
	if l.controllerRuns() {
		if ip, err := l.given(ctx, "endpoint-group", c.EndpointGroup); err == nil {
			c.EgressEnd = ip.String()
		}
	}
	for _, d := range m.Done {
		if d.Started == "" {
			continue
		}
		s := report.Start{PoP: d.Started, AtMs: report.Milliseconds(d.At), Controller: d.Controller}
		if back, ok := backAfter(m, scenario.Accelerated, d.At); ok {
			s.CarryingMs = new(report.Milliseconds(back))
		}
		c.Restarts = append(c.Restarts, s)
	}
	return &c
}

// backAfter is how long after an instant of the run the first probe of a tunnel
// was sent that was answered.
func backAfter(m *Measurement, tunnel string, at time.Duration) (time.Duration, bool) {
	r := m.Traces[tunnel]
	if r == nil {
		return 0, false
	}
	for _, s := range r.Target.Samples {
		if s.At >= at && s.Answered() {
			return s.At - at, true
		}
	}
	return 0, false
}

// judgeControl holds what must be so in every lab with a controller: the
// address that endpoints know does not change.
func judgeControl(c *report.Control) []report.Check {
	if c == nil {
		return nil
	}
	end := cmp.Or(c.EgressEnd, c.EgressAfter)
	return []report.Check{{
		Expected: "control plane: the egress IP of group " + c.EndpointGroup + " stays " + c.EgressBefore,
		Found:    fmt.Sprintf("after the endpoint's replacement %s, at the end %s", c.EgressAfter, cmp.Or(c.EgressEnd, "no controller to ask")),
		OK:       c.EgressBefore != "" && c.EgressAfter == c.EgressBefore && end == c.EgressBefore,
	}}
}
