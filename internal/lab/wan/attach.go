package wan

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
)

// attachment is a node's device, open.
type attachment struct {
	ns     *netns.NS
	device string
	fd     int
}

// deviceQueue is how many packets wait for the loop before the kernel drops
// them: 100 ms at 80,000 packets a second, so that a stall shows as lateness and not as loss.
const deviceQueue = 8192

// attach makes a node's device, with addresses and default routes.
func attach(n Node) (a *attachment, err error) {
	ns, err := netns.Open(n.Namespace)
	if err != nil {
		return nil, fmt.Errorf("attach node %s: %w", n.Name, err)
	}
	fd, err := ns.OpenTUN(n.Device, n.MTU, deviceQueue)
	if err != nil {
		ns.Close()
		return nil, fmt.Errorf("attach node %s: %w", n.Name, err)
	}
	a = &attachment{ns: ns, device: n.Device, fd: fd}
	if err := a.address(n); err != nil {
		a.close()
		return nil, fmt.Errorf("attach node %s: %w", n.Name, err)
	}
	return a, nil
}

func (a *attachment) address(n Node) error {
	families := map[bool]netip.Addr{}
	for _, addr := range n.Addrs {
		if err := a.ns.AddAddr(n.Device, netip.PrefixFrom(addr, addr.BitLen())); err != nil {
			return err
		}
		if _, ok := families[addr.Is6()]; !ok {
			families[addr.Is6()] = addr // the first is what the host sends from
		}
	}
	if n.NoDefaultRoute {
		return nil
	}
	for v6, src := range families {
		to := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if v6 {
			to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := a.ns.AddRoute(netns.Route{To: to, Dev: n.Device, Src: src}); err != nil {
			return err
		}
	}
	return nil
}

// unread returns how many packets the kernel has dropped before we read them.
func (a *attachment) unread() uint64 {
	st, err := a.ns.Stats(a.device)
	if err != nil {
		return 0
	}
	return st.TxDropped
}

// close removes the device.
func (a *attachment) close() {
	unix.Close(a.fd)
	a.ns.Close()
}
