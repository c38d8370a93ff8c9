package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// carry walks every accelerator: each of its listeners on each of its IP sets,
// to each of the listener's groups.
func (c *compiler) carry() {
	for _, name := range slices.Sorted(maps.Keys(c.accelerators)) {
		if a := c.accelerators[name]; a.IsEnabled() {
			c.accelerator(a)
		}
	}
}

func (c *compiler) accelerator(a *resource.Accelerator) {
	b := newBudget(a, c.setsOf[a.Name])
	crossing := c.crossingSets(a)
	for _, s := range c.setsOf[a.Name] {
		if !c.known(s.Given.PoP) {
			c.problem(ref(resource.KindIPSet, s.Name), resource.Blocked, fmt.Sprintf("PoP %q has not been enrolled", s.Given.PoP), "enrol it: causeway token create --pop "+s.Given.PoP)
			continue
		}
		w := way{accelerator: a, set: s, allowance: b.of(s), crossing: crossingAllowance(c.crossing[a.Name], crossing, s)}
		var any bool
		for _, l := range c.listenersOf[a.Name] {
			any = c.listener(w, l) || any
		}
		if any && w.allowance.Name != "" {
			c.allows[s.Given.PoP] = append(c.allows[s.Given.PoP], w.allowance)
		}
	}
	for _, l := range c.listenersOf[a.Name] {
		c.judgeListener(a, l)
	}
}

// way is how clients of one IP set come in.
type way struct {
	accelerator *resource.Accelerator
	set         *resource.IPSet
	allowance   snapshot.Allowance // what all listeners on the IP set may use together; no name: not bounded
	crossing    snapshot.Allowance // the same of what crosses a border; no name: nothing may
}

// listener puts l on w's PoP, when any of its groups can be reached from there.
func (c *compiler) listener(w way, l *resource.Listener) bool {
	pop := w.set.Given.PoP
	var names []string
	var crosses bool
	for _, g := range c.groupsOf[l.Name] {
		if c.why(w, g) != nil {
			continue
		}
		names = append(names, g.Name)
		c.sendsTo[pop] = append(c.sendsTo[pop], g)
		if c.used[g.Name] == nil {
			c.used[g.Name] = map[string]bool{}
			c.leaving[g.Given.PoP] = append(c.leaving[g.Given.PoP], g)
		}
		c.used[g.Name][pop] = true
		c.connect(pop, g.Given.PoP)
		for _, r := range []resource.Ref{ref(resource.KindEndpointGroup, g.Name), ref(resource.KindListener, l.Name), ref(resource.KindAccelerator, w.accelerator.Name)} {
			c.carriers[r] = append(c.carriers[r], pop, g.Given.PoP)
		}
		if c.crossesBorder(w.set, g) {
			crosses = true
			if c.crosses[pop] == nil {
				c.crosses[pop] = map[string]string{}
			}
			c.crosses[pop][g.Name] = w.crossing.Name
		}
	}
	if len(names) == 0 {
		return false
	}
	set := ref(resource.KindIPSet, w.set.Name)
	c.carriers[set] = append(c.carriers[set], pop)
	if crosses && !slices.ContainsFunc(c.allows[pop], func(a snapshot.Allowance) bool { return a.Name == w.crossing.Name }) {
		c.allows[pop] = append(c.allows[pop], w.crossing)
	}
	sl := snapshot.Listener{
		Name: l.Name, Accelerator: w.accelerator.Name, Addresses: []snapshot.Address{{Bind: w.set.Given.Bind, Public: w.set.Given.IP}}, Ports: l.EachPort(),
		EndpointGroup: names[0], Failover: names[1:], IdleTimeout: l.IdleTimeout, Repair: snapshot.RepairMode(l.Repair), Order: snapshot.Order(l.Order),
		ReplayWindow: l.ReplayWindow, Admission: snapshot.Admission(l.IKEAdmission), InKernel: l.InKernel,
	}
	sl.Allow, sl.Deny = c.clients(l)
	sl.FlowLog = slices.ContainsFunc(c.groupsOf[l.Name], func(g *resource.EndpointGroup) bool { return g.FlowLog })
	if w.allowance.Name != "" {
		sl.Allowances = []string{w.allowance.Name}
	}
	c.listens[pop] = append(c.listens[pop], sl)
	return true
}

// why says what keeps traffic of w from going to g, or nil.
func (c *compiler) why(w way, g *resource.EndpointGroup) *Problem {
	from, to := w.set.Given.PoP, g.Given.PoP
	switch {
	case !c.known(to):
		return &Problem{State: resource.Blocked, Reason: fmt.Sprintf("PoP %q, where traffic would leave, has not been enrolled", to), Fix: "enrol it: causeway token create --pop " + to}
	case c.crossesBorder(w.set, g) && w.crossing.Name == "":
		return &Problem{State: resource.Blocked,
			Reason: fmt.Sprintf("from %s to %s traffic crosses the border between %s and %s, and no CrossDomain package is bound", w.set.Region, g.Region, c.area[w.set.Region], c.area[g.Region]),
			Fix:    "bind one: causeway bandwidth-package bind <package> " + w.accelerator.Name}
	case !c.reaches(from, to):
		return &Problem{State: resource.Blocked, Reason: fmt.Sprintf("PoP %q has no way to PoP %q: no overlay addresses of the same family, and no relay", from, to), Fix: "give them overlay addresses of the same family"}
	case len(c.endpoint[g.Name]) == 0:
		return &Problem{State: resource.Blocked, Reason: "none of its endpoints has an address that traffic may be sent to", Fix: "correct the domains' records, or give addresses"}
	}
	return nil
}

func (c *compiler) crossesBorder(s *resource.IPSet, g *resource.EndpointGroup) bool {
	return c.area[s.Region] != c.area[g.Region]
}

func (c *compiler) known(pop string) bool {
	_, found := slices.BinarySearchFunc(c.pops, pop, func(p *resource.PoP, name string) int { return strings.Compare(p.Name, name) })
	return found
}

// judgeListener says what a listener lacks, and which ways are closed to its groups.
func (c *compiler) judgeListener(a *resource.Accelerator, l *resource.Listener) {
	name, groups, sets := ref(resource.KindListener, l.Name), c.groupsOf[l.Name], c.setsOf[a.Name]
	switch {
	case len(groups) == 0:
		c.problem(name, resource.Incomplete, "it has no endpoint group, so its traffic has nowhere to go", "create one: causeway endpoint-group create <name> --listener "+l.Name)
		return
	case len(sets) == 0:
		c.problem(name, resource.Incomplete, fmt.Sprintf("accelerator %q has no IP set, so clients have no address to send to", a.Name), "create one: causeway ip-set create <name> --accelerator "+a.Name)
		return
	}
	crossing := c.crossingSets(a)
	var first *Problem
	for _, g := range groups {
		for _, s := range sets {
			closed := c.why(way{accelerator: a, set: s, crossing: crossingAllowance(c.crossing[a.Name], crossing, s)}, g)
			if closed == nil || !c.known(s.Given.PoP) {
				continue
			}
			c.problem(ref(resource.KindEndpointGroup, g.Name), closed.State, closed.Reason, closed.Fix)
			if first == nil {
				first = closed
			}
			break
		}
	}
	if first != nil {
		c.problem(name, first.State, first.Reason, first.Fix)
	}
}
