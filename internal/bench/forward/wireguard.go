package forward

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"causeway/internal/lab/netns"
)

// wireguardPort is where the two ends of the tunnel talk.
const wireguardPort = 51820

// wireguardMTU lets the largest packet of the bench through unfragmented: the tunnel
// adds 60 bytes to it.
const wireguardMTU = 1440

// beginWireGuard starts wireguard-go at both ends of a crossing. Its hosts route: no
// address is translated, which the others do besides.
func beginWireGuard(r *running) error {
	program := r.wireguard
	if program == "" {
		program = ".cache/wireguard-go"
	}
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	if !exists(program) {
		return &missing{"wireguard-go is not built (make .cache/wireguard-go; or --wireguard FILE)"}
	}
	private := [2]*ecdh.PrivateKey{}
	for i := range private {
		if private[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return err
		}
	}
	var p [2]*process
	for i := range 2 {
		hop, far := i+1, 2-i
		ns := r.line.hop(hop)
		if err := ns.Router(false); err != nil {
			return err
		}
		device := fmt.Sprintf("wg%s%d", r.line.mark, hop)
		cmd := exec.Command(program, "-f", device)
		cmd.Env = append(os.Environ(), "LOG_LEVEL=error", "WG_PROCESS_FOREGROUND=1")
		if p[i], err = r.startCommand(hop, cmd); err != nil {
			return err
		}
		allowed := netip.PrefixFrom(r.line.endpoint().Addr(), 32)
		if hop == 2 {
			allowed = netip.MustParsePrefix("10.0.0.0/8")
		}
		remote := netip.AddrPortFrom(addr(1, 3-hop), wireguardPort)
		if err := configureWireGuard(device, private[i], private[far-1].PublicKey(), remote, allowed); err != nil {
			return fmt.Errorf("wireguard-go on %s: %w", device, errorOr(p[i].ended(), err))
		}
		if err := routeInto(ns, device, allowed); err != nil {
			return err
		}
	}
	r.to = r.line.endpoint()
	r.pay("wireguard-ingress", 1, p[0])
	r.pay("wireguard-egress", 2, p[1])
	r.payAll("wireguard-crossing", r.payer(1, p[0]), r.payer(2, p[1]))
	return nil
}

func errorOr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// configureWireGuard tells a wireguard-go that has just been started what to do, over
// its socket.
func configureWireGuard(device string, private *ecdh.PrivateKey, peer *ecdh.PublicKey, remote netip.AddrPort, allowed netip.Prefix) error {
	socket := filepath.Join("/var/run/wireguard", device+".sock")
	var conn net.Conn
	var err error
	for range 200 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "set=1\nprivate_key=%s\nlisten_port=%d\nreplace_peers=true\npublic_key=%s\nendpoint=%v\nallowed_ip=%v\n\n",
		hex.EncodeToString(private.Bytes()), wireguardPort, hex.EncodeToString(peer.Bytes()), remote, allowed)
	if err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if strings.TrimSpace(answer) != "errno=0" {
		return fmt.Errorf("it answered %q, %v", answer, err)
	}
	return nil
}

// routeInto brings the tunnel up and sends there what its other end takes.
func routeInto(ns *netns.NS, device string, to netip.Prefix) error {
	if err := ns.SetMTU(device, wireguardMTU); err != nil {
		return err
	}
	if err := ns.Up(device); err != nil {
		return err
	}
	c := exec.Command("ip", "route", "replace", to.String(), "dev", device)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := ns.Run(c); err != nil {
		return fmt.Errorf("route %v into %s: %w: %s", to, device, err, strings.TrimSpace(out.String()))
	}
	return nil
}
