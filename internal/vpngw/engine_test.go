package vpngw

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/swan"
	"causeway/internal/vpngw/swan/swantest"
)

// fakeDaemon is a charon without a process: a socket that Start opens.
type fakeDaemon struct {
	socket string

	mu     sync.Mutex
	server *swantest.Server
	gone   chan struct{}
	starts int
	barred error
	init   func(*swantest.Server) // of each that starts
}

func (d *fakeDaemon) Adopt() bool         { return false }
func (d *fakeDaemon) PID() int            { d.mu.Lock(); defer d.mu.Unlock(); return 1000 + d.starts }
func (d *fakeDaemon) LastWords() string   { return "no words" }
func (d *fakeDaemon) GrowReceiveBuffers() {}

func (d *fakeDaemon) Start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.barred != nil {
		return d.barred
	}
	s, err := swantest.Listen(d.socket)
	if err != nil {
		return err
	}
	if d.init != nil {
		s.Change(d.init)
	}
	d.server, d.gone = s, make(chan struct{})
	d.starts++
	return nil
}

// Kill ends it; charon's death by another hand is the same.
func (d *fakeDaemon) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server != nil {
		d.server.Close()
		close(d.gone)
		d.server = nil
	}
}

func (d *fakeDaemon) Alive() bool           { d.mu.Lock(); defer d.mu.Unlock(); return d.server != nil }
func (d *fakeDaemon) Gone() <-chan struct{} { d.mu.Lock(); defer d.mu.Unlock(); return d.gone }

func (d *fakeDaemon) running() *swantest.Server { d.mu.Lock(); defer d.mu.Unlock(); return d.server }

// rig is an engine that runs against a fake.
type rig struct {
	t      *testing.T
	daemon *fakeDaemon
	engine *engine
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func newRig(t *testing.T, g snapshot.Gateway, init func(*swantest.Server)) *rig {
	t.Helper()
	t.Parallel()
	d := &fakeDaemon{socket: filepath.Join(t.TempDir(), "vici"), init: init}
	r := &rig{t: t, daemon: d, log: &lockedBuffer{}}
	r.engine = &engine{
		log: slog.New(slog.NewTextHandler(r.log, nil)), clock: mono.NewClock(), daemon: d, swan: swan.Client{Socket: d.socket},
		events: make(chan swan.Event), requests: make(chan func(context.Context)), wake: func() {},
	}
	r.engine.take(withDefaults(g))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.engine.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		r.engine.end()
		d.Kill()
		if t.Failed() {
			t.Log(r.log)
		}
	})
	return r
}

func (r *rig) take(g snapshot.Gateway) {
	r.t.Helper()
	if err := r.engine.do(r.t.Context(), func(context.Context) { r.engine.take(withDefaults(g)) }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			text, _ := json.MarshalIndent(r.engine.report(), "", " ")
			r.t.Fatalf("waited 30 s for this: %s\n%s", what, text)
		}
	}
}

// told reports whether a command was given for a tunnel so often, or more.
func (r *rig) told(command, tunnel string, times int) func() bool {
	return func() bool { s := r.daemon.running(); return s != nil && s.Told(command, tunnel) >= times }
}

// gatewayWith has a connection for each name, with one tunnel of that name.
func gatewayWith(names ...string) snapshot.Gateway {
	g := snapshot.Gateway{Format: 1, Version: 1, Name: "test"}
	for i, n := range names {
		g.Connections = append(g.Connections, vpn.Connection{
			Name: n, LocalNetworks: []netip.Prefix{prefix("10.1.0.0/24")}, RemoteNetworks: []netip.Prefix{prefix("10.2.%d.0/24", i)},
			Tunnels: []vpn.Tunnel{{Name: n, Local: vpn.End{ID: "a." + n}, Remote: vpn.End{Address: addr("203.0.113.%d", 10+i), ID: "b." + n}, Auth: vpn.Auth{PSK: canary}, NATT: true}},
		})
	}
	return g
}

func TestTheEngineLoadsAndInitiates(t *testing.T) {
	r := newRig(t, gatewayWith("seoul", "tokyo"), nil)
	r.until("both are initiated", func() bool { return r.told("initiate", "seoul", 1)() && r.told("initiate", "tokyo", 1)() })
	r.until("keys are loaded", func() bool { return r.told("load-shared", "seoul", 1)() && r.told("load-shared", "tokyo", 1)() })
	r.until("a tunnel that does not come up is tried again", r.told("initiate", "seoul", 2))
}

func TestANewSnapshotTouchesOnlyWhatChanged(t *testing.T) {
	r := newRig(t, gatewayWith("stays", "changes", "goes"), func(s *swantest.Server) {
		s.SAs = []swantest.Section{swantest.SA("stays", 1, "ESTABLISHED", "INSTALLED"), swantest.SA("changes", 2, "ESTABLISHED", "INSTALLED"), swantest.SA("goes", 3, "ESTABLISHED", "INSTALLED")}
	})
	r.until("all are up", func() bool {
		g := r.engine.report()
		return len(g.Connections) == 3 && g.Connections[2].State == report.IPsecEstablished
	})
	g := gatewayWith("stays", "changes", "comes")
	g.Version = 2
	g.Connections[1].Tunnels[0].ESP.Lifetime = 20 * time.Minute
	r.take(g)
	r.until("the new one is loaded", r.told("load-conn", "comes", 1))
	r.until("the one that is gone is unloaded and ended", func() bool { return r.told("unload-conn", "goes", 1)() && r.told("terminate", "goes", 1)() })
	r.until("its key is unloaded", r.told("unload-shared", "goes", 1))
	r.until("the one that changed is loaded and negotiated anew", func() bool { return r.told("load-conn", "changes", 2)() && r.told("terminate", "changes", 1)() })
	if s := r.daemon.running(); s.Told("load-conn", "stays") != 1 || s.Told("terminate", "stays") != 0 {
		t.Error("the tunnel that stays was touched")
	}
}

// A key is changed because others know it: what was made with the old one goes.
func TestATunnelWhoseKeyChangedIsNegotiatedAnew(t *testing.T) {
	r := newRig(t, gatewayWith("stays", "changes"), func(s *swantest.Server) {
		s.SAs = []swantest.Section{swantest.SA("stays", 1, "ESTABLISHED", "INSTALLED"), swantest.SA("changes", 2, "ESTABLISHED", "INSTALLED")}
	})
	r.until("both are up", func() bool {
		g := r.engine.report()
		return len(g.Connections) == 2 && g.Connections[0].State == report.IPsecEstablished && g.Connections[1].State == report.IPsecEstablished
	})
	g := gatewayWith("stays", "changes")
	g.Connections[1].Tunnels[0].Auth.PSK = canary + "-other"
	r.take(g)
	r.until("it is ended", r.told("terminate", "changes", 1))
	r.until("the report says why", func() bool {
		return slices.ContainsFunc(r.engine.report().Log, func(l report.LogLine) bool {
			return l.Tunnel == "changes" && strings.Contains(l.Text, "negotiated anew") && strings.Contains(l.Text, "pre-shared key")
		})
	})
	r.daemon.running().Change(func(s *swantest.Server) { s.SAs = s.SAs[:1] })
	r.until("and initiated", r.told("initiate", "changes", 1))
	if s := r.daemon.running(); s.Told("terminate", "stays") != 0 || s.Told("terminate", "changes") != 1 {
		t.Error("the tunnel that stays was touched, or the other one ended twice")
	}
	if text, _ := json.Marshal(r.engine.report()); strings.Contains(string(text)+r.log.String(), canary) {
		t.Error("the key is told")
	}
}

func TestStatesAreTheFourThatTheInterfaceKnows(t *testing.T) {
	for _, c := range []struct {
		name string
		sas  []swantest.Section
		want string
	}{
		{"nothing", nil, report.IKENotEstablished},
		{"an IKE SA under way", []swantest.Section{swantest.SA("x", 1, "CONNECTING")}, report.IKENotEstablished},
		{"an IKE SA without a child", []swantest.Section{swantest.SA("x", 1, "ESTABLISHED")}, report.IKEEstablished},
		{"a child that is being installed", []swantest.Section{swantest.SA("x", 1, "ESTABLISHED", "INSTALLING")}, report.IPsecNotEstablished},
		{"a child that was deleted", []swantest.Section{swantest.SA("x", 1, "ESTABLISHED", "DELETED")}, report.IPsecNotEstablished},
		{"a child", []swantest.Section{swantest.SA("x", 1, "ESTABLISHED", "INSTALLED")}, report.IPsecEstablished},
		{"a child being renewed", []swantest.Section{swantest.SA("x", 1, "REKEYING", "REKEYING")}, report.IPsecEstablished},
		{"an IKE SA that was renewed, and its successor", []swantest.Section{swantest.SA("x", 1, "REKEYED"), swantest.SA("x", 2, "ESTABLISHED", "REKEYED", "INSTALLED")}, report.IPsecEstablished},
		{"one that is going", []swantest.Section{swantest.SA("x", 1, "DELETING", "INSTALLED")}, report.IKENotEstablished},
	} {
		s, err := swantest.Listen(filepath.Join(t.TempDir(), "vici"))
		must(t, err)
		s.Change(func(s *swantest.Server) { s.SAs = c.sas })
		sas, err := swan.Client{Socket: s.Addr()}.SAs(t.Context())
		must(t, err)
		s.Close()
		tunnel := &tunnel{Tunnel: swan.Tunnel{Tunnel: vpn.Tunnel{Name: "x"}}, lastFrom: map[string]time.Time{}}
		tunnel.assign(sas, mono.Time(time.Hour))
		if got := tunnel.stateNow(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestACharonThatIsLostGetsEverythingAgain(t *testing.T) {
	r := newRig(t, gatewayWith("seoul"), nil)
	r.until("it is initiated", r.told("initiate", "seoul", 1))
	r.daemon.Kill()
	r.until("another is started and told everything", func() bool {
		return r.told("load-conn", "seoul", 1)() && r.told("load-shared", "seoul", 1)() && r.told("initiate", "seoul", 1)() && r.engine.report().Daemon.Restarts == 1
	})
	r.daemon.running().Change(func(s *swantest.Server) { s.Silent = true })
	r.until("a charon that hangs is told as not up", func() bool { return !r.engine.report().Daemon.Up })
	r.until("and is replaced", func() bool { return r.engine.report().Daemon.Restarts == 2 && r.told("initiate", "seoul", 1)() })
	if n := strings.Count(r.log.String(), "charon is lost"); n != 2 {
		t.Errorf("%d lines say that charon was lost, want 2", n)
	}
}

func TestACharonThatCannotStartIsTriedAgainAndSaidOnce(t *testing.T) {
	r := newRig(t, gatewayWith("seoul"), nil)
	r.until("it is up", func() bool { return r.engine.report().Daemon.Up })
	r.daemon.mu.Lock()
	r.daemon.barred = errors.New("start charon: no such program")
	r.daemon.mu.Unlock()
	r.daemon.Kill()
	r.until("the reason is told", func() bool {
		g := r.engine.report()
		return strings.Contains(g.Daemon.Problem, "no such program") && len(g.Findings) > 0 && g.Findings[0].Code == vpn.DaemonUnreachable
	})
	r.until("it is tried again", func() bool { return r.engine.report().Daemon.Restarts >= 2 })
	r.daemon.mu.Lock()
	r.daemon.barred = nil
	r.daemon.mu.Unlock()
	r.until("it is up again", func() bool { return r.engine.report().Daemon.Up })
	if n := strings.Count(r.log.String(), "charon cannot be started"); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
}

func TestATunnelThatWasTakenDownStaysDown(t *testing.T) {
	r := newRig(t, gatewayWith("seoul"), nil)
	r.until("it is initiated", r.told("initiate", "seoul", 1))
	must(t, r.engine.terminate(t.Context(), "seoul"))
	n := r.daemon.running().Told("initiate", "seoul")
	lists := r.daemon.running().Told("list-sas", "")
	r.until("the engine went on", r.told("list-sas", "", lists+6)) // three seconds, in which it would have tried twice
	if r.daemon.running().Told("initiate", "seoul") != n {
		t.Error("it was initiated all the same")
	}
	must(t, r.engine.initiate(t.Context(), "seoul"))
	r.until("it is initiated by hand", r.told("initiate", "seoul", n+1))
	if err := r.engine.rekey(t.Context(), "soul", false); err == nil || !strings.Contains(err.Error(), "there are: [seoul]") {
		t.Errorf("a name that is not there: %v", err)
	}
}

func TestEventsAreCountedAndLinesKeptWithoutSecrets(t *testing.T) {
	r := newRig(t, gatewayWith("seoul"), func(s *swantest.Server) {
		s.SAs = []swantest.Section{swantest.SA("seoul", 1, "ESTABLISHED", "INSTALLED")}
	})
	r.until("it is up", func() bool {
		g := r.engine.report()
		return len(g.Connections) == 1 && g.Connections[0].State == report.IPsecEstablished
	})
	s := r.daemon.running()
	about := swantest.Section{{Key: "seoul", Value: swantest.Section{{Key: "version", Value: "2"}}}}
	s.Emit("ike-updown", append(swantest.Section{{Key: "up", Value: "yes"}}, about...))
	s.Emit("ike-rekey", about)
	s.Emit("child-rekey", about)
	line := func(text string) {
		s.Emit("log", swantest.Section{{Key: "group", Value: "IKE"}, {Key: "level", Value: "1"}, {Key: "ikesa-name", Value: "seoul"}, {Key: "msg", Value: text}})
	}
	line("giving up after 12 retransmits")
	line("the key is " + canary + "\x1b[2J")
	line("sending DPD request")
	r.until("all is counted", func() bool {
		tunnel := r.engine.report().Connections[0].Tunnels[0]
		return tunnel.Ups == 1 && tunnel.IKERekeys == 1 && tunnel.ESPRekeys == 1 && tunnel.DPDTimeouts == 1
	})
	r.until("lines are kept", func() bool { return len(r.engine.report().Log) >= 2 })
	text, _ := json.Marshal(r.engine.report())
	if strings.Contains(string(text), canary) || strings.Contains(string(text), "\\u001b") || strings.Contains(string(text), "DPD request") {
		t.Errorf("the report holds a secret, a control character, or a line of no use: %s", text)
	}
	if strings.Contains(r.log.String(), canary) {
		t.Error("the agent's log holds the key")
	}
}

func TestTheBookKeepsTheNewestLines(t *testing.T) {
	var b logbook
	for i := range 3 * report.LogLimit {
		b.add(swan.Event{Group: "IKE", Text: fmt.Sprint("line ", i)}, hider{})
	}
	if len(b.lines) != report.LogLimit || b.lines[report.LogLimit-1].Text != fmt.Sprint("line ", 3*report.LogLimit-1) {
		t.Errorf("%d lines, the last is %q", len(b.lines), b.lines[len(b.lines)-1].Text)
	}
}

func TestNumbersStayWhenNeighboursComeAndGo(t *testing.T) {
	before := numbered([]string{"a", "b", "c"})
	after := numbered([]string{"c", "a", "x", "y", "z"})
	if before["a"] != after["a"] || before["c"] != after["c"] {
		t.Errorf("%v became %v", before, after)
	}
	var many []string
	for i := range 2000 {
		many = append(many, fmt.Sprint("tunnel", i))
	}
	seen := map[uint32]bool{}
	for _, n := range numbered(many) {
		if n == 0 || seen[n] {
			t.Fatalf("%d is 0, or given twice", n)
		}
		seen[n] = true
	}
}
