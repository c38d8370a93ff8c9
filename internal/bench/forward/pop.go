package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"causeway/internal/bench/netbench"
	"causeway/internal/keys"
	"causeway/internal/lab/netns"
	"causeway/internal/popagent"
	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// overlayPort is where PoPs talk to each other.
const overlayPort = 4600

func beginOneBox(r *running) error {
	p, err := r.startPoPs(nil)
	if err != nil {
		return err
	}
	r.pay("one-box", 1, p[0])
	return nil
}

func beginSealed(r *running) error {
	p, err := r.startPoPs(nil)
	if err != nil {
		return err
	}
	r.pay("sealed-ingress", 1, p[0])
	r.pay("sealed-egress", 2, p[1])
	r.payAll("sealed-crossing", r.payer(1, p[0]), r.payer(2, p[1]))
	return nil
}

// beginXDP is beginSealed with what clients send taken before the ingress's stack.
func beginXDP(r *running) error {
	p, err := r.startPoPs(func(hop int) []string {
		if hop > 1 { // a cable of ours would cut what PoPs send joined, as no network card does
			return nil
		}
		return []string{"--xdp", r.line.right[0].Name}
	})
	if err != nil {
		return err
	}
	r.pay("xdp-ingress", 1, p[0])
	r.pay("xdp-egress", 2, p[1])
	r.payAll("xdp-crossing", r.payer(1, p[0]), r.payer(2, p[1]))
	return nil
}

// beginForward is beginOneBox with established tunnels forwarded in the kernel.
func beginForward(r *running) error {
	for _, device := range [...]string{r.line.right[0].Name, r.line.sink.Name} { // whose routes the program may use
		if err := r.line.hop(1).Sysctl("net/ipv4/conf/"+device+"/forwarding", "1"); err != nil {
			return err
		}
	}
	p, err := r.startPoPs(func(int) []string { return []string{"--xdp", r.line.right[0].Name + "," + r.line.sink.Name} })
	if err != nil {
		return err
	}
	r.pay(r.name, 1, p[0])
	return nil
}

func beginRelay(r *running) error {
	p, err := r.startPoPs(nil)
	if err != nil {
		return err
	}
	r.pay("sealed-relay", 2, p[1])
	r.payAll("sealed-over-relay", r.payer(1, p[0]), r.payer(2, p[1]), r.payer(3, p[2]))
	return nil
}

// passed is the passthrough of the relay that passes datagrams on unopened.
func passed() netip.AddrPort { return netip.AddrPortFrom(addr(1, 2), 4700) }

// beginPassthrough is a relay whose kernel passes on what one other PoP, the client, sends
// another, the sink. Between PoPs its line would be one of cables that copy what a
// program between them takes, as no network card does.
func beginPassthrough(r *running) error {
	if err := beginForward(r); err != nil {
		return err
	}
	r.accounts[0].name, r.waiting = r.name+r.suffix(), nil // it has no sessions
	return nil
}

// beginThroughRelay is beginRelay with a relay that opens nothing.
func beginThroughRelay(r *running) error {
	r.through = true
	// The port is one of the relay's left address, for both.
	if err := r.line.hop(3).AddRoute(netns.Route{To: netip.PrefixFrom(addr(1, 0), 24), Via: addr(2, 1)}); err != nil {
		return err
	}
	p, err := r.startPoPs(nil)
	if err != nil {
		return err
	}
	r.pay("through-relay", 2, p[1])
	r.payAll("sealed-through-relay", r.payer(1, p[0]), r.payer(2, p[1]), r.payer(3, p[2]))
	return nil
}

// startPoPs starts a PoP on every hop of the line: the first is the ingress, the
// last the egress, those between relays.
// options are flags beyond the usual, by hop; none: nil.
func (r *running) startPoPs(options func(hop int) []string) ([]*process, error) {
	n := r.line.hops()
	private := make([]keys.PrivateKey, n)
	for i := range private {
		key, err := keys.Generate()
		if err != nil {
			return nil, err
		}
		private[i] = key
	}
	var list []*process
	var sockets []string
	for i := range n {
		dir := filepath.Join(r.dir, fmt.Sprintf("pop%d", i+1))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		text, err := strictyaml.Encode(r.snapshot(i+1, private))
		if err != nil {
			return nil, err
		}
		file, key, socket := filepath.Join(dir, "snapshot.json"), filepath.Join(dir, "pop.key"), filepath.Join(dir, "pop.sock")
		if err := errors.Join(os.WriteFile(file, text, 0o600), private[i].WriteFile(key)); err != nil {
			return nil, err
		}
		args := []string{r.exe, "pop", "--snapshot", file, "--key", key, "--state-dir", filepath.Join(dir, "state"), "--socket", socket}
		if r.bound {
			args = append(args, "--cpus", strconv.Itoa(int(r.line.core)))
		}
		if options != nil {
			args = append(args, options(i+1)...)
		}
		p, err := r.start(i+1, args...)
		if err != nil {
			return nil, err
		}
		list, sockets = append(list, p), append(sockets, socket)
	}
	r.waiting = func(ctx context.Context, flows int) (string, error) { return unsettled(ctx, sockets, flows) }
	return list, nil
}

func popName(hop int) string { return fmt.Sprintf("pop%d", hop) }

// snapshot is what the PoP on a hop is told.
func (r *running) snapshot(hop int, private []keys.PrivateKey) snapshot.Snapshot {
	n := r.line.hops()
	s := snapshot.Snapshot{
		Format: snapshot.Format, Version: 1,
		PoP:    snapshot.PoP{Name: popName(hop), Label: snapshot.Label(hop)},
		Limits: snapshot.Limits{SessionsPerPrefix: 1 << 20, Unconfirmed: 16384},
		EndpointGroups: []snapshot.EndpointGroup{{
			Name: "endpoints", PoP: popName(n), EgressIP: snapshot.Address{Bind: r.line.egress()},
			Endpoints: []snapshot.Endpoint{{Address: r.line.endpoint().Addr()}},
		}},
	}
	if r.kind != 0 {
		s.Passthroughs = []snapshot.Passthrough{{Local: "left", Port: port, Ends: [2]snapshot.End{{PoP: "client", Remote: clients(1)[0]}, {PoP: "sink", Remote: r.line.endpoint()}}}}
		s.PoP.Overlay = []snapshot.Overlay{{Name: "left", Bind: netip.AddrPortFrom(addr(0, 2), overlayPort)}}
		s.EndpointGroups = nil
		return s
	}
	if hop == 1 {
		s.Listeners = []snapshot.Listener{{
			Name: "vpn", Addresses: []snapshot.Address{{Bind: r.line.accelerated().Addr()}}, Ports: []uint16{port},
			EndpointGroup: "endpoints", InKernel: r.ethernet,
		}}
		if r.rate > 0 {
			s.Allowances = []snapshot.Allowance{{Name: "bandwidth", Rate: r.rate}}
			s.Listeners[0].Allowances = []string{"bandwidth"}
		}
		if r.allow.IsValid() {
			s.Listeners[0].Allow = []netip.Prefix{r.allow}
			s.Limits.Unconfirmed = 0 // the default
		}
	}
	overlay := func(cable, side int) netip.AddrPort { return netip.AddrPortFrom(addr(cable, side), overlayPort) }
	wires := map[int]snapshot.Wire{} // by hop
	if hop > 1 {
		s.PoP.Overlay = append(s.PoP.Overlay, snapshot.Overlay{Name: "left", Bind: overlay(hop-1, 2)})
		wires[hop-1] = snapshot.Wire{Local: "left", Remote: overlay(hop-1, 1)}
	}
	if hop < n {
		s.PoP.Overlay = append(s.PoP.Overlay, snapshot.Overlay{Name: "right", Bind: overlay(hop, 1)})
		wires[hop+1] = snapshot.Wire{Local: "right", Remote: overlay(hop, 2)}
	}
	if hop == 1 { // where strangers find it, too
		s.PoP.Overlay = append(s.PoP.Overlay, snapshot.Overlay{Name: "left", Bind: overlay(0, 2)})
	}
	if n == 1 { // it has nobody to talk to, and needs an overlay address all the same
		s.PoP.Overlay = []snapshot.Overlay{{Name: "right", Bind: overlay(1, 1)}}
	}
	if r.through && hop == 2 {
		s.Passthroughs = []snapshot.Passthrough{{Local: "left", Port: passed().Port(), Ends: [2]snapshot.End{{PoP: popName(1), Remote: overlay(1, 1)}, {PoP: popName(3), Remote: overlay(2, 2)}}}}
	}
	for other := 1; other <= n; other++ {
		if other == hop {
			continue
		}
		p := snapshot.Peer{Name: popName(other), Label: snapshot.Label(other), PublicKey: private[other-1].Public().String()}
		if w, ok := wires[other]; ok {
			p.Wires = []snapshot.Wire{w}
		} else { // behind the neighbour on that side
			via := hop + 1
			if other < hop {
				via = hop - 1
			}
			if r.through {
				p.Through = []snapshot.Through{{Relay: popName(via), Wires: []snapshot.Wire{{Local: wires[via].Local, Remote: passed()}}}}
				s.Routes = append(s.Routes, snapshot.Route{To: p.Name, Policy: snapshot.Fixed, Candidates: [][]string{{snapshot.ThroughPrefix + popName(via)}}})
				s.Peers = append(s.Peers, p)
				continue
			}
			s.Routes = append(s.Routes, snapshot.Route{To: p.Name, Policy: snapshot.Fixed, Candidates: [][]string{{popName(via)}}})
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

// unsettled says which segment is not up yet with full-size packets proven, or which
// end does not know every session.
func unsettled(ctx context.Context, sockets []string, flows int) (string, error) {
	for i, socket := range sockets {
		p, err := popagent.Client{Socket: socket}.Status(ctx)
		if err != nil {
			return "", err
		}
		if why := notReady(&p); why != "" {
			return p.Name + ": " + why, nil
		}
		if edge := i == 0 || i == len(sockets)-1; edge && p.Sessions.Confirmed < flows {
			return fmt.Sprintf("%s has %d confirmed sessions of %d", p.Name, p.Sessions.Confirmed, flows), nil
		}
	}
	return "", nil
}

func notReady(p *report.PoP) string {
	for _, s := range p.Segments {
		if !s.Up {
			return "the segment to " + s.Name() + " is " + s.State
		}
		for _, w := range s.Wires {
			if w.MTU < netbench.MTU {
				return fmt.Sprintf("the wire to %s has proven %d bytes only", s.Peer, w.MTU)
			}
		}
	}
	return ""
}
