package netbench

import (
	"fmt"
	"net"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
)

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
