// Package lab builds a small Internet on one host and judges Causeway in it: two
// or more sites with strongSwan gateways, PoPs that run the real binary, and
// the weather between them; tunnels side by side, the direct one and the
// accelerated one; probes through both in the same seconds.
//
// A lab is made of network namespaces (netns), one emulator process for all
// long-distance links (wan), gateways (gateway), PoPs (processes of our own
// binary) and a prober (trace). What to build is a scenario's business, how the
// numbers look report's. This package puts them together, and takes everything
// down again whatever happens: the way down works from what is on disk, so that
// another process can go it when this one was killed.
//
// Files, in the order in which a run goes through them: require.go, state.go,
// build.go (with wanconfig.go, and snapshots.go or
// control.go and tutorial.go), measure.go (with events.go and
// iperf.go), result.go, judge.go, run.go; down.go and guard.go end it.
package lab

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/process"
	"causeway/internal/lab/scenario"
)

// Lab is one that stands, or is being built or taken down. Its methods are for
// one goroutine, but for those that say otherwise.
type Lab struct {
	Name     string
	Scenario *scenario.Scenario
	Backend  gateway.Backend

	mu    sync.Mutex // guards state, which the script changes while others read it
	state *state
	say   *Progress
	guard *guard // nil for a lab that another process built
	exe   string // our own binary, which is also the PoPs' and the emulator's

	nodes    map[string]*netns.NS // open namespaces, by node
	gateways map[string]gateway.Gateway
	addrs    map[string][]netip.Addr // addresses on the WAN, by node
	versions map[string]uint64       // of the snapshot last written, by PoP
	began    time.Time               // when the controller was started
	// segmentsUp is set once all segments were seen up.
	segmentsUp bool
	impatient  bool               // gateways give up soon
	authority  *gateway.Authority // of the gateways' certificates; nil when none has any
	up         time.Duration      // how long the last reconnect took
	rebound    int                // how often a router forgot its flows
}

// Nodes lists the lab's nodes, sorted.
func (l *Lab) Nodes() []string { return nodesOf(l.Scenario) }

// node returns an open namespace.
func (l *Lab) node(name string) (*netns.NS, error) {
	if ns, ok := l.nodes[name]; ok {
		return ns, nil
	}
	return nil, fail(notFound, "lab %s has no node %q; it has %v", l.Name, name, l.Nodes())
}

// tunnel returns the scenario's tunnel of that name.
func (l *Lab) tunnel(name string) (scenario.Tunnel, error) {
	t, ok := l.Scenario.Tunnel(name)
	if !ok {
		var names []string
		for _, t := range l.Scenario.Tunnels {
			names = append(names, t.Name)
		}
		return t, fail(notFound, "lab %s has no tunnel %q; it has %v", l.Name, name, names)
	}
	return t, nil
}

// path is a file or directory of the lab.
func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.state.dir}, elem...)...)
}

// record puts a process that was just started on the lab's list.
func (l *Lab) record(r process.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Processes = append(slices.DeleteFunc(l.state.Processes, func(o process.Record) bool { return o.Name == r.Name }), r)
	return l.state.save()
}

// process returns a recorded process.
func (l *Lab) process(name string) (process.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.state.Processes {
		if r.Name == name {
			return r, nil
		}
	}
	return process.Record{}, fmt.Errorf("lab %s has no process %s", l.Name, name)
}

// nodesOf lists the names of all nodes that a scenario has.
func nodesOf(s *scenario.Scenario) []string {
	var names []string
	for site := range s.Sites {
		names = append(names, scenario.GatewayNode(site), scenario.HostNode(site))
	}
	names = append(names, slices.Collect(maps.Keys(s.PoPs))...)
	names = append(names, slices.Collect(maps.Keys(s.Routers))...)
	names = append(names, slices.Collect(maps.Keys(s.Strangers))...)
	if s.Control != nil {
		names = append(names, scenario.ControllerNode)
	}
	slices.Sort(names)
	return names
}

// wanAddrs lists each node's addresses on the emulated Internet.
func wanAddrs(s *scenario.Scenario) map[string][]netip.Addr {
	addrs := map[string][]netip.Addr{}
	add := func(node string, a netip.Addr) {
		if a.IsValid() && !slices.Contains(addrs[node], a) {
			addrs[node] = append(addrs[node], a)
		}
	}
	for name, site := range s.Sites {
		if site.Behind == "" {
			add(scenario.GatewayNode(name), site.Gateway)
		}
	}
	for name, r := range s.Routers {
		add(name, r.WAN)
		add(name, r.Spare)
	}
	for name, a := range s.Strangers {
		add(name, a)
	}
	for name, p := range s.PoPs {
		for _, carrier := range slices.Sorted(maps.Keys(p.Overlay)) {
			add(name, p.Overlay[carrier])
		}
		for _, l := range p.Listeners {
			for _, a := range l.Addresses {
				add(name, a.Bind)
			}
		}
	}
	for _, g := range s.EndpointGroups {
		add(g.PoP, g.EgressIP.Bind)
	}
	return addrs
}
