package wan

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway/internal/lab/netns"
	"causeway/internal/weather"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// output runs a command inside a host and returns what it printed.
func output(t *testing.T, ns *netns.NS, name string, args ...string) string {
	t.Helper()
	var sb strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &sb, &sb
	err := ns.Run(cmd)
	if err != nil {
		fmt.Fprintf(&sb, "(%v)", err)
	}
	return sb.String()
}

func TestHostsReachEachOtherThroughTheWeather(t *testing.T) {
	nodes, ns := hosts(t, map[string][]string{"sh": {"198.18.1.2", "2001:db8:1::2"}, "se": {"198.19.1.2", "2001:db8:2::2"}})
	client := emulate(t, Config{Seed: 1, Nodes: nodes, Links: both("sh", "se", weather.Profile{Delay: 20 * ms})})
	ctx := context.Background()
	_, err := client.Start(ctx)
	must(t, err)
	fmt.Println(output(t, ns["sh"], "ping", "-c", "20", "-i", "0.05", "198.19.1.2"))
	fmt.Println(output(t, ns["sh"], "ping", "-q", "-c", "20", "-i", "0.05", "2001:db8:2::2"))
	s, err := client.Stats(ctx, false)
	must(t, err)
	fmt.Printf("%+v\n", s)
}
