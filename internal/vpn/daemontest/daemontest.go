// Package daemontest starts real IKE daemons for tests: two network namespaces
// joined by a wire, strongSwan's charon or libreswan's pluto in each, with the
// configuration files that a test gives them. Everything ends with the test,
// and with the process that runs it. Where namespaces or a daemon are missing,
// tests are skipped with the reason.
package daemontest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"causeway/internal/lab/netns"
)

// Patience is how long anything may take that is polled for.
const Patience = 60 * time.Second

// Host is one end: a namespace with an outer address on wan0, and an address
// behind it on lo.
type Host struct {
	t     *testing.T
	Outer netip.Addr
	Inner netip.Addr
	Dir   string // files of its daemon
	ns    *netns.NS
}

var pairs atomic.Int32

// Pair makes two hosts: 198.18.1.2 with 10.1.0.1 and 10.1.9.1 behind it, and
// 198.18.1.3 with 10.2.0.1 and 10.2.9.1.
func Pair(t *testing.T) (a, b *Host) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if err := netns.Check(); err != nil {
		t.Skipf("network namespaces cannot be made: %v", err)
	}
	sweep.Do(takeAwayOfTheDead)
	n := pairs.Add(1)
	a = newHost(t, fmt.Sprintf("cw-vt%d-a%d", os.Getpid(), n), "198.18.1.2", "10.1.0.1")
	b = newHost(t, fmt.Sprintf("cw-vt%d-b%d", os.Getpid(), n), "198.18.1.3", "10.2.0.1")
	must(t, netns.Veth(a.ns, "wan0", b.ns, "wan0", 1500))
	for _, h := range []*Host{a, b} {
		must(t, h.ns.Host(false))
		must(t, h.ns.Up("lo"))
		must(t, h.ns.Up("wan0"))
		must(t, h.ns.AddAddr("wan0", netip.PrefixFrom(h.Outer, 24)))
		second := h.Inner.As4()
		second[2] = 9
		for _, inner := range []netip.Addr{h.Inner, netip.AddrFrom4(second)} {
			must(t, h.ns.AddAddr("lo", netip.PrefixFrom(inner, 32)))
		}
	}
	return a, b
}

var sweep sync.Once

// takeAwayOfTheDead takes away namespaces of test processes that were killed.
func takeAwayOfTheDead() {
	names, _ := netns.List("cw-vt")
	for _, name := range names {
		var pid int
		if _, err := fmt.Sscanf(name, "cw-vt%d-", &pid); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			netns.Delete(name)
		}
	}
}

func newHost(t *testing.T, name, outer, inner string) *Host {
	ns, err := netns.Create(name)
	must(t, err)
	t.Cleanup(func() {
		ns.Close()
		if err := netns.Delete(name); err != nil {
			t.Errorf("delete namespace %s: %v", name, err)
		}
	})
	dir, err := os.MkdirTemp("", "cwvt")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &Host{t: t, Outer: netip.MustParseAddr(outer), Inner: netip.MustParseAddr(inner), Dir: dir, ns: ns}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Run runs a command in the host's namespace and returns all it wrote.
func (h *Host) Run(args ...string) (string, error) {
	var b strings.Builder
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), h.env()...)
	cmd.Stdout, cmd.Stderr = &b, &b
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := h.ns.Start(cmd)
	if err != nil {
		return "", err
	}
	timer := time.AfterFunc(2*Patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	return b.String(), err
}

// MustRun is Run for what has to work.
func (h *Host) MustRun(args ...string) string {
	h.t.Helper()
	out, err := h.Run(args...)
	if err != nil {
		h.t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, h.Log())
	}
	return out
}

// Write writes a file of the host's daemon, mode 0600.
func (h *Host) Write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.Dir, name)
	must(h.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(h.t, os.WriteFile(path, []byte(text), 0o600))
}

// Log is all the daemon has logged.
func (h *Host) Log() string {
	b, _ := os.ReadFile(filepath.Join(h.Dir, "daemon.log"))
	return string(b)
}

// Await waits until the log has a line with text in it.
func (h *Host) Await(text string) {
	h.t.Helper()
	Until(h.t, func() error {
		if !strings.Contains(h.Log(), text) {
			return fmt.Errorf("no %q in the log of %s:\n%s", text, h.Outer, h.Log())
		}
		return nil
	})
}

// Until polls f until it returns nil.
func Until(t *testing.T, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", Patience, err)
		}
	}
}

func (h *Host) env() []string {
	return []string{"STRONGSWAN_CONF=" + h.Dir + "/strongswan.conf", "SWANCTL_DIR=" + h.Dir}
}

// start starts a daemon that stays until the test ends.
func (h *Host) start(env []string, args ...string) {
	h.t.Helper()
	out, err := os.OpenFile(filepath.Join(h.Dir, "daemon.out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(h.t, err)
	defer out.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), h.env()...), env...)
	cmd.Stdout, cmd.Stderr = out, out
	must(h.t, h.ns.Start(cmd))
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	h.t.Cleanup(func() {
		if h.t.Failed() {
			b, _ := os.ReadFile(out.Name())
			h.t.Logf("log of %s:\n%s\n%s", h.Outer, h.Log(), b)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	})
}

// charon is the daemon that can be started by hand, any number of times.
const charon = "/usr/sbin/charon-systemd"

// Charon starts strongSwan, which reads swanctl.conf and its folders in h.Dir when told
// to. Its ESP is done in user space, so that it works on any kernel. extra are
// settings of the section charon.
func (h *Host) Charon(extra string) {
	h.t.Helper()
	for _, p := range []string{charon, "/usr/sbin/swanctl", "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so", "/dev/net/tun"} {
		if _, err := os.Stat(p); err != nil {
			h.t.Skipf("%s is missing: run scripts/setup.sh", p)
		}
	}
	socket := "unix://" + h.Dir + "/charon.vici"
	h.Write("strongswan.conf", `charon {
  load = random nonce aes sha1 sha2 hmac kdf gmp pem pkcs1 pkcs8 x509 pubkey openssl drbg counters kernel-libipsec kernel-netlink socket-default updown vici
  threads = 16
  install_routes = yes
  retransmit_timeout = 0.4
  retransmit_base = 1
  retransmit_tries = 4
  half_open_timeout = 60
`+extra+`
  filelog {
    log {
      path = `+h.Dir+`/daemon.log
      time_format = %Y-%m-%dT%H:%M:%S
      ike_name = yes
      flush_line = yes
      default = 1
    }
  }
  plugins {
    vici {
      socket = `+socket+`
    }
  }
}
charon-systemd {
  journal {
    default = -1
  }
}
swanctl {
  socket = `+socket+`
  load = pem pkcs1 pkcs8 x509 openssl
}
`)
	for _, d := range []string{"x509", "x509ca", "private"} {
		must(h.t, os.MkdirAll(filepath.Join(h.Dir, d), 0o700))
	}
	h.start(nil, charon)
	Until(h.t, func() error { _, err := h.Run("swanctl", "--stats"); return err })
	h.MustRun("swanctl", "--load-all", "--file", h.Dir+"/swanctl.conf")
}

// Initiate brings a child up from this end; whether that works within that time is the answer.
func (h *Host) Initiate(child string, within time.Duration) error {
	out, err := h.Run("swanctl", "--initiate", "--child", child, "--timeout", fmt.Sprint(int(within.Seconds())))
	if err != nil {
		return errors.Join(err, errors.New(out))
	}
	return nil
}

// Reach sends a datagram from the host's inner address to another's until one arrives.
func (h *Host) Reach(to *Host) {
	h.t.Helper()
	from, err := h.listen()
	must(h.t, err)
	defer from.Close()
	at, err := to.listen()
	must(h.t, err)
	defer at.Close()
	Until(h.t, func() error {
		if _, err := from.WriteTo([]byte("through the tunnel"), at.LocalAddr()); err != nil {
			return err
		}
		var b [64]byte
		at.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, who, err := at.ReadFrom(b[:])
		if err == nil && who.String() != from.LocalAddr().String() {
			return fmt.Errorf("a datagram from %s arrived, not from %s", who, from.LocalAddr())
		}
		return err
	})
}

func (h *Host) listen() (c net.PacketConn, err error) {
	err = h.ns.Do(func() error {
		c, err = net.ListenPacket("udp4", netip.AddrPortFrom(h.Inner, 0).String())
		return err
	})
	return c, err
}

// Block drops UDP to a port on its way in; 0: everything.
func (h *Host) Block(port int) {
	h.t.Helper()
	rule := ""
	if port != 0 {
		rule = fmt.Sprintf("udp dport %d ", port)
	}
	h.Write("block.nft", "table inet block {\n chain input {\n  type filter hook input priority 0; policy accept;\n  iifname wan0 "+rule+"drop\n }\n}\n")
	h.MustRun("nft", "-f", h.Dir+"/block.nft")
}
