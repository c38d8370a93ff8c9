package snapshot

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// relayed is the example with a segment to Seoul through Tokyo, and a passthrough of its own.
func relayed() Snapshot {
	s := example()
	s.Peers[0].Through = []Through{{Relay: "tokyo", Wires: []Wire{{Local: "cu", Remote: addrPort("203.0.113.30:4700")}, {Local: "cu", Remote: addrPort("203.0.113.30:4701")}}}}
	s.Routes[0].Candidates = [][]string{{}, {"through:tokyo"}, {"tokyo"}}
	s.Passthroughs = []Passthrough{
		{Local: "cu", Port: 4700, Ends: [2]End{{"tokyo", addrPort("203.0.113.30:4600")}, {"seoul", addrPort("203.0.113.20:4600")}}},
		{Local: "v6", Port: 4700, Ends: [2]End{{"tokyo", addrPort("[2001:db8::30]:4600")}, {"seoul", addrPort("[2001:db8::20]:4600")}}},
	}
	return s
}

func TestSegmentsThroughRelays(t *testing.T) {
	if found := relayed().Consistent(); len(found) > 0 {
		t.Fatalf("the example itself:\n%v", found)
	}
	for name, c := range map[string]struct {
		spoil func(s *Snapshot)
		want  string
	}{
		"an unknown relay": {func(s *Snapshot) { s.Peers[0].Through[0].Relay = "busan" },
			`peers[0].through[0].relay: found "busan"; allowed: the name of another peer: osaka, seoul, tokyo; add it there, or correct the name here`},
		"the peer as its relay": {func(s *Snapshot) { s.Peers[0].Through[0].Relay = "seoul" },
			`peers[0].through[0].relay: found "seoul"; allowed: a third PoP; a relay is neither of the two ends`},
		"a relay twice": {func(s *Snapshot) {
			s.Peers[0].Through = append(s.Peers[0].Through, Through{Relay: "tokyo", Wires: []Wire{{Local: "cu", Remote: addrPort("203.0.113.30:4702")}}})
		}, `peers[0].through[1].relay: found "tokyo"; allowed: each only once; it is taken by peers[0].through[0].relay; choose another`},
		"no wires": {func(s *Snapshot) { s.Peers[0].Through[0].Wires = nil },
			`peers[0].through[0].wires: missing; allowed: at least one wire to a passthrough of tokyo; give them, or remove the entry`},
		"a wire from nowhere": {func(s *Snapshot) { s.Peers[0].Through[0].Wires[0].Local = "cm" },
			`peers[0].through[0].wires[0].local: found "cm"; allowed: a name in pop.overlay: ct, cu, v6; add it there, or correct the name here`},
		"a wire that another segment has": {func(s *Snapshot) { s.Peers[0].Through[0].Wires[0].Remote = addrPort("203.0.113.30:4600") },
			`peers[1].wires[0].remote: found "203.0.113.30:4600"; allowed: an overlay address of this peer only; peers[0].through[0] has it already`},
		"a candidate through another relay": {func(s *Snapshot) { s.Routes[0].Candidates[1][0] = "through:osaka" },
			`routes[0].candidates[1][0]: found "through:osaka"; allowed: a relay of peers[0].through: tokyo; add it there, or correct the name here`},
		"a candidate to whom no relay leads": {func(s *Snapshot) { s.Routes[1].Candidates = [][]string{{"through:tokyo"}} },
			`routes[1].candidates[0][0]: found "through:tokyo"; allowed: a relay of peers[2].through; there is none yet; add it there, or correct the name here`},
		"through, and then over": {func(s *Snapshot) { s.Routes[0].Candidates[1] = []string{"osaka", "through:tokyo"} },
			`routes[0].candidates[1][1]: found "through:tokyo"; allowed: through one relay and nothing else; make it a candidate of its own: [through:tokyo]`},
		"a passthrough of no address": {func(s *Snapshot) { s.Passthroughs[0].Local = "cm" },
			`passthroughs[0].local: found "cm"; allowed: a name in pop.overlay: ct, cu, v6; add it there, or correct the name here`},
		"without a port": {func(s *Snapshot) { s.Passthroughs[0].Port = 0 },
			`passthroughs[0].port: missing; allowed: a port from 1 to 65535; 4700 is usual for the first`},
		"on a port that is taken": {func(s *Snapshot) { s.Passthroughs[0].Port = 4600 },
			`passthroughs[0]: found "10.0.0.10:4600"; allowed: an address and port of its own; pop.overlay[1].bind has 10.0.0.10:4600 already; use another address or port`},
		"an end of the other family": {func(s *Snapshot) { s.Passthroughs[0].Ends[1].Remote = addrPort("[2001:db8::20]:4600") },
			`passthroughs[0].ends[1].remote: found "[2001:db8::20]:4600"; allowed: an IPv4 address, as cu is bound to 10.0.0.10:4600; use an overlay address of the end's family`},
		"an end that is the PoP itself": {func(s *Snapshot) { s.Passthroughs[0].Ends[1].Remote = addrPort("203.0.113.11:4600") },
			`passthroughs[0].ends[1].remote: found "203.0.113.11:4600"; allowed: an overlay address of another PoP; this is pop.overlay[1] of this PoP itself`},
		"an end that is a passthrough": {func(s *Snapshot) { s.Passthroughs[0].Ends[1].Remote = addrPort("203.0.113.11:4700") },
			`passthroughs[0].ends[1].remote: found "203.0.113.11:4700"; allowed: an overlay address of another PoP; this is passthroughs[0] of this PoP itself`},
		"twice the same end": {func(s *Snapshot) { s.Passthroughs[0].Ends[1] = s.Passthroughs[0].Ends[0] },
			`passthroughs[0].ends[1].remote: found "203.0.113.30:4600"; allowed: another address than that of ends[0]; give the two PoPs that it is between`},
		"twice the same PoP": {func(s *Snapshot) { s.Passthroughs[0].Ends[1].PoP = "tokyo" },
			`passthroughs[0].ends[1].pop: found "tokyo"; allowed: another PoP than ends[0]; give the two PoPs that it is between`},
		"an end without a name": {func(s *Snapshot) { s.Passthroughs[1].Ends[0].PoP = "" },
			`passthroughs[1].ends[0].pop: missing; allowed: 1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends; give it a name`},
	} {
		s := relayed()
		c.spoil(&s)
		var lines []string
		for _, p := range s.Consistent() {
			lines = append(lines, p.String())
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
	many := relayed()
	for i := range MaxPassthroughs {
		many.Passthroughs = append(many.Passthroughs, Passthrough{Local: "ct", Port: uint16(5000 + i), Ends: many.Passthroughs[0].Ends})
	}
	if found := fmt.Sprint(many.Consistent()); !strings.Contains(found, "at most 4096") {
		t.Errorf("%.200s", found)
	}
}

func TestTheDefaultCandidatesHaveRelaysThatPassOn(t *testing.T) {
	s := relayed()
	s.Routes[0].Candidates = nil
	got := WithDefaults(s)
	if want := [][]string{{}, {"through:tokyo"}, {"tokyo"}}; !reflect.DeepEqual(got.Routes[0].Candidates, want) {
		t.Errorf("%v, want %v", got.Routes[0].Candidates, want)
	}
	got.Peers[0].Through[0].Wires[0].Local = "changed"
	if s.Peers[0].Through[0].Wires[0].Local != "cu" {
		t.Error("the copy shares memory with what it was made of")
	}
}
