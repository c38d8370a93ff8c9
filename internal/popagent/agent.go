// Package popagent makes a PoP do what its snapshot file says. It reads and
// judges the file, hands it to the data plane, keeps the last one that worked on
// disk, reads the file again when it changes, has the endpoints behind the PoP
// asked whether they live (health), and answers questions about all this on a
// Unix socket.
//
// A snapshot is taken whole or refused whole. While one is refused, what ran
// before goes on. A PoP that starts with an unusable file starts from the last
// good one, and says so loudly.
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

	"causeway/internal/keys"
	"causeway/internal/popagent/flowlog"
	"causeway/internal/popagent/health"
	"causeway/internal/report"
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
	retry        time.Duration // after this machine refused a snapshot; 0 is retryAfter, tests have less patience

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
}

func (o Options) withDefaults() Options {
	o.KeyFile = cmp.Or(o.KeyFile, filepath.Join(o.StateDir, "pop.key"))
	o.Socket = cmp.Or(o.Socket, filepath.Join(o.StateDir, "pop.sock"))
	o.Poll = cmp.Or(o.Poll, 250*time.Millisecond)
	o.retry = cmp.Or(o.retry, retryAfter)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Run runs a PoP until ctx ends, then stops in order and returns nil. It returns
// an error when the PoP cannot start, or its data plane fails.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	unlock, err := lockDir(o.StateDir)
	if err != nil {
		return err
	}
	defer unlock()
	key, err := keys.LoadFile(o.KeyFile)
	if err != nil {
		return fmt.Errorf("start PoP: %w", err)
	}
	a := &agent{Options: o, key: key, kept: lastGood{dir: o.StateDir}, reloads: make(chan reload)}
	first, err := a.firstSnapshot()
	if err != nil {
		return err
	}
	control, err := a.listen() // before any packet moves: it may show that another PoP runs
	if err != nil {
		return err
	}
	if a.plane, err = o.NewPlane(key, o.StateDir, o.Log); err != nil {
		control.close()
		return fmt.Errorf("start PoP: %w", err)
	}
	return a.run(ctx, first, control)
}

// agent is a running PoP.
type agent struct {
	Options
	key     keys.PrivateKey
	kept    lastGood
	plane   Plane
	notify  notifier
	reloads chan reload     // requests, answered by the one goroutine that applies
	monitor *health.Monitor // asks endpoints; nil where the plane does not want to know

	state state // what status says about snapshots

	// Of the goroutine that applies: the one that starts, then follow.
	seen    sight     // the file, just before it was last read
	retryAt time.Time // when to try again what this machine refused; zero: not
}

// run starts everything, waits for the end and stops everything.
func (a *agent) run(ctx context.Context, first *loaded, control *control) error {
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
	if err := a.applyFirst(first); err != nil {
		control.close()
		return stop(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); control.serve() }()
	watched := make(chan struct{})
	go func() { defer close(watched); a.follow(ctx) }()
	var observed sync.WaitGroup
	if a.Observe != nil {
		observed.Go(func() { a.Observe(ctx, a.whole) })
	}
	a.notify.send("READY=1", "STATUS="+a.state.sentence())
	a.Log.Info("PoP is running", "pop", a.state.name(), "snapshot", a.state.version(), "socket", a.Socket)

	var err error
	select {
	case <-ctx.Done():
	case err = <-planeDone:
		planeDone <- nil
		if err == nil && ctx.Err() == nil {
			err = errors.New("the data plane ended by itself")
		}
	}
	a.notify.send("STOPPING=1")
	a.Log.Info("PoP is stopping", "pop", a.state.name())
	control.close()
	cancel()
	<-served
	<-watched
	observed.Wait()
	return stop(err)
}

// firstSnapshot returns what to start from: the file, or the last good one when
// the file cannot be used.
func (a *agent) firstSnapshot() (*loaded, error) {
	first, err := a.read()
	if err == nil {
		return first, nil
	}
	kept, keptErr := a.readKept()
	if keptErr != nil {
		a.Log.Debug("there is no last good snapshot", "reason", keptErr)
		return nil, err
	}
	a.fallBack(err, kept)
	return kept, nil
}

func (a *agent) fallBack(err error, kept *loaded) {
	a.state.refuse(err)
	a.Log.Error("the snapshot file cannot be used, so the PoP STARTS FROM ITS LAST GOOD ONE; mend the file, it is watched",
		"file", a.SnapshotFile, "reason", err, "last_good_version", kept.snapshot.Version, "saved", kept.saved)
}

// applyFirst makes the plane carry the first snapshot, or the last good one when
// this machine refuses the first.
func (a *agent) applyFirst(first *loaded) error {
	err := a.apply(first)
	if err == nil || first.kept {
		return err
	}
	kept, keptErr := a.readKept()
	if keptErr != nil || string(kept.data) == string(first.data) {
		return err
	}
	retryAt := a.retryAt
	if keptErr := a.apply(kept); keptErr != nil {
		return err
	}
	a.retryAt = retryAt
	a.fallBack(err, kept)
	return nil
}

// apply hands a snapshot to the plane and, when it is taken, remembers it.
func (a *agent) apply(l *loaded) error {
	a.retryAt = time.Time{}
	if err := a.plane.Apply(l.snapshot); err != nil {
		a.retryAt = time.Now().Add(a.Options.retry)
		return &ApplyError{File: l.file, Err: err}
	}
	a.state.take(l)
	a.askAbout(l.snapshot)
	if l.kept {
		return nil
	}
	if err := a.kept.save(l.data); err != nil {
		a.Log.Warn("the snapshot runs, but could not be kept for the next start", "dir", a.StateDir, "reason", err)
	}
	return nil
}

// ApplyError is a snapshot that is right in itself but that this machine cannot
// carry now: an address that is not here, a port that is taken.
type ApplyError struct {
	File string
	Err  error
}

func (e *ApplyError) Error() string {
	return fmt.Sprintf("apply %s: %v", e.File, e.Err)
}

func (e *ApplyError) Unwrap() error { return e.Err }
