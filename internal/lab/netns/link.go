package netns

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Veth joins a and b by a pair of virtual Ethernet devices of those names, both up.
// Devices that have the names already are removed first.
func Veth(a *NS, nameA string, b *NS, nameB string, mtu int) error {
	if err := a.RemoveLink(nameA); err != nil {
		return err
	}
	if err := b.RemoveLink(nameB); err != nil {
		return err
	}
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: nameA, MTU: mtu, TxQLen: -1},
		PeerName:      nameB,
		PeerNamespace: netlink.NsFd(int(b.handle)),
		PeerMTU:       uint32(mtu),
	}
	if err := a.nl.LinkAdd(pair); err != nil {
		return fmt.Errorf("join %s (%s) and %s (%s) by a veth pair: %w", a.name, nameA, b.name, nameB, err)
	}
	if err := a.Up(nameA); err != nil {
		return err
	}
	return b.Up(nameB)
}

// RemoveLink removes a device; it is no error when there is none.
func (ns *NS) RemoveLink(name string) error {
	link, err := ns.nl.LinkByName(name)
	if _, none := err.(netlink.LinkNotFoundError); none {
		return nil
	}
	if err == nil {
		err = ns.nl.LinkDel(link)
	}
	return ns.failed(err, "remove link %s", name)
}

// Up sets a device up.
func (ns *NS) Up(name string) error {
	return ns.withLink(name, "set link "+name+" up", ns.nl.LinkSetUp)
}

// Down sets a device down, as pulling its cable would.
func (ns *NS) Down(name string) error {
	return ns.withLink(name, "set link "+name+" down", ns.nl.LinkSetDown)
}

// SetMTU sets a device's MTU in bytes.
func (ns *NS) SetMTU(name string, mtu int) error {
	return ns.withLink(name, fmt.Sprintf("set the MTU of link %s to %d", name, mtu), func(l netlink.Link) error {
		return ns.nl.LinkSetMTU(l, mtu)
	})
}

// AddAddr gives a device an address, usable at once (IPv6 without duplicate
// address detection). One that it has already is no error.
func (ns *NS) AddAddr(link string, addr netip.Prefix) error {
	return ns.withLink(link, fmt.Sprintf("add address %v to %s", addr, link), func(l netlink.Link) error {
		a := &netlink.Addr{IPNet: ipNet(addr, false)}
		if addr.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		return ns.nl.AddrReplace(l, a)
	})
}

// LinkStats counts what a device of a namespace has carried, seen from inside.
type LinkStats struct {
	RxPackets, RxBytes, RxDropped, RxErrors uint64
	TxPackets, TxBytes, TxDropped, TxErrors uint64
}

// Stats returns a device's counters.
func (ns *NS) Stats(link string) (LinkStats, error) {
	var st LinkStats
	err := ns.withLink(link, "read counters of "+link, func(l netlink.Link) error {
		if s := l.Attrs().Statistics; s != nil {
			st = LinkStats{s.RxPackets, s.RxBytes, s.RxDropped, s.RxErrors, s.TxPackets, s.TxBytes, s.TxDropped, s.TxErrors}
		}
		return nil
	})
	return st, err
}

func (ns *NS) withLink(name, doing string, f func(netlink.Link) error) error {
	link, err := ns.nl.LinkByName(name)
	if err == nil {
		err = f(link)
	}
	return ns.failed(err, "%s", doing)
}

// failed says what was tried where, when err is not nil.
func (ns *NS) failed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", ns.name, fmt.Sprintf(format, args...), err)
}

// ipNet converts; masked clears the host part.
func ipNet(p netip.Prefix, masked bool) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	if masked {
		p = p.Masked()
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
