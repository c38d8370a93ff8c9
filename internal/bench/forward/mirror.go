package forward

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"causeway/internal/bench/netbench"
)

// MirrorArgs is the command line that makes this program a Mirror.
func MirrorArgs(listen, to netip.AddrPort) []string {
	return []string{"bench", "forward", "mirror", "--listen", listen.String(), "--to", to.String()}
}

// Mirror is the yardstick of plain Go: what the net package offers, one socket and
// one goroutine per client, a packet per system call. It forwards until ctx ends.
func Mirror(ctx context.Context, listen, to netip.AddrPort) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(listen))
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	netbench.ForceReceiveBuffer(conn, 8<<20)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var back sync.WaitGroup
	clients := map[netip.AddrPort]*net.UDPConn{}
	defer func() {
		for _, c := range clients {
			c.Close()
		}
		back.Wait()
	}()
	buf := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
		out := clients[from]
		if out == nil {
			if out, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)); err != nil {
				return fmt.Errorf("mirror: %w", err)
			}
			clients[from] = out
			back.Go(func() { mirrorBack(conn, out, from) })
		}
		_, _ = out.Write(buf[:n])
	}
}

// mirrorBack carries answers until out is closed. An error that the endpoint's host
// has caused (port unreachable) is passing.
func mirrorBack(conn, out *net.UDPConn, client netip.AddrPort) {
	buf := make([]byte, 65536)
	for {
		n, err := out.Read(buf)
		if isClosed(err) {
			return
		}
		if err == nil {
			_, _ = conn.WriteToUDPAddrPort(buf[:n], client)
		}
	}
}
