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
	"syscall"
	"time"

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
var ErrInUse = errors.New("in use")

// Run runs a gateway until ctx ends, then stops in order: tunnels are taken down
// and peers told, unless systemd runs charon; routes go. It returns an error when
// the gateway cannot start.
func Run(ctx context.Context, o Options) error {
	a, err := open(o.withDefaults())
	if err != nil {
		return err
	}
	defer a.close()
	first, err := a.first()
	if err != nil {
		return err
	}
	return a.run(ctx, first)
}

// agent is what stands around the engine: files, socket, stop and start.
type agent struct {
	Options
	engine  *engine
	daemon  *charon.Daemon
	keep    keeper
	started time.Time
	closers []func()

	mu      sync.Mutex // guards what is below
	running *loaded
	since   time.Time
	refused *report.Refusal
}

// loaded is a snapshot that was read and judged.
type loaded struct {
	data     []byte
	snapshot snapshot.Gateway
	kept     bool // from our own copy
}

// open takes folders and socket and makes the engine. Nothing is started yet.
func open(o Options) (a *agent, err error) {
	if o.Charon == "" && o.Unit == "" {
		return nil, fmt.Errorf("start gateway: %w (looked in %v)", ErrNoCharon, charon.Paths)
	}
	a = &agent{Options: o, keep: keeper{o.StateDir}, started: time.Now()}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	for _, dir := range slices.Compact([]string{filepath.Clean(o.StateDir), filepath.Clean(o.RunDir)}) {
		unlock, err := lock(dir)
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
		events: make(chan swan.Event), requests: make(chan func(context.Context)), changed: make(chan struct{}, 1),
	}
	return a, nil
}

func (a *agent) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

// lock takes a folder for this process, making it if it is not there.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("start gateway: folder %s is %w by another gateway", dir, ErrInUse)
	}
	return func() { f.Close() }, nil
}

// first returns what to start from: the file, or the last good snapshot when the
// file cannot be used.
func (a *agent) first() (*loaded, error) {
	l, err := a.read()
	if err == nil {
		return l, nil
	}
	data, saved, keptErr := a.keep.load()
	if keptErr != nil {
		return nil, err
	}
	g, keptErr := parse(a.SnapshotFile, data)
	if keptErr != nil {
		return nil, err
	}
	a.refuse(err)
	a.Log.Error("the snapshot file cannot be used, so the gateway STARTS FROM ITS LAST GOOD ONE; mend the file, it is watched",
		"file", a.SnapshotFile, "reason", err, "last_good_version", g.Version, "saved", saved)
	return &loaded{data: data, snapshot: g, kept: true}, nil
}

func (a *agent) read() (*loaded, error) {
	data, err := readFile(a.SnapshotFile)
	if err != nil {
		return nil, err
	}
	g, err := parse(a.SnapshotFile, data)
	return &loaded{data: data, snapshot: g}, err
}

// run starts everything, waits for the end and stops everything.
func (a *agent) run(ctx context.Context, first *loaded) error {
	control, err := a.listen()
	if err != nil {
		return err
	}
	a.engine.take(first.snapshot) // the engine does not run yet
	a.took(first)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { a.engine.run(ctx) })
	ended.Go(control.serve)
	ended.Go(func() { a.follow(ctx) })
	sdnotify.Send("READY=1", "STATUS="+a.sentence())
	a.Log.Info("gateway is running", "gateway", first.snapshot.Name, "snapshot", first.snapshot.Version, "esp", a.engine.esp(), "socket", a.Socket)
	<-ctx.Done()
	sdnotify.Send("STOPPING=1")
	a.Log.Info("gateway is stopping", "gateway", first.snapshot.Name)
	control.close()
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

// took records that l runs now, and keeps it for the next start.
func (a *agent) took(l *loaded) {
	a.mu.Lock()
	a.running, a.since = l, time.Now()
	if !l.kept {
		a.refused = nil
	}
	a.mu.Unlock()
	if l.kept {
		return
	}
	if err := a.keep.save(l.data); err != nil {
		a.Log.Warn("the snapshot runs, but could not be kept for the next start", "dir", a.StateDir, "reason", err)
	}
}

// refuse records that the file was not taken. It reports whether that is news.
func (a *agent) refuse(err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := a.refused == nil || a.refused.Reason != err.Error()
	a.refused = &report.Refusal{At: time.Now(), Reason: err.Error()}
	return news
}

func (a *agent) sentence() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("gateway %s runs snapshot %d", a.running.snapshot.Name, a.running.snapshot.Version)
	if a.refused != nil {
		text += "; the file is refused"
	}
	return text
}

// told is report, once there is something to tell.
func (a *agent) told() (report.Gateway, bool) {
	a.mu.Lock()
	runs := a.running != nil
	a.mu.Unlock()
	if !runs {
		return report.Gateway{}, false
	}
	return a.report(), true
}

// report says how the gateway is.
func (a *agent) report() report.Gateway {
	g := a.engine.report()
	a.mu.Lock()
	defer a.mu.Unlock()
	g.At, g.Started, g.Build, g.Runtime = time.Now(), a.started, a.Build, process()
	g.Snapshot = report.Snapshot{Version: a.running.snapshot.Version, Since: a.since, Source: "file", File: a.SnapshotFile}
	if a.running.kept {
		g.Snapshot.Source = "last-good"
	}
	if a.refused != nil {
		refused := *a.refused
		g.Snapshot.Refused = &refused
	}
	if g.Name == "" { // the engine has not had its first turn
		g.Name, g.Region = a.running.snapshot.Name, a.running.snapshot.Region
	}
	return g
}
