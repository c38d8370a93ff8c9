package compile

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// passing has every PoP of a world pass on what others send one another.
func passing(w World, how resource.Passthrough) World {
	w.PoPs = slices.Clone(w.PoPs)
	for i := range w.PoPs {
		w.PoPs[i].Passthrough = how
	}
	return w
}

func TestRelaysThatPassOn(t *testing.T) {
	for _, how := range []resource.Passthrough{"", resource.PassthroughOff, resource.PassthroughAlso, resource.PassthroughOnly} {
		w := passing(busyWorld(4, 1), how)
		plan, problems := Compile(w)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		// Where each end sends through a relay, the relay has the port, and the other end sends to it, too.
		ends := map[string][]string{} // by relay's port
		for name, s := range plan.Snapshots {
			for _, r := range s.Routes {
				i := slices.IndexFunc(s.Peers, func(p snapshot.Peer) bool { return p.Name == r.To })
				over, through := 0, 0
				for _, via := range r.Candidates {
					if len(via) == 1 {
						if _, is := snapshot.ThroughOf(via[0]); is {
							through++
						} else {
							over++
						}
					}
				}
				want := map[resource.Passthrough][2]int{"": {2, 0}, "off": {2, 0}, "also": {2, 2}, "only": {0, 2}}[how]
				if [2]int{over, through} != want || len(s.Peers[i].Through) != through {
					t.Errorf("%q: %s to %s has %v, and segments %v", how, name, r.To, r.Candidates, s.Peers[i].Through)
				}
				for _, th := range s.Peers[i].Through {
					for _, wire := range th.Wires {
						key := wire.Remote.String()
						ends[key] = append(ends[key], name)
						relay := plan.Snapshots[th.Relay]
						p := slices.IndexFunc(relay.Passthroughs, func(p snapshot.Passthrough) bool { return p.Port == wire.Remote.Port() })
						if p < 0 {
							t.Fatalf("%s has no port %v", th.Relay, wire.Remote)
						}
						mine := slices.IndexFunc(relay.Passthroughs[p].Ends[:], func(e snapshot.End) bool { return e.PoP == name })
						if mine < 0 || relay.Passthroughs[p].Ends[mine].Remote != s.PoP.Overlay[0].Public || relay.Passthroughs[p].Ends[1-mine].PoP != r.To {
							t.Errorf("%s's port %v is between %v, used by %s to %s", th.Relay, wire.Remote, relay.Passthroughs[p].Ends, name, r.To)
						}
					}
				}
			}
		}
		for at, users := range ends {
			if len(users) != 2 || users[0] == users[1] {
				t.Errorf("%s is used by %v", at, users)
			}
		}
	}
}

// A relay's ports stay where they are when PoPs come that have nothing to do with them, and
// whatever order things are listed in.
func TestPortsOfPassthroughsStay(t *testing.T) {
	w := passing(busyWorld(4, 1), resource.PassthroughAlso)
	before, _ := Compile(w)
	slices.Reverse(w.PoPs)
	slices.Reverse(w.EndpointGroups)
	again, _ := Compile(w)
	for name := range before.Snapshots {
		if !reflect.DeepEqual(before.Snapshots[name], again.Snapshots[name]) {
			t.Errorf("%s is told something else", name)
		}
	}
	w.PoPs = append(w.PoPs, pop(9, "a-new-one", "region-0", "isp=192.0.2.99:4600"))
	more, _ := Compile(w)
	for name := range before.Snapshots {
		if !reflect.DeepEqual(before.Snapshots[name].Passthroughs, more.Snapshots[name].Passthroughs) {
			t.Errorf("%s passes on over other ports", name)
		}
	}
	// What uses the ports already keeps them.
	taken := []uint16{}
	for _, p := range before.Snapshots["pop-0"].Passthroughs {
		taken = append(taken, p.Port)
	}
	w.PoPs = w.PoPs[:len(w.PoPs)-1]
	for i := range w.Listeners {
		for _, port := range taken {
			w.Listeners[i].Ports = append(w.Listeners[i].Ports, resource.PortRange{From: port})
		}
	}
	moved, problems := Compile(w)
	if len(problems) > 0 {
		t.Error(problems)
	}
	for _, p := range moved.Snapshots["pop-0"].Passthroughs {
		if slices.Contains(taken, p.Port) {
			t.Errorf("port %d is a listener's", p.Port)
		}
	}
}

// More pairs than ports: the others go other ways, as this relay is to open nothing.
func TestARelayRunsOutOfPorts(t *testing.T) {
	w := World{}
	for n := range 60 {
		w.PoPs = append(w.PoPs, pop(byte(n+1), fmt.Sprintf("p-%02d", n), "region-0", fmt.Sprintf("isp=192.0.2.%d:4600", n+1)))
	}
	w = passing(w, resource.PassthroughOff)
	w.PoPs[0].Passthrough = resource.PassthroughOnly
	c := newCompiler(w)
	c.judgePoPs()
	c.segments(new(Memo))
	for a := 1; a < 60; a++ {
		for b := range a {
			c.connect(c.pops[a].Name, c.pops[b].Name)
		}
	}
	c.passthroughs()
	if n := len(c.passes["p-00"]); n != lastPassthrough-firstPassthrough+1 {
		t.Errorf("%d ports are used", n)
	}
	seen := map[uint16]bool{}
	for _, p := range c.passes["p-00"] {
		if seen[p.Port] || p.Port < firstPassthrough || p.Port > lastPassthrough {
			t.Errorf("port %d", p.Port)
		}
		seen[p.Port] = true
	}
	over, through := 0, 0
	for _, p := range c.pops[1:] {
		s := c.snapshot(new(Memo), p)
		for _, r := range s.Routes {
			for _, via := range r.Candidates {
				switch {
				case slices.Equal(via, []string{"p-00"}):
					over++
				case slices.Equal(via, []string{"through:p-00"}):
					through++
				}
			}
		}
		if found := s.Consistent(); len(found) > 0 {
			t.Fatalf("%s: %v", p.Name, found[0])
		}
	}
	if through != 600 || over != 0 {
		t.Errorf("%d directions go through the relay, and %d over it", through, over)
	}
}

func TestAMemoKnowsSegmentsThroughRelays(t *testing.T) {
	w := passing(busyWorld(4, 1), resource.PassthroughAlso)
	var m Memo
	first, _ := m.Compile(w)
	w.Revision++
	w.EndpointGroups = slices.Clone(w.EndpointGroups)
	w.EndpointGroups[0].Endpoints = []resource.Endpoint{{Address: address(9, 1)}}
	second, _ := m.Compile(w)
	fresh, _ := Compile(w)
	kept := 0
	for name, s := range second.Snapshots {
		if !reflect.DeepEqual(s, fresh.Snapshots[name]) || second.Digests[name] != fresh.Digests[name] {
			t.Errorf("%s: a memo gives something else", name)
		}
		if sameList(s.Peers, first.Snapshots[name].Peers) {
			kept++
		}
	}
	if kept != len(second.Snapshots) {
		t.Errorf("%d lists of peers were used again, of %d", kept, len(second.Snapshots))
	}
	w.PoPs = slices.Clone(w.PoPs)
	w.PoPs[0].Passthrough = resource.PassthroughOff
	third, _ := m.Compile(w)
	if fresh, _ := Compile(w); !reflect.DeepEqual(third, fresh) {
		t.Error("after a change of who passes on a memo gives something else")
	}
}

// Two PoPs have segments through few relays, those first that open nothing; and what no
// other way leads to is opened all the same.
func TestSegmentsThroughFewRelays(t *testing.T) {
	w := passing(World{}, "")
	for n := range 10 {
		w.PoPs = append(w.PoPs, pop(byte(n+1), fmt.Sprintf("p-%02d", n), "region-0", fmt.Sprintf("isp=192.0.2.%d:4600", n+1)))
		w.PoPs[n].Passthrough = resource.PassthroughAlso
	}
	w.PoPs[8].Passthrough, w.PoPs[9].Passthrough = resource.PassthroughOnly, resource.PassthroughOnly
	c := newCompiler(w)
	c.judgePoPs()
	c.segments(new(Memo))
	c.connect("p-00", "p-01")
	c.passthroughs()
	var relays []string
	for _, th := range c.throughsOf(1, 0) {
		relays = append(relays, th.Relay)
	}
	if want := []string{"p-02", "p-03", "p-08", "p-09"}; !slices.Equal(relays, want) {
		t.Errorf("through %v, want %v", relays, want)
	}
	for _, via := range c.candidatesWith(c.throughsOf(1, 0), c.ways("p-01", "p-00")) {
		if slices.Contains(via, "p-08") || slices.Contains(via, "p-09") {
			t.Errorf("%v opens", via)
		}
	}
	if got := c.candidatesWith(nil, [][]string{{"p-08"}}); len(got) != 1 || got[0][0] != "p-08" {
		t.Errorf("no way is left but %v", got)
	}
}
