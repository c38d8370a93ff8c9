package scenario

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/snapshot"
)

// Control has a lab go through the control plane: a controller on a node of its
// own, PoPs that enrol with it, and everything created by commands, as a user
// would type them. What is created follows from the scenario's PoPs, listeners
// and endpoint groups, so that the same scenario without it is the same network
// with snapshots written by hand.
//
// What only a snapshot can say (routes of one's own, repair of one segment,
// which PoPs are joined) cannot stand beside it.
type Control struct {
	Accelerator string `yaml:"accelerator"` // its name; default the scenario's
	Spec        string `yaml:"spec"`        // its size, as in `accelerator create --spec`; default medium-1
	Mbps        int    `yaml:"mbps"`        // of each bandwidth package and IP set; default 100
	// Temporary is an address where nothing is, which the first endpoint group is
	// made with; the real endpoint replaces it while the listener is live. Default:
	// the group is made with the real one.
	Temporary netip.Addr `yaml:"temporary"`
}

// ControllerNode is the node that the controller runs on, and its commands.
const ControllerNode = "controller"

func (c *Control) withDefaults(scenario string) {
	def(&c.Accelerator, scenario)
	def(&c.Spec, "medium-1")
	def(&c.Mbps, 100)
}

// Listeners are the scenario's listeners, each name once, in the order of the
// PoPs that have them.
func (s *Scenario) Listeners() []snapshot.Listener {
	var all []snapshot.Listener
	for _, name := range slices.Sorted(maps.Keys(s.PoPs)) {
		for _, l := range s.PoPs[name].Listeners {
			if !slices.ContainsFunc(all, func(o snapshot.Listener) bool { return o.Name == l.Name }) {
				all = append(all, l)
			}
		}
	}
	return all
}

// control judges what a scenario says beside a controller.
func (c *checker) control() {
	t := c.s.Control
	if t == nil {
		return
	}
	const raw = "nothing: a controller writes the PoPs' snapshots; leave out control to write them by hand"
	for _, name := range slices.Sorted(maps.Keys(c.s.PoPs)) {
		p, path := c.s.PoPs[name], "pops."+name
		switch {
		case name == ControllerNode:
			c.wrong(path, name, "another name: this is the controller's")
		case p.Region == "":
			c.missing(path+".region", "a region, as cn-shanghai")
		}
		if len(p.Routes) > 0 {
			c.wrong(path+".routes", fmt.Sprintf("%d routes", len(p.Routes)), raw)
		}
		if p.Repair != (snapshot.Repair{}) {
			c.wrong(path+".repair", p.Repair, raw)
		}
		if len(p.Peers) > 0 {
			c.wrong(path+".peers", strings.Join(p.Peers, ", "), raw)
		}
	}
	if len(c.s.Listeners()) == 0 {
		c.missing("pops", "a PoP with a listener, for the controller to make")
	}
	for i, g := range c.s.EndpointGroups {
		if !slices.ContainsFunc(c.s.Listeners(), func(l snapshot.Listener) bool { return l.EndpointGroup == g.Name }) {
			c.wrong(fmt.Sprintf("endpoint_groups[%d].name", i), g.Name, "a group that some listener names")
		}
	}
	if t.Mbps < 2 {
		c.wrong("control.mbps", t.Mbps, "2 or more")
	}
	if t.Temporary.IsValid() && slices.Contains(c.s.addresses(), t.Temporary) {
		c.wrong("control.temporary", t.Temporary, "an address that nobody has")
	}
}

// addresses are all that something in the scenario has on the Internet.
func (s *Scenario) addresses() []netip.Addr {
	var all []netip.Addr
	for _, site := range s.Sites {
		all = append(all, site.Gateway)
	}
	for _, r := range s.Routers {
		all = append(all, r.WAN)
	}
	for _, p := range s.PoPs {
		all = slices.AppendSeq(all, maps.Values(p.Overlay))
	}
	return all
}
