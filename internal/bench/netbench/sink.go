package netbench

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
)

// Answer sends every datagram that comes to addr in the namespace back to where
// it came from, as an endpoint that is there would, until the returned function
// is called.
func Answer(ns *netns.NS, addr netip.AddrPort) (stop func() error, err error) {
	var conn *net.UDPConn
	err = ns.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("answer at %v in %s: %w", addr, ns.Name(), err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			buf[0] ^= 0x80
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return func() error {
		err := conn.Close()
		<-ended
		return err
	}, nil
}

// Swallow makes a port drop all UDP as it comes in, before anything else looks at
// it: the cheapest sink without a program in the driver.
func Swallow(p *Port) error {
	return NFT(p.NS, fmt.Sprintf(`
table netdev sink {
	chain swallow {
		type filter hook ingress device "%s" priority 0
		ip protocol udp drop
	}
}
`, p.Name))
}

// NFT loads rules into a namespace.
func NFT(ns *netns.NS, rules string) error {
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := ns.Run(c); err != nil {
		return fmt.Errorf("load nft rules into %s: %w: %s", ns.Name(), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// ForceReceiveBuffer gives a socket a buffer beyond the system's limit, where that is
// allowed.
func ForceReceiveBuffer(conn *net.UDPConn, size int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) })
}
