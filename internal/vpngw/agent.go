package vpngw

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"causeway/internal/agent"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/sdnotify"
	"causeway/internal/snapshot"
	"causeway/internal/vpngw/charon"
	"causeway/internal/vpngw/netroute"
	"causeway/internal/vpngw/swan"
)

// Options say what a gateway's agent works on. It writes in StateDir and RunDir alone.
type Options struct {
	SnapshotFile string        // read at the start and whenever it changes
	StateDir     string        // what must outlive the machine; one gateway each
	RunDir       string        // charon's configuration and sockets; one gateway each
	Socket       string        // where status is told; default: gateway.sock in RunDir
	Charon       string        // charon's program, which the agent runs; default: where it is installed
	Unit         string        // of systemd that runs charon instead
	Vici         string        // charon's control socket, of a Unit; default /run/charon.vici
	ESP          string        // "kernel", "kernel-libipsec", or "" for the first that works
	Stable       time.Duration // that a first tunnel which was dead must be well before it is used again; default 30 s
	Build        report.Build  // what to say about this program
	Log          *slog.Logger  `json:"-"` // default: nowhere

	// Reload, when not nil, asks for a reload each time something can be received: SIGHUP.
	Reload <-chan os.Signal `json:"-"`

	link *agent.Link // to the controller that tells this gateway; nil: a file does
}

// news has a report sent to the controller, if there is one.
func (o Options) news() {
	if o.link != nil {
		o.link.Poke()
	}
}

func (o Options) withDefaults() Options {
	for _, path := range []*string{&o.StateDir, &o.RunDir, &o.Socket} { // charon is told paths, and an agent to come must find the same
		if absolute, err := filepath.Abs(*path); err == nil && *path != "" {
			*path = absolute
		}
	}
	o.Socket = cmp.Or(o.Socket, filepath.Join(o.RunDir, "gateway.sock"))
	if o.Unit != "" {
		o.Vici = cmp.Or(o.Vici, "/run/charon.vici")
	} else {
		o.Charon = cmp.Or(o.Charon, charon.Find())
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// ErrNoCharon says that strongSwan is not installed.
var ErrNoCharon = errors.New("strongSwan's charon-systemd is not installed")

// ErrInUse says that another process has the folder or the socket.
var ErrInUse = agent.ErrInUse

// what messages call it.
const what = "gateway"

// Run runs a gateway until ctx ends, then stops in order: tunnels are taken down
// and peers told, unless systemd runs charon; routes go. It returns an error when
// the gateway cannot start.
func Run(ctx context.Context, o Options) error {
	a, err := open(o.withDefaults())
	if err != nil {
		return err
	}
	defer a.close()
	first, err := a.snapshots.First()
	if err != nil {
		return err
	}
	return a.run(ctx, first)
}

// runner is what stands around the engine: files, socket, stop and start.
type runner struct {
	Options
	snapshots agent.Snapshots[snapshot.Gateway]
	engine    *engine
	turning   bool // the engine takes its turns; written before anybody but who starts it reads it
	daemon    *charon.Daemon
	started   time.Time
	closers   []func()
}

// open takes folders and makes the engine. Nothing is started yet.
func open(o Options) (a *runner, err error) {
	if o.Charon == "" && o.Unit == "" {
		return nil, fmt.Errorf("start gateway: %w (looked in %v)", ErrNoCharon, charon.Paths)
	}
	a = &runner{Options: o, started: time.Now()}
	a.snapshots = agent.Snapshots[snapshot.Gateway]{
		What: what, File: o.SnapshotFile, Dir: o.StateDir, Log: o.Log, Signal: o.Reload, News: o.news,
		Judge: func(data []byte) (snapshot.Gateway, error) { return parse(o.SnapshotFile, data) },
		Take:  a.take,
		Name:  func(g snapshot.Gateway) (string, uint64) { return g.Name, g.Version },
	}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	for _, dir := range slices.Compact([]string{filepath.Clean(o.StateDir), filepath.Clean(o.RunDir)}) {
		unlock, err := agent.Lock(dir, what)
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, unlock)
	}
	n, err := netroute.Open()
	if err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	a.closers = append(a.closers, n.Close)
	kernel := o.ESP == "kernel"
	if o.ESP == "" {
		missing := n.KernelESP()
		kernel = missing == nil
		if missing != nil {
			o.Log.Info("charon does ESP itself", "reason", missing)
		}
	}
	a.daemon = &charon.Daemon{Path: o.Charon, Unit: o.Unit, Dir: o.RunDir, Socket: o.Vici, Libipsec: !kernel, Log: o.Log}
	if o.Unit != "" {
		a.daemon.Path = ""
	}
	a.engine = &engine{
		log: o.Log, clock: mono.NewClock(), daemon: a.daemon, swan: swan.Client{Socket: a.daemon.ControlSocket()}, net: n, kernel: kernel, stable: o.Stable,
		events: make(chan swan.Event), requests: make(chan func(context.Context)), wake: o.news,
	}
	return a, nil
}

func (a *runner) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

// take has the engine do what a snapshot says, between two turns.
func (a *runner) take(ctx context.Context, g snapshot.Gateway) error {
	if !a.turning {
		a.engine.take(g)
		return nil
	}
	return a.engine.do(ctx, func(context.Context) { a.engine.take(g) })
}

// run starts everything, waits for the end and stops everything.
func (a *runner) run(ctx context.Context, first *agent.Loaded[snapshot.Gateway]) error {
	socket, err := agent.Listen(a.Socket, what, a.routes(), a.Log)
	if err != nil {
		return err
	}
	if err := a.snapshots.Begin(ctx, first); err != nil {
		socket.Close()
		return err
	}
	a.turning = true
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { a.engine.run(ctx) })
	ended.Go(socket.Serve)
	ended.Go(func() { a.snapshots.Follow(ctx) })
	sdnotify.Send("READY=1", "STATUS="+a.snapshots.Sentence())
	a.Log.Info("gateway is running", "gateway", first.Snapshot.Name, "snapshot", first.Snapshot.Version, "esp", a.engine.esp(), "socket", a.Socket)
	if a.link != nil {
		a.link.Up(a)
	}
	<-ctx.Done()
	if a.link != nil {
		a.link.Down()
	}
	sdnotify.Send("STOPPING=1")
	a.Log.Info("gateway is stopping", "gateway", first.Snapshot.Name)
	socket.Close()
	cancel()
	ended.Wait()
	a.engine.end()
	a.daemon.Stop()
	return nil
}

// end takes away what the engine keeps outside. It must not run any more.
func (e *engine) end() {
	for _, c := range e.connections {
		c.check.stop()
	}
	if e.care.stop != nil {
		e.care.stop()
	}
	if e.net == nil {
		return
	}
	if _, err := e.net.Sync(nil, nil); err != nil {
		e.log.Warn("routes could not be taken away", "reason", err)
	}
	if e.kernel {
		_ = e.net.SyncInterfaces(nil)
	}
}

// report says how the gateway is.
func (a *runner) report() report.Gateway {
	g := a.engine.report()
	g.At, g.Started, g.Build, g.Runtime = time.Now(), a.started, a.Build, agent.Process()
	g.Snapshot = a.snapshots.Report()
	if a.link != nil {
		a.link.Amend(&g.Snapshot)
	}
	if s, ok := a.snapshots.Running(); ok && g.Name == "" { // the engine has not had its first turn
		g.Name, g.Region = s.Name, s.Region
	}
	return g
}
