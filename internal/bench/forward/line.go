package forward

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"

	"causeway/internal/bench/netbench"
	"causeway/internal/lab/netns"
)

// line is a row of hosts joined by cables, with a sink behind the last:
//
//	generator ── hop 1 ── … ── hop n ── sink
//	         198.18.0   198.18.1  198.18.n     .1 on the left, .2 on the right
//
// Clients are 10.0.0.0/8, all behind the generator. What they send to is hop 1's
// 198.18.0.2; what must come out goes to the sink's 198.18.n.2.
type line struct {
	hosts       []*netns.NS // generator, hops
	left, right []*netbench.Port
	sink        *netbench.Sink
	generator   *netbench.Generator
	mark        string // that its devices' names begin with
	core        netbench.Core
}

// port is where everything is sent to; as VPN gateways do.
const port = 4500

// addr is the address on the left (1) or right (2) of a cable.
func addr(cable, side int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(cable), byte(side)})
}

func (l *line) hops() int           { return len(l.hosts) - 1 }
func (l *line) hop(i int) *netns.NS { return l.hosts[i] } // from 1

// accelerated is what clients send to, egress what the sink is sent from, endpoint
// the sink itself.
func (l *line) accelerated() netip.AddrPort { return netip.AddrPortFrom(addr(0, 2), port) }
func (l *line) egress() netip.Addr          { return addr(l.hops(), 1) }
func (l *line) endpoint() netip.AddrPort    { return netip.AddrPortFrom(addr(l.hops(), 2), port) }

// ports are a hop's devices that receive.
func (l *line) ports(hop int) []*netbench.Port {
	if hop == l.hops() {
		return []*netbench.Port{l.right[hop-1]}
	}
	return []*netbench.Port{l.right[hop-1], l.left[hop]}
}

// clients are the first n senders: each an address of its own, as gateways have.
func clients(n int) []netip.AddrPort {
	list := make([]netip.AddrPort, n)
	for i := range list {
		list[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 14), byte(i >> 6), byte(1 + i&63)}), port)
	}
	return list
}

// build makes a line with that many hops. Its namespaces are prefix and name, its
// devices begin with mark, which no other line on this machine has.
func build(prefix, name, mark string, hops int, o netbench.CableOptions, w netbench.Window, c netbench.Core, feed netbench.Feed) (*line, error) {
	l := &line{core: c, mark: mark}
	fail := func(err error) (*line, error) { return nil, errors.Join(err, l.close()) }
	for i := range hops + 1 {
		ns, err := netns.Create(fmt.Sprintf("%s%s-%d", prefix, name, i))
		if err != nil {
			return fail(err)
		}
		l.hosts = append(l.hosts, ns)
		if err := ns.Host(false); err != nil {
			return fail(err)
		}
		if i == 0 {
			continue
		}
		if err := l.connect(i-1, mark, o); err != nil {
			return fail(err)
		}
	}
	last := l.hosts[hops]
	var err error
	o.Ethernet = o.Ethernet && hops == 1
	if l.sink, err = netbench.OpenSink(last, mark+"s", o); err != nil {
		return fail(err)
	}
	err = errors.Join(
		last.AddAddr(l.sink.Name, netip.PrefixFrom(addr(hops, 1), 24)),
		l.hop(1).AddRoute(netns.Route{To: netip.MustParsePrefix("10.0.0.0/8"), Via: addr(0, 1)}),
	)
	if o.Ethernet { // nobody answers at a TAP
		err = errors.Join(err, last.Run(exec.Command("ip", "neigh", "add", addr(hops, 2).String(), "lladdr", "02:00:00:00:00:02", "dev", l.sink.Name, "nud", "permanent")))
	}
	if err != nil {
		return fail(err)
	}
	if l.generator, err = netbench.NewGenerator(l.left[0], l.right[0], l.sink, w, c, feed); err != nil {
		return fail(err)
	}
	return l, nil
}

// connect lays cable i from host i to the next.
func (l *line) connect(i int, mark string, o netbench.CableOptions) error {
	if i > 0 { // the generator looks itself how much there is room for
		o.Queue = 8192
	}
	left, right, err := netbench.Connect(l.hosts[i], fmt.Sprintf("%s%da", mark, i), l.hosts[i+1], fmt.Sprintf("%s%db", mark, i), o)
	if err != nil {
		return err
	}
	l.left, l.right = append(l.left, left), append(l.right, right)
	for side, p := range [...]*netbench.Port{left, right} {
		if err := p.NS.AddAddr(p.Name, netip.PrefixFrom(addr(i, side+1), 24)); err != nil {
			return err
		}
		for _, thread := range p.Threads() {
			if err := l.core.Take(thread); err != nil {
				return err
			}
		}
	}
	return nil
}

// close takes the line away.
func (l *line) close() error {
	var err error
	if l.generator != nil {
		err = l.generator.Close()
	}
	if l.sink != nil {
		err = errors.Join(err, l.sink.Close())
	}
	for _, p := range append(l.left, l.right...) {
		err = errors.Join(err, p.Close())
	}
	for _, ns := range l.hosts {
		err = errors.Join(err, ns.Delete())
	}
	return err
}
