package wan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway/internal/lab/netns"
	"causeway/internal/weather"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "lab" && os.Args[2] == "wan" {
		os.Exit(emulatorProcess())
	}
	goleak.VerifyTestMain(m)
}

// emulatorProcess is what `causeway lab wan --config -` does, played by the test binary.
func emulatorProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := ReadConfig(os.Stdin)
	if err == nil {
		err = Run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const ms = time.Millisecond

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// needRoot skips where the emulator cannot run, and says why.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("no /dev/net/tun on this machine")
	}
}

// hosts makes namespaces for the test's length and returns the nodes that they are.
func hosts(t *testing.T, addrs map[string][]string) ([]Node, map[string]*netns.NS) {
	t.Helper()
	needRoot(t)
	lab := fmt.Sprintf("w%d", os.Getpid())
	var nodes []Node
	spaces := map[string]*netns.NS{}
	for name, list := range addrs {
		ns, err := netns.Create(netns.Name(lab, name))
		must(t, err)
		t.Cleanup(func() { must(t, ns.Delete()) })
		node := Node{Name: name, Namespace: ns.Name()}
		v6 := false
		for _, a := range list {
			node.Addrs = append(node.Addrs, netip.MustParseAddr(a))
			v6 = v6 || strings.Contains(a, ":")
		}
		must(t, ns.Host(v6))
		nodes = append(nodes, node)
		spaces[name] = ns
	}
	return nodes, spaces
}

// emulate runs the emulator for the test's length.
func emulate(t *testing.T, c Config) *Client {
	t.Helper()
	files := openFiles(t)
	c.Control = filepath.Join(t.TempDir(), "wan.sock")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c) }()
	dial, stop := context.WithCancelCause(ctx)
	go func() {
		select {
		case err := <-ended:
			stop(fmt.Errorf("Run ended: %w", err))
			ended <- err
		case <-dial.Done():
		}
	}()
	client, err := Dial(dial, c.Control)
	stop(nil)
	must(t, err)
	t.Cleanup(func() {
		defer cancel()
		if err := client.Stop(ctx); err != nil {
			t.Error(err)
		}
		client.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if now := openFiles(t); now > files {
			t.Errorf("%d files open, %d before", now, files)
		}
		if _, err := os.Stat(c.Control); err == nil {
			t.Error("the control socket is still there")
		}
	})
	return client
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

func both(from, to string, p weather.Profile, hops ...string) []Link {
	a, b := Link{From: from, To: to, Profile: p}, Link{From: to, To: from, Profile: p}
	for _, h := range hops {
		a.Hops = append(a.Hops, netip.MustParseAddr(h))
		b.Hops = append([]netip.Addr{netip.MustParseAddr(h)}, b.Hops...)
	}
	return []Link{a, b}
}

// socket opens a UDP socket on an address inside a host.
func socket(t *testing.T, ns *netns.NS, addr string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	must(t, ns.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 7000)))
		return err
	}))
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func send(t *testing.T, c *net.UDPConn, to string, payload []byte) {
	t.Helper()
	_, err := c.WriteToUDPAddrPort(payload, netip.AddrPortFrom(netip.MustParseAddr(to), 7000))
	must(t, err)
}

// receive returns the next payload and when it came.
func receive(t *testing.T, c *net.UDPConn) ([]byte, time.Time) {
	t.Helper()
	b := make([]byte, 65536)
	n, _, err := c.ReadFromUDPAddrPort(b)
	must(t, err)
	return b[:n], time.Now()
}

func stats(t *testing.T, c *Client, reset bool) Stats {
	t.Helper()
	s, err := c.Stats(context.Background(), reset)
	must(t, err)
	return s
}

var pair = map[string][]string{"sh": {"198.18.1.2", "2001:db8:1::2"}, "se": {"198.19.1.2", "2001:db8:2::2"}}

func TestPacketsTakeAsLongAsTheWeatherSays(t *testing.T) {
	nodes, ns := hosts(t, pair)
	there, back := both("sh", "se", weather.Profile{Delay: 20 * ms}), 5*ms
	there[1].Profile.Delay = back
	client := emulate(t, Config{Seed: 1, Nodes: nodes, Links: there})
	for _, ends := range [][2]string{{"198.18.1.2", "198.19.1.2"}, {"2001:db8:1::2", "2001:db8:2::2"}} {
		sh, se := socket(t, ns["sh"], ends[0]), socket(t, ns["se"], ends[1])
		for i := range 20 {
			sent := time.Now()
			send(t, sh, ends[1], []byte{byte(i)})
			b, came := receive(t, se)
			if wait := came.Sub(sent); wait < 20*ms-time.Millisecond/2 || b[0] != byte(i) {
				t.Errorf("packet %d of %v came as %d after %v, want 20ms", i, ends, b[0], wait)
			}
			sent = time.Now()
			send(t, se, ends[0], []byte{byte(i)})
			b, came = receive(t, sh)
			if wait := came.Sub(sent); wait < 5*ms-time.Millisecond/2 || b[0] != byte(i) {
				t.Errorf("packet %d of %v came back as %d after %v, want 5ms", i, ends, b[0], wait)
			}
		}
	}
	s := stats(t, client, true)
	for _, l := range s.Links {
		if l.Offered != 40 || l.Delivered != 40 || len(l.Dropped) > 0 {
			t.Errorf("%+v, want 40 offered and delivered", l)
		}
	}
	if s.Lateness.Packets != 80 {
		t.Errorf("%d packets in the lateness", s.Lateness.Packets)
	}
	if s = stats(t, client, false); s.Links[0].Offered != 0 {
		t.Errorf("after a reset: %+v", s.Links[0])
	}
}
