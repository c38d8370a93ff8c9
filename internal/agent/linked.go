package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/report"
	"causeway/internal/strictyaml"
	"causeway/internal/wholefile"
)

// LinkOptions say how a daemon finds its controller.
type LinkOptions struct {
	Controllers []string // addresses, https://host:port
	TokenFile   string   // holds the token, for the first start only
}

// Linked is a daemon that a controller tells what to do.
type Linked struct {
	LinkOptions
	What     string // what messages call the daemon, "PoP"
	StateDir string
	Build    string // its version
	Log      *slog.Logger
	Retry    time.Duration // what this machine refused at the start; default 5 s

	// PublicKey returns the overlay key that it enrols with; nil: it has none.
	PublicKey func() (string, error)
	// Run runs the daemon from SnapshotFile until ctx ends or it cannot go on. It
	// calls l.Up when it runs, and l.Down before it stops.
	Run func(ctx context.Context, l *Link) error
}

// Running is a daemon that runs.
type Running interface {
	// Reload reads the snapshot file again. What comes of it, Tell says.
	Reload(ctx context.Context, why string) error
	// Refuse records that the newest snapshot was not taken.
	Refuse(err error) bool
	// Tell says how it is: the report's Snapshot, and what a controller is told of the rest.
	Tell() (report.Snapshot, agentlink.Report)
}

// SnapshotFile is the file that a linked daemon reads.
func SnapshotFile(stateDir string) string { return filepath.Join(stateDir, "controller-snapshot.json") }

// RunLinked runs d. At its first start it enrols with the token and waits for its
// snapshot. From then on it starts from the snapshot on its disk, with a
// controller in reach or without. A snapshot that it cannot start with is told to
// the controller, and another one waited for.
//
// The link hands each snapshot over as the file that the daemon reads, as a
// person would.
func RunLinked(ctx context.Context, d Linked) error {
	credentials, err := d.enrolled(ctx)
	if err != nil {
		return err
	}
	l := &Link{
		file: SnapshotFile(d.StateDir), build: d.Build, log: d.Log, retry: cmp.Or(d.Retry, retryAfter),
		client:  &agentlink.Client{Controllers: d.Controllers, Credentials: credentials, Log: d.Log},
		arrived: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		digests: map[uint64]string{credentials.Have().Version: credentials.Have().Digest}, newest: credentials.Have(),
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	defer ended.Wait()
	defer cancel()
	ended.Go(func() { l.client.Run(ctx, l) })
	ended.Go(func() { l.writeAgain(ctx) })
	return l.run(ctx, d)
}

// enrolled returns the daemon's credentials, by enrolling if it has none.
func (d Linked) enrolled(ctx context.Context) (*agentlink.Credentials, error) {
	dir := filepath.Join(d.StateDir, "link")
	credentials, err := agentlink.LoadCredentials(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return credentials, err
	}
	if d.TokenFile == "" {
		return nil, fmt.Errorf("start %s: it is not enrolled yet, and no token was given: %w", d.What, fs.ErrNotExist)
	}
	token, err := os.ReadFile(d.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("start %s: read the token: %w", d.What, err)
	}
	key := ""
	if d.PublicKey != nil {
		if key, err = d.PublicKey(); err != nil {
			return nil, fmt.Errorf("start %s: %w", d.What, err)
		}
	}
	credentials, err = agentlink.Enrol(ctx, agentlink.Enrolment{
		Controllers: d.Controllers, Token: string(token), PublicKey: key, Dir: dir, Log: d.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", d.What, err)
	}
	d.Log.Info("enrolled", "agent", credentials.PoP, "certificate_until", credentials.Certificate().Leaf.NotAfter)
	return credentials, nil
}

// Link is a daemon as its controller sees it.
type Link struct {
	client *agentlink.Client
	file   string
	build  string
	log    *slog.Logger
	retry  time.Duration

	arrived chan struct{} // a snapshot is in the file
	changed chan struct{} // a report should be sent

	writing sync.Mutex // held while the file is written

	mu        sync.Mutex // guards what is below
	running   Running    // nil: the daemon does not run
	newest    agentlink.Have
	digests   map[uint64]string // that versions came with
	refused   error             // of a daemon that could not start with what it was given
	unwritten *agentlink.Update // the newest, when the disk did not take it
	why       error             // it did not
}

// run runs the daemon as soon as there is a snapshot.
func (l *Link) run(ctx context.Context, d Linked) error {
	if _, err := os.Stat(l.file); err != nil {
		if _, _, err := (Kept{d.StateDir}).Load(); err != nil {
			d.Log.Info("waiting for the first snapshot from the controller")
			l.wait(ctx, 0)
		}
	}
	for ctx.Err() == nil {
		err := d.Run(ctx, l)
		var content *strictyaml.Error
		var machine *ApplyError
		if ctx.Err() != nil || !errors.As(err, &content) && !errors.As(err, &machine) {
			return err
		}
		if l.refuse(err) {
			d.Log.Error("the snapshot cannot be started with; waiting for another one", "reason", err)
		}
		l.wait(ctx, l.retry)
	}
	return nil
}

// wait returns when a snapshot has arrived or, if it is not 0, after a time.
func (l *Link) wait(ctx context.Context, atMost time.Duration) {
	var late <-chan time.Time
	if atMost > 0 {
		late = time.After(atMost)
	}
	select {
	case <-ctx.Done():
	case <-l.arrived:
	case <-late:
	}
}

// Up says that the daemon runs, and watches the file: a snapshot may be delivered
// while it starts.
func (l *Link) Up(r Running) {
	l.mu.Lock()
	l.running, l.refused = r, nil
	why := l.why
	l.mu.Unlock()
	if why != nil {
		r.Refuse(why)
	}
	l.Poke()
}

// Down says that the daemon is about to stop; it is not asked any more.
func (l *Link) Down() {
	l.mu.Lock()
	l.running = nil
	l.mu.Unlock()
}

// Amend adds to what a daemon reports of its snapshot whether its controller is
// in reach.
func (l *Link) Amend(s *report.Snapshot) {
	connected, heard := l.client.Link()
	s.Controller = &report.Link{Connected: connected, Heard: heard}
}

// Poke has a report sent now.
func (l *Link) Poke() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// refuse records that the daemon could not start. It reports whether that is news.
func (l *Link) refuse(err error) bool {
	l.mu.Lock()
	news := l.refused == nil || l.refused.Error() != err.Error()
	l.refused = err
	l.mu.Unlock()
	l.Poke()
	return news
}

// Deliver writes the snapshot down and has the daemon take it.
func (l *Link) Deliver(ctx context.Context, u agentlink.Update) error {
	defer l.Poke()
	l.mu.Lock()
	l.newest = agentlink.Have{Version: u.Version, Digest: u.Digest}
	l.digests[u.Version] = u.Digest
	for version := range l.digests { // those before the one that runs are never asked for again
		if len(l.digests) > 64 && version < u.Version {
			delete(l.digests, version)
		}
	}
	l.mu.Unlock()
	return l.write(ctx, u)
}

// write puts a snapshot into the file, unless there is a newer one, and tells the
// daemon. When the disk does not take it, that is a refusal, and writeAgain tries
// it again.
func (l *Link) write(ctx context.Context, u agentlink.Update) error {
	l.writing.Lock()
	l.mu.Lock()
	newest := l.newest
	l.mu.Unlock()
	if newest != (agentlink.Have{Version: u.Version, Digest: u.Digest}) {
		l.writing.Unlock()
		return nil
	}
	err := wholefile.Write(l.file, u.Snapshot, 0o600)
	l.mu.Lock()
	running, news := l.running, err != nil && l.why == nil
	l.unwritten, l.why = nil, nil
	if err != nil {
		err = fmt.Errorf("keep the snapshot on disk: %w", err)
		l.unwritten, l.why = &u, err
	}
	l.mu.Unlock()
	l.writing.Unlock()
	if err != nil {
		if news {
			l.log.Error("a snapshot from the controller could not be written down; what runs goes on, and it is tried again", "version", u.Version, "reason", err)
		}
		if running != nil {
			running.Refuse(err)
		}
		return err
	}
	if running != nil {
		_ = running.Reload(ctx, "delivered") // what comes of it, the report says
		return nil
	}
	select {
	case l.arrived <- struct{}{}:
	default:
	}
	return nil
}

// writeAgain tries what the disk did not take, every now and then, until ctx ends.
func (l *Link) writeAgain(ctx context.Context) {
	ticker := time.NewTicker(l.retry)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l.mu.Lock()
		u := l.unwritten
		l.mu.Unlock()
		if u != nil {
			_ = l.write(ctx, *u)
			l.Poke()
		}
	}
}

// Report says how the daemon is.
func (l *Link) Report(context.Context) agentlink.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	var r agentlink.Report
	var refused error
	if l.running != nil {
		var s report.Snapshot
		s, r = l.running.Tell()
		r.Applied = agentlink.Have{Version: s.Version, Digest: l.digests[s.Version]}
		if s.Refused != nil {
			refused = errors.New(s.Refused.Reason)
		}
	}
	r.Build = l.build
	if refused = cmp.Or(l.why, refused, l.refused); refused != nil {
		r.Refused, r.Reason = l.newest, refused.Error()
	}
	return r
}

// Changed tells when a report should be sent at once.
func (l *Link) Changed() <-chan struct{} { return l.changed }
