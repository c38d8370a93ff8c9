package dataplane

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// throughTokyo gives Shanghai and Seoul a second segment, through Tokyo.
func throughTokyo(r *rig) {
	r.tk.snap.Passthroughs = []snapshot.Passthrough{{Local: "net", Port: 4700, Ends: [2]snapshot.End{
		{PoP: "sh", Remote: port(r.sh.addr, 4600)}, {PoP: "se", Remote: port(r.se.addr, 4600)},
	}}}
	for _, p := range []*rigPoP{r.sh, r.se} {
		for i := range p.snap.Peers {
			if q := &p.snap.Peers[i]; q.Name != "tk" {
				q.Through = []snapshot.Through{{Relay: "tk", Wires: []snapshot.Wire{{Local: "net", Remote: port(r.tk.addr, 4700)}}}}
				p.snap.Routes = []snapshot.Route{{To: q.Name, Candidates: [][]string{{"through:tk"}}}}
			}
		}
	}
}

// through is what a PoP reports of its segment through Tokyo, and of the direct one.
func (p *rigPoP) through() (through, direct report.Segment) {
	for _, s := range p.engine.Report(p.now, time.Time{}).Segments {
		switch {
		case s.Through == "tk":
			through = s
		case s.Peer != "tk":
			direct = s
		}
	}
	return through, direct
}

func TestASegmentGoesThroughARelayUnopened(t *testing.T) {
	r := newRig(t, throughTokyo)
	var sealed [][]byte
	r.lose = func(p parcel) bool {
		if p.data[0] == seal.Type && (p.to == port(r.tk.addr, 4700) || p.from == port(r.tk.addr, 4700)) {
			sealed = append(sealed, p.data)
		}
		return false
	}
	egress := r.tunnel(port(clientIP, 500))
	r.mustReach(port(clientIP, 500), egress)
	if n := r.tk.engine.plan.relayed; n.Packets > 0 {
		t.Errorf("the relay has opened %d frames", n.Packets)
	}
	for i := 0; i+1 < len(sealed); i += 2 {
		if !bytes.Equal(sealed[i], sealed[i+1]) {
			t.Fatalf("datagram %d was changed on its way", i)
		}
	}
	for _, p := range []*rigPoP{r.sh, r.se} {
		through, direct := p.through()
		if !through.Up || !direct.Up || through.Repair.ToPeer.Carried == 0 || direct.Repair.ToPeer.Carried > 0 {
			t.Errorf("%s: carried %d through Tokyo, %d directly; up: %v, %v", p.name, through.Repair.ToPeer.Carried, direct.Repair.ToPeer.Carried, through.Up, direct.Up)
		}
		if through.Handshakes > 2 || direct.Handshakes > 2 { // both ends may begin at once
			t.Errorf("%s: %d and %d handshakes, want one of each segment", p.name, through.Handshakes, direct.Handshakes)
		}
		if chosen := p.engine.Report(p.now, time.Time{}).Routes[0].Chosen; len(chosen) != 1 || chosen[0] != "through:tk" {
			t.Errorf("%s: the way is %v", p.name, chosen)
		}
	}
	at := r.tk.engine.Report(r.now, time.Time{}).Passthroughs[0]
	if from, to := at.Ends[0].Sent, at.Ends[1].Sent; from.Packets == 0 || to.Packets == 0 || from.Packets+to.Packets < uint64(len(sealed)/2) || at.Public != port(r.tk.addr, 4700) {
		t.Errorf("the relay reports %+v, of %d datagrams", at, len(sealed)/2)
	}
	if len(r.tk.engine.drops.Map()) > 0 {
		t.Errorf("the relay dropped %v", r.tk.engine.drops.Map())
	}
	// Neighbours are told of direct segments alone.
	for _, l := range r.tk.engine.plan.peers[r.sh.label].links.list {
		if l.to != r.tk.label && l.to != r.se.label {
			t.Errorf("Shanghai tells of a segment to %d", l.to)
		}
	}
	if n := len(r.tk.engine.plan.peers[r.sh.label].links.list); n != 2 {
		t.Errorf("Shanghai tells of %d segments", n)
	}
}

func TestASegmentThroughARelayOutlivesIt(t *testing.T) {
	r := newRig(t, throughTokyo)
	egress := r.tunnel(port(clientIP, 500))
	r.tk.engine.Close()
	r.tk.engine = nil
	r.run(3 * time.Second)
	if s, _ := r.sh.through(); s.Up {
		t.Error("it is up without the relay")
	}
	r.tk.start()
	r.run(3 * time.Second)
	r.mustReach(port(clientIP, 500), egress)
	if s, _ := r.sh.through(); s.Handshakes > 2 { // silence makes new keys, a relay none
		t.Errorf("%d handshakes", s.Handshakes)
	}
}

// One that knows nothing of the relay stays silent, and what it has is not disturbed.
func TestAPeerWithoutTheSegmentIsNotConfused(t *testing.T) {
	r := newRig(t, func(r *rig) {
		throughTokyo(r)
		r.sh.snap.Routes[0].Candidates = [][]string{{"through:tk"}, {}}
		r.se.snap.Peers[0].Through, r.se.snap.Routes = nil, nil
	})
	r.run(5 * time.Second)
	egress := r.tunnel(port(clientIP, 500))
	r.mustReach(port(clientIP, 500), egress)
	through, direct := r.sh.through()
	if through.Up || through.Handshakes > 0 || through.HandshakesTried < 10 || !direct.Up || direct.Handshakes > 2 {
		t.Errorf("through Tokyo: %d of %d handshakes; directly %d", through.Handshakes, through.HandshakesTried, direct.Handshakes)
	}
	if n := r.se.drops("handshake"); n < 10 {
		t.Errorf("Seoul dropped %d initiations", n)
	}
}

// Whoever records an initiation and has it arrive through the relay, or the other way
// round, gets the answer that is due to it, or none.
func TestAnInitiationIsForTheSegmentThatItNames(t *testing.T) {
	var direct []byte
	r := newRig(t, func(r *rig) {
		throughTokyo(r)
		r.lose = func(p parcel) bool {
			if p.data[0] == handshake.TypeInitiation && p.to == port(r.se.addr, 4600) && p.from == port(r.sh.addr, 4600) {
				direct = p.data
			}
			return false
		}
	})
	r.run(20 * time.Second) // beyond the answers that are kept
	before, _ := r.se.through()
	r.send(port(r.tk.addr, 4700), port(r.se.addr, 4600), direct)
	r.run(2 * time.Second)
	if after, _ := r.se.through(); after.Handshakes != before.Handshakes || !after.Up {
		t.Errorf("%d handshakes, before %d", after.Handshakes, before.Handshakes)
	}
	r.tunnel(port(clientIP, 500))
}

func TestPassthroughsComeAndGo(t *testing.T) {
	r := newRig(t, throughTokyo)
	egress := r.tunnel(port(clientIP, 500))
	opened := r.tk.opened
	sent := func() uint64 { return r.tk.engine.Report(r.now, time.Time{}).Passthroughs[0].Ends[0].Sent.Packets }
	n := sent()
	r.tk.apply(func(s *snapshot.Snapshot) { s.Limits.HandshakesPerSec = 60 })
	r.mustReach(port(clientIP, 500), egress)
	if sent() <= n || r.tk.opened != opened {
		t.Errorf("after an apply that changed nothing of it: %d datagrams, before %d; %d sockets of %d", sent(), n, r.tk.opened, opened)
	}
	r.tk.apply(func(s *snapshot.Snapshot) { s.Passthroughs = nil })
	if r.tk.opened != opened-1 {
		t.Errorf("%d sockets, before %d", r.tk.opened, opened)
	}
	r.run(3 * time.Second)
	if s, _ := r.sh.through(); s.Up {
		t.Error("up without a passthrough")
	}
	r.tk.apply(func(s *snapshot.Snapshot) {
		throughTokyo(r)
		s.Passthroughs = r.tk.snap.Passthroughs
		s.Passthroughs[0].Port = 4701
	})
	for _, p := range []*rigPoP{r.sh, r.se} {
		p.apply(func(s *snapshot.Snapshot) {
			for i := range s.Peers {
				for k := range s.Peers[i].Through {
					s.Peers[i].Through[k].Wires[0].Remote = port(r.tk.addr, 4701)
				}
			}
		})
	}
	r.run(3 * time.Second)
	r.mustReach(port(clientIP, 500), egress)
	if s, _ := r.sh.through(); !strings.HasSuffix(s.Wires[0].Remote.String(), ":4701") {
		t.Errorf("the wire goes to %v", s.Wires[0].Remote)
	}
	for _, p := range []*rigPoP{r.sh, r.se} {
		p.apply(func(s *snapshot.Snapshot) {
			for i := range s.Peers {
				s.Peers[i].Through = nil
			}
			s.Routes = nil
		})
	}
	r.mustReach(port(clientIP, 500), egress)
	if len(r.sh.engine.plan.through) > 0 || len(r.sh.engine.plan.ends) != 2 {
		t.Errorf("segments left: %v", r.sh.engine.plan.ends)
	}
}

// quiet is a Network whose sockets keep nothing.
type quiet struct{}

func (quiet) Listen(netip.AddrPort, Use, uint64) (Socket, error) { return quiet{}, nil }
func (quiet) Queue([]byte, netip.AddrPort, uint8)                {}
func (quiet) Flush() udpio.SendStats                             { return udpio.SendStats{} }
func (quiet) Warm() uint64                                       { return 0 }
func (quiet) Close() error                                       { return nil }

func TestPassingOnAllocatesNothing(t *testing.T) {
	r := newRig(t, throughTokyo)
	e := NewEngine(EngineConfig{Key: r.tk.key, Network: quiet{}, Log: r.tk.engine.cfg.Log, Random: r.tk.engine.cfg.Random})
	if err := e.Apply(r.now, r.tk.snap); err != nil {
		t.Fatal(err)
	}
	token := e.byAddr[port(r.tk.addr, 4700)].token
	batch := []udpio.Message{{Data: append([]byte{seal.Type}, make([]byte, 1400)...), From: port(r.sh.addr, 4600)}}
	if n := testing.AllocsPerRun(1000, func() { e.Receive(r.now, token, batch); e.Flush(r.now) }); n != 0 {
		t.Errorf("%v allocations a datagram", n)
	}
	if n := e.plan.passthroughs[0].sent[0].Packets; n < 1000 {
		t.Errorf("passed on %d", n)
	}
}
