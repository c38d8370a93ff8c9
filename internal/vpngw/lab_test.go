package vpngw

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"causeway/internal/lab/netns"
	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/charon"
	"causeway/internal/wholefile"
)

// The test binary is also the agent: real agents run in namespaces, and a
// process is in one as a whole.
func TestMain(m *testing.M) {
	if text := os.Getenv("VPNGW_TEST_AGENT"); text != "" {
		os.Exit(agentMain(text))
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they wait more than they work
	os.Exit(m.Run())
}

func agentMain(text string) int {
	var o Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// stableHere is shorter than what real gateways wait.
const stableHere = 2 * time.Second

const canary = "CANARY-psk-0123456789abcdef"

// site is a gateway in a namespace with a host behind it.
type site struct {
	t       *testing.T
	ns, lan *netns.NS
	dir     string
	cmd     *exec.Cmd
	client  Client
}

// field is two sites, and a router between them with two ways:
//
//	la 10.1.0.10 ─ a 198.18.1.2 ─ m ─ 198.19.1.2 b ─ 10.2.0.10 lb
//	               └─ 198.18.2.2 ─┘ └─ 198.19.2.2 ─┘
type field struct {
	a, b   *site
	middle *netns.NS
}

// labs numbers the fields of this process.
var labs atomic.Int32

func newField(t *testing.T) *field {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if charon.Find() == "" {
		t.Skip("strongSwan's charon-systemd is not installed")
	}
	if err := netns.Check(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	lab := fmt.Sprintf("g%dn%d", os.Getpid()%100000, labs.Add(1))
	t.Cleanup(func() {
		if _, err := netns.Cleanup(netns.Prefix(lab)); err != nil {
			t.Error(err)
		}
	})
	make := func(node string) *netns.NS {
		ns, err := netns.Create(netns.Name(lab, node))
		must(t, err)
		t.Cleanup(ns.Close)
		must(t, ns.Host(false), ns.Router(false))
		return ns
	}
	f := &field{middle: make("m")}
	f.a, f.b = &site{t: t, ns: make("a"), lan: make("la"), dir: t.TempDir()}, &site{t: t, ns: make("b"), lan: make("lb"), dir: t.TempDir()}
	for i, s := range []*site{f.a, f.b} {
		net := i + 1
		must(t, netns.Veth(s.ns, "lan0", s.lan, "lan0", 1500))
		must(t, s.ns.AddAddr("lan0", prefix("10.%d.0.1/24", net)), s.lan.AddAddr("lan0", prefix("10.%d.0.10/24", net)),
			s.lan.AddRoute(netns.Route{To: prefix("0.0.0.0/0"), Via: addr("10.%d.0.1", net)}))
		for way := 1; way <= 2; way++ {
			here, there := fmt.Sprintf("wan%d", way), fmt.Sprintf("s%dw%d", net, way)
			must(t, netns.Veth(s.ns, here, f.middle, there, 1500))
			must(t, s.ns.AddAddr(here, prefix("198.%d.%d.2/24", 17+net, way)), f.middle.AddAddr(there, prefix("198.%d.%d.1/24", 17+net, way)),
				s.ns.AddRoute(netns.Route{To: prefix("198.%d.%d.0/24", 20-net, way), Via: addr("198.%d.%d.1", 17+net, way)}))
		}
		s.client = Client{Socket: filepath.Join(s.dir, "gateway.sock")}
	}
	return f
}

func prefix(format string, args ...any) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf(format, args...))
}
func addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// connection is the tunnels between the sites, as a or b sees them.
func (f *field) snapshot(end, tunnels int, change func(*vpn.Connection)) snapshot.Gateway {
	here, there := end, 3-end
	c := vpn.Connection{Name: "far", LocalNetworks: []netip.Prefix{prefix("10.%d.0.0/24", here)}, RemoteNetworks: []netip.Prefix{prefix("10.%d.0.0/24", there)}}
	for way := 1; way <= tunnels; way++ {
		t := vpn.Tunnel{
			Local:  vpn.End{Address: addr("198.%d.%d.2", 17+here, way), ID: fmt.Sprintf("s%d.test", here)},
			Remote: vpn.End{Address: addr("198.%d.%d.2", 17+there, way), ID: fmt.Sprintf("s%d.test", there)},
			Auth:   vpn.Auth{PSK: canary}, NATT: true,
			IKE: vpn.IKE{Proposals: []vpn.Proposal{{Encryption: "aes128gcm16", PRF: "sha256", DH: 19}}},
			ESP: vpn.ESP{Proposals: []vpn.Proposal{{Encryption: "aes128gcm16", DH: 19}}},
			DPD: vpn.DPD{Delay: 10 * time.Second},
		}
		if end == 2 { // one begins
			t.Start, t.DPD.Action = vpn.StartPeer, vpn.DPDClear
		}
		c.Tunnels = append(c.Tunnels, t)
	}
	if change != nil {
		change(&c)
	}
	return snapshot.Gateway{Format: 1, Version: 1, Name: fmt.Sprintf("gw%d", end), Connections: []vpn.Connection{c}}
}

func (s *site) write(g snapshot.Gateway) {
	s.t.Helper()
	text, err := strictyaml.Encode(g)
	must(s.t, err, wholefile.Write(filepath.Join(s.dir, "gateway.yaml"), text, 0o600))
}

// start starts the agent and waits until it answers.
func (s *site) start() {
	s.t.Helper()
	options, err := json.Marshal(Options{Stable: stableHere,
		SnapshotFile: filepath.Join(s.dir, "gateway.yaml"), StateDir: filepath.Join(s.dir, "state"), RunDir: filepath.Join(s.dir, "run"), Socket: s.client.Socket})
	must(s.t, err)
	out, err := os.OpenFile(filepath.Join(s.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(s.t, err)
	defer out.Close()
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), "VPNGW_TEST_AGENT="+string(options))
	s.cmd.Stdout, s.cmd.Stderr = out, out
	must(s.t, s.ns.Start(s.cmd))
	cmd := s.cmd
	s.t.Cleanup(func() { // whichever runs last
		if s.t.Failed() && s.cmd == cmd {
			s.t.Logf("%s:\n%s", s.ns.Name(), s.log())
		}
		s.stop()
	})
	s.until("the agent answers", func(report.Gateway) bool { return true })
}

// stop ends the agent in order.
func (s *site) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *site) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "agent.log"))
	return string(text)
}

func (s *site) status() report.Gateway {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	g, _ := s.client.Status(ctx)
	return g
}

// until waits until the report is as it should be, and returns it.
func (s *site) until(what string, ok func(report.Gateway) bool) report.Gateway {
	s.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if g := s.status(); g.Name != "" && ok(g) {
			return g
		}
		if time.Now().After(end) {
			text, _ := json.MarshalIndent(s.status(), "", " ")
			s.t.Fatalf("%s: waited a minute for this: %s\n%s", s.ns.Name(), what, text)
		}
	}
}

func up(g report.Gateway) bool {
	for _, c := range g.Connections {
		for _, t := range c.Tunnels {
			if t.State != report.IPsecEstablished {
				return false
			}
		}
		if len(c.Active) == 0 {
			return false
		}
	}
	return len(g.Connections) > 0
}

// stream is echoes from one host to the other, one every ten milliseconds.
type stream struct {
	conn  net.PacketConn
	stop  chan struct{}
	done  sync.WaitGroup
	sent  int
	times []time.Time // of sending
	mu    sync.Mutex
	got   map[uint16]bool
	gap   time.Duration // the longest between two answers
}

func (f *field) stream(t *testing.T) *stream {
	t.Helper()
	s := &stream{stop: make(chan struct{}), got: map[uint16]bool{}}
	must(t, f.a.lan.Do(func() (err error) { s.conn, err = net.ListenPacket("ip4:icmp", "10.1.0.10"); return err }))
	t.Cleanup(func() { s.conn.Close() })
	s.done.Go(s.receive)
	s.done.Go(s.send)
	return s
}

func (s *stream) send() {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 4711, Seq: s.sent, Data: []byte("vpngw")}}
		b, _ := m.Marshal(nil)
		if _, err := s.conn.WriteTo(b, &net.IPAddr{IP: net.IPv4(10, 2, 0, 10)}); err == nil {
			s.sent++
			s.times = append(s.times, time.Now())
		}
	}
}

func (s *stream) receive() {
	buf := make([]byte, 1500)
	var last time.Time
	for {
		n, _, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply {
			continue
		}
		s.mu.Lock()
		s.got[uint16(m.Body.(*icmp.Echo).Seq)] = true
		if now := time.Now(); last.IsZero() {
			last = now
		} else {
			s.gap, last = max(s.gap, now.Sub(last)), now
		}
		s.mu.Unlock()
	}
}

// answered is how many echoes were answered so far.
func (s *stream) answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// more waits until so many more are answered.
func (s *stream) more(t *testing.T, n int) {
	t.Helper()
	want := s.answered() + n
	for end := time.Now().Add(60 * time.Second); s.answered() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %d more answers", n)
		}
	}
}

// end stops sending, gives answers a moment, and returns how many were sent and
// lost, and the longest time without an answer.
func (s *stream) end(t *testing.T) (sent, lost int, gap time.Duration) {
	t.Helper()
	s.stop <- struct{}{}
	for wait := time.Now().Add(2 * time.Second); s.answered() < s.sent && time.Now().Before(wait); time.Sleep(10 * time.Millisecond) {
	}
	s.conn.Close()
	s.done.Wait()
	return s.sent, s.sent - len(s.got), s.gap
}

// cut makes the router drop silently what goes over a way, or not any more.
func (f *field) cut(way int, cut bool) {
	verb := "add"
	if !cut {
		verb = "del"
	}
	for side := 18; side <= 19; side++ {
		out, err := exec.Command("ip", "netns", "exec", f.middle.Name(), "ip", "route", verb, "blackhole", fmt.Sprintf("198.%d.%d.2/32", side, way)).CombinedOutput()
		if err != nil {
			f.a.t.Fatalf("%v: %s", err, out)
		}
	}
}

func TestATunnelComesUpAndCarries(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, nil))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	g := f.a.until("the tunnel is up, and that was heard", func(g report.Gateway) bool { return up(g) && g.Connections[0].Tunnels[0].Ups == 1 })
	flow := f.stream(t)
	flow.more(t, 50)
	if sent, lost, _ := flow.end(t); lost > 5 { // the first may be faster than the far side's routes
		t.Errorf("%d of %d pings lost", lost, sent)
	}
	tunnel := g.Connections[0].Tunnels[0]
	if tunnel.IKEVersion != 2 || !tunnel.NATThere || len(tunnel.Children) != 1 || !tunnel.Children[0].Encap || tunnel.RemoteID != "s2.test" || tunnel.Ups != 1 {
		t.Errorf("the tunnel is told as %+v", tunnel)
	}
	f.a.until("packets are counted in both directions", func(g report.Gateway) bool {
		c := g.Connections[0].Tunnels[0].Children
		return len(c) == 1 && c[0].FromPeer.Packets >= 20 && c[0].ToPeer.Packets >= 20 && !c[0].LastFrom.IsZero()
	})
	f.noCanary(t)
}

// noCanary looks for the pre-shared key where it must not be.
func (f *field) noCanary(t *testing.T) {
	t.Helper()
	for _, s := range []*site{f.a, f.b} {
		text, _ := json.Marshal(s.status())
		if strings.Contains(string(text), canary) || strings.Contains(s.log(), canary) {
			t.Errorf("%s tells the pre-shared key", s.ns.Name())
		}
	}
}

func TestACharonThatIsKilledIsBack(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, nil))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	g := f.a.until("the tunnel is up", up)
	flow := f.stream(t)
	flow.more(t, 20)

	for _, how := range []struct {
		name   string
		signal syscall.Signal
	}{{"killed", syscall.SIGKILL}, {"stopped, so that it hangs", syscall.SIGSTOP}} {
		pid := g.Daemon.PID
		must(t, syscall.Kill(pid, how.signal))
		hit := time.Now()
		g = f.a.until("another charon is up", func(g report.Gateway) bool { return up(g) && g.Daemon.PID != pid && g.Daemon.Up })
		back := time.Since(hit)
		flow.more(t, 20)
		t.Logf("charon %s: tunnel up after %v, packets after %v", how.name, back.Round(time.Millisecond), time.Since(hit).Round(time.Millisecond))
	}
	if g.Daemon.Restarts != 2 {
		t.Errorf("restarts are told as %d, want 2", g.Daemon.Restarts)
	}
	flow.end(t)
	f.noCanary(t)
}

func uses(name string) func(report.Gateway) bool {
	return func(g report.Gateway) bool {
		return len(g.Connections) == 1 && len(g.Connections[0].Active) == 1 && g.Connections[0].Active[0] == name
	}
}

func TestTwoTunnelsFailOverAndBack(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 2, nil))
	f.b.write(f.snapshot(2, 2, nil))
	f.b.start()
	f.a.start()
	f.a.until("both are up", up)
	f.a.until("the first is used", uses("far-1"))
	flow := f.stream(t)
	flow.more(t, 50)
	f.cut(1, true)
	cut := time.Now()
	f.a.until("the second is used", uses("far-2"))
	took := time.Since(cut)
	flow.more(t, 50)
	before := flow.sentAndLost()
	f.cut(1, false)
	mended := time.Now()
	f.a.until("the first is used again when it has been well for a while", func(g report.Gateway) bool {
		return uses("far-1")(g) && up(g) && g.At.Sub(g.Connections[0].Tunnels[0].Since) >= stableHere
	})
	backAfter := time.Since(mended)
	flow.more(t, 50)
	sent, lost, gap := flow.end(t)
	if lost == 0 {
		t.Error("no echo was lost: the way that was cut did not carry the traffic")
	}
	t.Logf("failed over after %v, back %v after the way was mended; %d of %d echoes lost, %d of them on the way back, longest gap %v", took.Round(time.Millisecond), backAfter.Round(time.Millisecond), lost, sent, lost-before, gap.Round(time.Millisecond))
	f.noCanary(t)
}

// One hundred renewals of keys; the echoes say whether any packet was lost.
func TestKeysAreRenewedWithoutLoss(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, nil))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	f.a.until("the tunnel is up", up)
	f.b.until("the far end's too, with its routes", up)
	flow := f.stream(t)
	flow.more(t, 20)
	before := flow.sentAndLost()
	times := 10
	if text := os.Getenv("VPNGW_REKEYS"); text != "" {
		fmt.Sscan(text, &times)
	}
	for i := range times {
		ike := i%5 == 4
		must(t, f.a.client.Rekey(t.Context(), "far", ike))
		f.a.until("it is counted", func(g report.Gateway) bool {
			tunnel := g.Connections[0].Tunnels[0]
			return tunnel.ESPRekeys+tunnel.IKERekeys == uint64(i+1)
		})
		flow.more(t, 5)
	}
	sent, lost, gap := flow.end(t)
	g := f.a.status()
	t.Logf("%d renewals: %d of %d echoes lost (%d before), longest gap %v", times, lost, sent, before, gap.Round(time.Millisecond))
	if tunnel := g.Connections[0].Tunnels[0]; tunnel.Ups != 1 {
		t.Errorf("the tunnel was established %d times, want once", tunnel.Ups)
	}
	if lost > before {
		flow.lostOnes(t)
		for _, l := range g.Log {
			t.Log(l.At.Format("05.000"), l.Group, l.Tunnel, l.Text)
		}
		t.Errorf("%d echoes were lost", lost-before)
	}
}

// lostOnes logs which echoes were not answered, and when they were sent.
func (s *stream) lostOnes(t *testing.T) {
	for seq, at := range s.times {
		if !s.got[uint16(seq)] {
			t.Logf("lost: echo %d, sent at %s", seq, at.Format("05.000"))
		}
	}
}

// sentAndLost is how many echoes are unanswered that were sent at least a moment ago.
func (s *stream) sentAndLost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := uint16(0)
	for seq := range s.got {
		newest = max(newest, seq)
	}
	return int(newest) + 1 - len(s.got)
}

func TestAnAgentThatIsKilledFindsItsCharonAgain(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, nil))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	f.a.until("the tunnel is up", up)
	pid := f.a.status().Daemon.PID
	must(t, f.a.cmd.Process.Kill())
	_ = f.a.cmd.Wait()
	must(t, os.Remove(filepath.Join(f.a.dir, "gateway.yaml"))) // and the file is gone as well
	f.a.start()
	g := f.a.until("the tunnel is told as up", up)
	// A charon that a busy machine kept from answering was replaced before: then this says nothing.
	same := g.Daemon.PID == pid || strings.Contains(f.a.log(), "charon is lost")
	if !same {
		t.Logf("the agents said:\n%s", f.a.log())
	}
	if !same || g.Daemon.Restarts != 0 || g.Snapshot.Source != "last-good" || g.Snapshot.Refused == nil {
		t.Errorf("charon was %d and is told as %+v; snapshot %+v", pid, g.Daemon, g.Snapshot)
	}
	flow := f.stream(t)
	flow.more(t, 20)
	flow.end(t)
	f.a.stop()
	for _, left := range []string{"charon.pid", "charon.vici"} {
		if _, err := os.Stat(filepath.Join(f.a.dir, "run", left)); err == nil {
			t.Errorf("an agent that was stopped left %s", left)
		}
	}
	out, _ := exec.Command("ip", "netns", "exec", f.a.ns.Name(), "ip", "route", "show", "table", "all", "proto", "199").CombinedOutput()
	if len(out) > 0 {
		t.Errorf("an agent that was stopped left routes:\n%s", out)
	}
	f.b.until("the peer was told", func(g report.Gateway) bool { return g.Connections[0].State == report.IKENotEstablished })
	text, _ := os.ReadFile(filepath.Join(f.a.dir, "run", "strongswan.conf"))
	if strings.Contains(string(text), canary) {
		t.Error("charon's configuration on disk holds the key")
	}
}

func TestASnapshotThatChangesIsTaken(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, nil))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	f.a.until("the tunnel is up", up)
	must(t, wholefile.Write(filepath.Join(f.a.dir, "gateway.yaml"), []byte("format: 1\nname: gw1\nnonsense: "+canary+"\n"), 0o600))
	g := f.a.until("the file is refused", func(g report.Gateway) bool { return g.Snapshot.Refused != nil })
	if !up(g) {
		t.Error("the tunnel was touched by a file that is wrong")
	}
	changed := f.snapshot(1, 1, func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = canary + "-other" })
	changed.Version = 2
	f.a.write(changed)
	f.a.until("the change runs, and what was up with the old key is not", func(g report.Gateway) bool {
		return g.Snapshot.Version == 2 && g.Snapshot.Refused == nil && g.Connections[0].State == report.IKENotEstablished
	})
	f.a.until("the wrong key is found", func(g report.Gateway) bool {
		return slices.ContainsFunc(g.Findings, func(f vpn.Finding) bool { return f.Code == vpn.PskMismatch })
	})
	if err := f.a.client.Initiate(t.Context(), "far"); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("with another key it came up, or the error tells the key: %v", err)
	}
	f.b.write(f.snapshot(2, 1, func(c *vpn.Connection) { c.Tunnels[0].Auth.PSK = canary + "-other" }))
	f.a.until("with the same one at both ends it comes up again", up)
	f.noCanary(t)
}
