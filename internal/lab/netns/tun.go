package netns

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// OpenTUN makes a TUN device of that name in the namespace, up, without a packet
// information header, and returns its descriptor: non-blocking, closed on exec, the
// caller's to close. The device lives as long as the descriptor. queue is how
// many packets wait for the reader before the kernel drops; 0 is the kernel's 500.
func (ns *NS) OpenTUN(name string, mtu, queue int) (fd int, err error) {
	if len(name) == 0 || len(name) >= unix.IFNAMSIZ {
		return -1, fmt.Errorf("%s: TUN device name %q: want 1 to %d characters", ns.name, name, unix.IFNAMSIZ-1)
	}
	if err := ns.RemoveLink(name); err != nil {
		return -1, err
	}
	err = ns.Do(func() error {
		fd, err = attachTUN(name)
		return err
	})
	if os.IsNotExist(err) || os.IsPermission(err) {
		return -1, tunMissing(err)
	} else if err != nil {
		return -1, ns.failed(err, "make TUN device %s", name)
	}
	err = ns.withLink(name, "set up TUN device "+name, func(l netlink.Link) error { return ns.raiseTUN(l, mtu, queue) })
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (ns *NS) raiseTUN(l netlink.Link, mtu, queue int) error {
	if err := ns.nl.LinkSetMTU(l, mtu); err != nil {
		return err
	}
	if queue > 0 {
		if err := ns.nl.LinkSetTxQLen(l, queue); err != nil {
			return err
		}
	}
	return ns.nl.LinkSetUp(l)
}

func attachTUN(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
