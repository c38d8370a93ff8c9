package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is the System that this process runs on.
type Machine struct{}

// ReadFile implements System.
func (Machine) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// Stat implements System.
func (Machine) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

// List implements System.
func (Machine) List(path string) (names []string, err error) {
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// FreeDisk implements System.
func (Machine) FreeDisk(path string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

// Interfaces implements System.
func (Machine) Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	var out []Interface
	for _, i := range all {
		one := Interface{Name: i.Name, MTU: i.MTU, Up: i.Flags&net.FlagUp != 0, Loopback: i.Flags&net.FlagLoopback != 0}
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				one.Addresses = append(one.Addresses, p.Addr())
			}
		}
		out = append(out, one)
	}
	return out, err
}

// CanBind implements System.
func (Machine) CanBind(a netip.AddrPort) error {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return err
	}
	return c.Close()
}

// Offloads implements System, by ethtool where it is installed.
func (Machine) Offloads(device string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "ethtool", "-k", device).Output()
	if err != nil {
		return nil, err
	}
	return parseOffloads(string(text)), nil
}

var offloadLine = regexp.MustCompile(`(?m)^\s*([a-z0-9-]+): (on|off)`)

func parseOffloads(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range offloadLine.FindAllStringSubmatch(text, -1) {
		out[m[1]] = m[2] == "on"
	}
	return out
}

// ReachTCP implements System.
func (Machine) ReachTCP(ctx context.Context, address string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// ClockOffset implements System, by adjtimex(2).
func (Machine) ClockOffset() (time.Duration, bool, error) {
	const unsynchronized, nanoseconds = 0x40, 0x2000
	var t syscall.Timex
	if _, err := syscall.Adjtimex(&t); err != nil {
		return 0, false, err
	}
	offset := time.Duration(t.Offset) * time.Microsecond
	if t.Status&nanoseconds != 0 {
		offset = time.Duration(t.Offset)
	}
	return offset, t.Status&unsynchronized == 0, nil
}

// Capabilities implements System.
func (Machine) Capabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, errors.New("/proc/self/status has no CapEff")
}

// LookPath implements System.
func (Machine) LookPath(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name, nil
		}
	}
	return exec.LookPath(name)
}

// RouteMTU implements System: a socket that sends nothing tells which address
// packets would leave from.
func (m Machine) RouteMTU(to netip.Addr) (int, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	from := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	all, err := m.Interfaces()
	for _, i := range all {
		for _, a := range i.Addresses {
			if a == from {
				return i.MTU, nil
			}
		}
	}
	return 0, errors.Join(err, fmt.Errorf("no interface has %v", from))
}

// Now implements System.
func (Machine) Now() time.Time { return time.Now() }
