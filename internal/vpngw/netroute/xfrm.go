package netroute

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// prefix begins the names of our XFRM interfaces.
const prefix = "cwvpn"

// Interface is the name of the XFRM interface with that ID.
func Interface(id uint32) string { return fmt.Sprint(prefix, id) }

// KernelESP returns nil where the kernel does ESP in UDP and has XFRM interfaces
// (Linux 4.19), which is found out by trying both, and what is missing where not.
func (n *Net) KernelESP() error {
	if err := n.tryState(); err != nil {
		return fmt.Errorf("the kernel has no ESP: %w", err)
	}
	if err := n.handle.LinkAdd(&netlink.Xfrmi{LinkAttrs: netlink.LinkAttrs{Name: prefix + "-try"}, Ifid: 0xfffffffe}); err != nil {
		return fmt.Errorf("the kernel has no XFRM interfaces: %w", err)
	}
	return n.removeLink(prefix + "-try")
}

// tryState adds and removes an SA of the kind that tunnels use.
func (n *Net) tryState() error {
	s := &netlink.XfrmState{
		Src: net.IPv4(192, 0, 2, 1), Dst: net.IPv4(192, 0, 2, 2), Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TUNNEL, Spi: 0xc0000001, ReplayWindow: 32,
		Aead:  &netlink.XfrmStateAlgo{Name: "rfc4106(gcm(aes))", Key: make([]byte, 20), ICVLen: 128},
		Encap: &netlink.XfrmStateEncap{Type: netlink.XFRM_ENCAP_ESPINUDP, SrcPort: 4500, DstPort: 4500, OriginalAddress: net.IPv4zero},
	}
	if err := n.handle.XfrmStateAdd(s); err != nil {
		return err
	}
	return n.handle.XfrmStateDel(s)
}

// SyncInterfaces makes exactly these XFRM interfaces be there, of ours, up, with
// their MTU.
func (n *Net) SyncInterfaces(mtu map[uint32]int) error {
	links, err := n.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	there := map[string]netlink.Link{}
	wanted := map[string]bool{}
	for id := range mtu {
		wanted[Interface(id)] = true
	}
	var errs []error
	for _, l := range links {
		name := l.Attrs().Name
		there[name] = l
		if strings.HasPrefix(name, prefix) && !wanted[name] {
			errs = append(errs, n.removeLink(name))
		}
	}
	for id, m := range mtu {
		l, ok := there[Interface(id)]
		if !ok {
			l = &netlink.Xfrmi{LinkAttrs: netlink.LinkAttrs{Name: Interface(id), MTU: m}, Ifid: id}
			if err := n.handle.LinkAdd(l); err != nil {
				errs = append(errs, fmt.Errorf("make XFRM interface %s: %w", Interface(id), err))
				continue
			}
		} else if l.Attrs().MTU != m {
			errs = append(errs, n.handle.LinkSetMTU(l, m))
		}
		if l.Attrs().Flags&net.FlagUp == 0 {
			errs = append(errs, n.handle.LinkSetUp(l))
		}
	}
	return errors.Join(errs...)
}

// TuneTUN lets more packets wait for a charon that does ESP itself: the usual 500
// are full when it waits 200 ms for a processor at 30 Mbit/s. It is no error when
// there is no such device.
func (n *Net) TuneTUN(name string) error {
	l, err := n.handle.LinkByName(name)
	if err != nil {
		return nil
	}
	return n.handle.LinkSetTxQLen(l, 4000)
}

func (n *Net) removeLink(name string) error {
	l, err := n.handle.LinkByName(name)
	if err == nil {
		err = n.handle.LinkDel(l)
	}
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) || err == unix.ENODEV {
		return nil
	}
	return err
}
