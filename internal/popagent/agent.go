// Package popagent makes a PoP do what its snapshot file, or a controller, says.
// It judges snapshots and hands them to the data plane, has the endpoints behind
// the PoP asked whether they live (health), writes flow logs (flowlog), and answers
// questions about all this on a Unix socket. When and from where snapshots are
// read is package agent's business.
//
// What a snapshot means for packets is the data plane's business; the agent
// knows it as Plane.
package popagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"causeway/internal/agent"
	"causeway/internal/keys"
	"causeway/internal/popagent/flowlog"
	"causeway/internal/popagent/health"
	"causeway/internal/report"
	"causeway/internal/sdnotify"
	"causeway/internal/snapshot"
)

// Plane is the data plane as the agent uses it.
type Plane interface {
	// Apply makes the plane carry what s says, whole or not at all. It is called
	// from one goroutine at a time, while Run runs.
	Apply(s snapshot.Snapshot) error
	// Run carries packets until ctx ends, and returns when everything it started has ended.
	Run(ctx context.Context) error
	// Report says how the plane is. It is called from any goroutine, while Run runs.
	Report() report.PoP
	// PinRoute makes packets to a PoP go over the given relays, none being
	// direct, until UnpinRoute. Both are called from any goroutine, while Run runs.
	PinRoute(to string, via []string) error
	UnpinRoute(to string) error
}

// Options say what an agent works on. Fields without a default must be given.
type Options struct {
	SnapshotFile string        // read at the start and whenever it changes
	KeyFile      string        // the PoP's private key; default: pop.key in StateDir
	StateDir     string        // made if it is not there; one process at a time may use it
	Socket       string        // where status is told; default: pop.sock in StateDir
	Build        report.Build  // what to say about this program
	Log          *slog.Logger  // default: nowhere
	Poll         time.Duration // how often to look whether the file changed; default 250 ms
	retry        time.Duration // after this machine refused a snapshot; 0 is the default of agent.Snapshots, tests have less patience

	// FlowLog says where records of flows are written; the folder is flow-logs in StateDir by default.
	FlowLog flowlog.Config

	// NewPlane makes the data plane. It may keep files of its own in stateDir.
	NewPlane func(key keys.PrivateKey, stateDir string, log *slog.Logger) (Plane, error)

	// Observe, when not nil, runs beside the PoP, from when it runs until ctx ends;
	// ask returns what `causeway pop status` shows. It may be called again, when the
	// PoP starts anew.
	Observe func(ctx context.Context, ask func() report.PoP)
	// Amend, when not nil, adds to each report what others beside the PoP know.
	Amend func(*report.PoP)
	// Handlers answer further requests on the socket, by http.ServeMux patterns.
	Handlers map[string]http.Handler

	// Reload, when not nil, asks for a reload each time something can be received: SIGHUP.
	Reload <-chan os.Signal

	link *agent.Link // to the controller that tells this PoP; nil: a file does
}

func (o Options) withDefaults() Options {
	o.KeyFile = cmp.Or(o.KeyFile, filepath.Join(o.StateDir, "pop.key"))
	o.Socket = cmp.Or(o.Socket, filepath.Join(o.StateDir, "pop.sock"))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// ErrInUse is what Run returns when another process has the state folder or the socket.
var ErrInUse = agent.ErrInUse

// ApplyError is a snapshot that this machine cannot carry now.
type ApplyError = agent.ApplyError

// Run runs a PoP until ctx ends, then stops in order and returns nil. It returns
// an error when the PoP cannot start, or its data plane fails.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	unlock, err := agent.Lock(o.StateDir, what)
	if err != nil {
		return err
	}
	defer unlock()
	key, err := keys.LoadFile(o.KeyFile)
	if err != nil {
		return fmt.Errorf("start PoP: %w", err)
	}
	a := newRunner(o, key)
	first, err := a.snapshots.First()
	if err != nil {
		return err
	}
	socket, err := agent.Listen(o.Socket, what, a.routes(), o.Log) // before any packet moves: it may show that another PoP runs
	if err != nil {
		return err
	}
	if a.plane, err = o.NewPlane(key, o.StateDir, o.Log); err != nil {
		socket.Close()
		return fmt.Errorf("start PoP: %w", err)
	}
	return a.run(ctx, first, socket)
}

// what messages call it.
const what = "PoP"

// runner is a running PoP.
type runner struct {
	Options
	key       keys.PrivateKey
	plane     Plane
	monitor   *health.Monitor // asks endpoints; nil where the plane does not want to know
	snapshots agent.Snapshots[snapshot.Snapshot]
}

func newRunner(o Options, key keys.PrivateKey) *runner {
	a := &runner{Options: o, key: key}
	a.snapshots = agent.Snapshots[snapshot.Snapshot]{
		What: what, File: o.SnapshotFile, Dir: o.StateDir, Log: o.Log, Poll: o.Poll, Retry: o.retry, Signal: o.Reload,
		Judge: a.judge, Take: a.take,
		Name: func(s snapshot.Snapshot) (string, uint64) { return s.PoP.Name, s.Version },
	}
	if o.link != nil {
		a.snapshots.News = o.link.Poke
	}
	return a
}

// take hands a snapshot to the plane.
func (a *runner) take(_ context.Context, s snapshot.Snapshot) error {
	if err := a.plane.Apply(s); err != nil {
		return err
	}
	a.askAbout(s)
	return nil
}

// run starts everything, waits for the end and stops everything.
func (a *runner) run(ctx context.Context, first *agent.Loaded[snapshot.Snapshot], socket *agent.Socket) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer a.writeFlows()() // ends behind the plane
	planeDone := make(chan error, 1)
	go func() { planeDone <- a.plane.Run(ctx) }()
	asked := a.askEndpoints(ctx)
	// Whatever happens from here on, what was started is stopped and waited for.
	stop := func(err error) error {
		cancel()
		<-asked
		return errors.Join(err, <-planeDone)
	}
	if err := a.snapshots.Begin(ctx, first); err != nil {
		socket.Close()
		return stop(err)
	}
	var beside sync.WaitGroup
	beside.Go(socket.Serve)
	beside.Go(func() { a.snapshots.Follow(ctx) })
	if a.Observe != nil {
		beside.Go(func() { a.Observe(ctx, a.whole) })
	}
	sdnotify.Send("READY=1", "STATUS="+a.snapshots.Sentence())
	a.Log.Info("PoP is running", "pop", first.Snapshot.PoP.Name, "snapshot", a.snapshots.Report().Version, "socket", a.Socket)
	if a.link != nil {
		a.link.Up(a)
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-planeDone:
		planeDone <- nil
		if err == nil && ctx.Err() == nil {
			err = errors.New("the data plane ended by itself")
		}
	}
	sdnotify.Send("STOPPING=1")
	a.Log.Info("PoP is stopping", "pop", first.Snapshot.PoP.Name)
	if a.link != nil {
		a.link.Down()
	}
	socket.Close()
	cancel()
	beside.Wait()
	return stop(err)
}
