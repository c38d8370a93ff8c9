package dataplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// These tests use real sockets on 127.0.0.0/8, of which this test has 127.77.0.0/16.
func loop(n byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 77, 0, n}) }

// ownAddress is an address of this machine that an endpoint may have: loopback
// is refused.
func ownAddress(t *testing.T) netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	t.Skip("needs a network interface with an IPv4 address besides loopback")
	return netip.Addr{}
}

func needPort500(t *testing.T) {
	c, err := net.ListenPacket("udp4", port(loop(200), 500).String())
	if err != nil {
		t.Skipf("needs to bind port 500, as root may: %v", err)
	}
	c.Close()
}

func openFiles(t *testing.T) (list []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "anon_inode:") || strings.Contains(to, "sessions")) && !strings.Contains(to, "pidfd") {
			list = append(list, to)
		}
	}
	return list
}

// noLeaks checks at the test's end that it leaves nothing behind.
func noLeaks(t *testing.T) {
	t.Helper()
	warm, _ := net.ListenPacket("udp4", "127.0.0.1:0") // opens the runtime's own poller
	warm.Close()
	before := len(openFiles(t))
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if after := openFiles(t); len(after) > before {
			t.Errorf("%d files and sockets were open before, now %v", before, after)
		}
		goleak.VerifyNone(t, running)
	})
}

// alone waits until no other process runs these tests on this machine: they use the
// same addresses. The lock ends with the process.
var alone = sync.OnceFunc(func() {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "causeway-plane-tests.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err == nil {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		held = f
	}
})

var held *os.File // keeps the lock's file open

// runPlane runs a Plane until the test ends, or until stop.
func runPlane(t *testing.T, cfg Config) (p *Plane, stop func()) {
	t.Helper()
	alone()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

// twoPlanes are snapshots of an ingress and an egress on loopback.
func twoPlanes(t *testing.T, endpoint netip.Addr) (in, out snapshot.Snapshot) {
	a, b := key(t, 1), key(t, 2)
	group := []snapshot.EndpointGroup{{Name: "g", PoP: "out", EgressIP: snapshot.Address{Bind: loop(4)}, Endpoints: []snapshot.Endpoint{{Address: endpoint}}}}
	in = snapshot.Snapshot{
		Format: 1, Version: 1, PoP: snapshot.PoP{Name: "in", Label: 1, Overlay: []snapshot.Overlay{{Name: "lo", Bind: port(loop(1), 46001)}}},
		Peers:          []snapshot.Peer{{Name: "out", Label: 2, PublicKey: b.Public().String(), Wires: []snapshot.Wire{{Local: "lo", Remote: port(loop(2), 46002)}}}},
		Listeners:      []snapshot.Listener{{Name: "l", Addresses: []snapshot.Address{{Bind: loop(3)}}, Ports: []uint16{45000}, EndpointGroup: "g"}},
		EndpointGroups: group,
	}
	out = snapshot.Snapshot{
		Format: 1, Version: 1, PoP: snapshot.PoP{Name: "out", Label: 2, Overlay: []snapshot.Overlay{{Name: "lo", Bind: port(loop(2), 46002)}}},
		Peers:          []snapshot.Peer{{Name: "in", Label: 1, PublicKey: a.Public().String(), Wires: []snapshot.Wire{{Local: "lo", Remote: port(loop(1), 46001)}}}},
		EndpointGroups: group,
	}
	return in, out
}

// eventually waits for something that other goroutines and the kernel bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s did not come true in a minute", what)
		}
	}
}

func TestTwoPlanesCarryPacketsAndLeaveNothingBehind(t *testing.T) {
	alone()
	needPort500(t)
	endpointIP := ownAddress(t)
	noLeaks(t)
	in, out := twoPlanes(t, endpointIP)
	dir := t.TempDir()
	a, stopA := runPlane(t, Config{Key: key(t, 1)})
	b, stopB := runPlane(t, Config{Key: key(t, 2), StateDir: dir})
	if err := errors.Join(a.Apply(in), b.Apply(out)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the segment is up", func() bool {
		ra, rb := a.Report(), b.Report()
		return ra.Segments[0].Up && rb.Segments[0].Up
	})
	endpoint, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(port(endpointIP, 45000)))
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	client, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(port(loop(9), 47000)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	listener := port(loop(3), 45000)
	exchange := func(payload, answer []byte) {
		t.Helper()
		for _, c := range []*net.UDPConn{client, endpoint} {
			c.SetDeadline(time.Now().Add(10 * time.Second))
		}
		buf := make([]byte, 70000)
		if _, err := client.WriteToUDPAddrPort(payload, listener); err != nil {
			t.Fatal(err)
		}
		n, from, err := endpoint.ReadFromUDPAddrPort(buf)
		if err != nil || !bytes.Equal(buf[:n], payload) || from != port(loop(4), 47000) {
			t.Fatalf("the endpoint got %d bytes from %v, %v; drops %v, %v", n, from, err, a.Report().Drops, b.Report().Drops)
		}
		if _, err := endpoint.WriteToUDPAddrPort(answer, from); err != nil {
			t.Fatal(err)
		}
		n, from, err = client.ReadFromUDPAddrPort(buf)
		if err != nil || !bytes.Equal(buf[:n], answer) || from != listener {
			t.Fatalf("the client got %d bytes from %v, %v; drops %v, %v", n, from, err, a.Report().Drops, b.Report().Drops)
		}
	}
	for _, size := range []int{1, 100, 1400, 1500, 9000, 65507} {
		exchange(bytes.Repeat([]byte{byte(size)}, size), bytes.Repeat([]byte{7}, size))
	}
	natt := func(b []byte) []byte { return append(make([]byte, 4), b...) }
	exchange(natt(ikeMessage(5, 0, 34, 8)), natt(ikeMessage(5, 6, 34, 0x20)))
	exchange(natt(ikeMessage(5, 6, 35, 8)), natt(ikeMessage(5, 6, 35, 0x20))) // proven: on disk now
	exchange(natt(ikeMessage(5, 6, 37, 8)), natt(ikeMessage(5, 6, 37, 0x20)))

	// The egress goes and comes back with its session and port.
	stopB()
	b, stopB = runPlane(t, Config{Key: key(t, 2), StateDir: dir})
	if err := b.Apply(out); err != nil {
		t.Fatal(err)
	}
	if r := b.Report(); r.Sessions.Restored != 1 {
		t.Errorf("%d sessions were restored, want 1", r.Sessions.Restored)
	}
	eventually(t, "the segment is up again", func() bool { return b.Report().Segments[0].Up })
	exchange([]byte("again"), []byte("welcome back"))
	stopA()
	stopB()
}

func TestAPlaneThatIsStoppedSaysSo(t *testing.T) {
	noLeaks(t)
	in, _ := twoPlanes(t, netip.MustParseAddr("192.0.2.1"))
	p, stop := runPlane(t, Config{Key: key(t, 1)})
	if err := p.Apply(in); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := p.Apply(in); !errors.Is(err, ErrStopped) {
		t.Errorf("apply: %v", err)
	}
	if err := p.PinRoute("out", nil); !errors.Is(err, ErrStopped) {
		t.Errorf("pin: %v", err)
	}
	if r := p.Report(); r.Name != "" {
		t.Errorf("report: %+v", r)
	}
}

func TestAPlaneThatCannotBeMadeLeavesNothingBehind(t *testing.T) {
	noLeaks(t)
	if _, err := New(Config{Key: key(t, 1), StateDir: filepath.Join(t.TempDir(), "no", "such", "folder")}); err == nil {
		t.Error("made with a state folder that is not there")
	}
	p, err := New(Config{Key: key(t, 1), StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestAnAddressOfNobodyIsNamedAndLeavesNothingBehind(t *testing.T) {
	noLeaks(t)
	in, _ := twoPlanes(t, netip.MustParseAddr("192.0.2.1"))
	p, _ := runPlane(t, Config{Key: key(t, 1)})
	if err := p.Apply(in); err != nil {
		t.Fatal(err)
	}
	before := len(openFiles(t))
	other, err := net.ListenPacket("udp4", port(loop(30), 45001).String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for name, c := range map[string]struct {
		edit func(*snapshot.Snapshot)
		want []string
	}{
		"a port in use": {func(s *snapshot.Snapshot) {
			s.Listeners = append(slices.Clone(s.Listeners), snapshot.Listener{Name: "m", Addresses: []snapshot.Address{{Bind: loop(30)}}, Ports: []uint16{45000, 45001}, EndpointGroup: "g"})
		}, []string{"listeners[1].addresses[0]", "45001", "in use"}},
		"an address this machine does not have": {func(s *snapshot.Snapshot) {
			s.PoP.Overlay = append(slices.Clone(s.PoP.Overlay), snapshot.Overlay{Name: "x", Bind: netip.MustParseAddrPort("192.0.2.77:4600")})
		}, []string{"pop.overlay[1].bind", "192.0.2.77"}},
	} {
		t.Run(name, func(t *testing.T) {
			next := in
			c.edit(&next)
			err := p.Apply(next)
			if err == nil {
				t.Fatal("applied")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if n := len(openFiles(t)); n != before+1 { // the test's own
				t.Errorf("%d files are open, before %d", n, before)
			}
			if err := p.Apply(in); err != nil {
				t.Errorf("what ran before is refused now: %v", err)
			}
		})
	}
}

func TestManyMayCallAPlaneAtOnce(t *testing.T) {
	noLeaks(t)
	in, out := twoPlanes(t, netip.MustParseAddr("192.0.2.1"))
	out.EndpointGroups = nil // nor port 500
	out.PoP.Overlay[0].Public = out.PoP.Overlay[0].Bind
	in.EndpointGroups = slices.Clone(in.EndpointGroups)
	p, _ := runPlane(t, Config{Key: key(t, 1), StateDir: t.TempDir()})
	q, _ := runPlane(t, Config{Key: key(t, 2)})
	if err := errors.Join(p.Apply(in), q.Apply(out)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	reports := make([]report.PoP, 8)
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := net.Dial("udp4", port(loop(3), 45000).String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for n := range 25 {
				fmt.Fprintf(c, "packet %d", n)
				switch (i + n) % 4 {
				case 0:
					next := in
					next.Version = uint64(10*i + n)
					if n%2 == 0 {
						next.Listeners = append(slices.Clone(next.Listeners), snapshot.Listener{Name: "m", Addresses: []snapshot.Address{{Bind: loop(31)}}, Ports: []uint16{45000}, EndpointGroup: "g"})
					}
					if err := p.Apply(next); err != nil {
						t.Error(err)
					}
				case 1:
					reports[i] = p.Report()
				case 2:
					if err := p.PinRoute("out", nil); err != nil {
						t.Error(err)
					}
				case 3:
					if err := p.UnpinRoute("out"); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	eventually(t, "the clients' sessions are known", func() bool { return p.Report().Sessions.Unconfirmed >= 8 })
}
