package popagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/keys"
	"causeway/internal/report"
	"causeway/internal/strictyaml"
)

// LinkOptions say how a PoP finds its controller.
type LinkOptions struct {
	Controllers []string // addresses, https://host:port
	TokenFile   string   // holds the token, for the first start only
}

// RunLinked runs a PoP that a controller tells what to do. At the first start it
// enrols with the token and waits for its snapshot. From then on it starts from
// the snapshot on its disk, with a controller in reach or without.
//
// The link hands each snapshot over as the file that the PoP reads, and asks the
// PoP over its own socket to take it, as a person would.
func RunLinked(ctx context.Context, o Options, l LinkOptions) error {
	o = o.withDefaults()
	o.SnapshotFile = filepath.Join(o.StateDir, "controller-snapshot.json")
	credentials, err := o.enrolled(ctx, l)
	if err != nil {
		return err
	}
	link := &linked{
		file: o.SnapshotFile, client: Client{Socket: o.Socket}, build: o.Build.Version,
		arrived: make(chan struct{}, 1), changed: make(chan struct{}, 1), running: make(chan struct{}),
		digests: map[uint64]string{credentials.Have().Version: credentials.Have().Digest}, newest: credentials.Have(),
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	defer ended.Wait()
	defer cancel()
	client := &agentlink.Client{Controllers: l.Controllers, Credentials: credentials, Log: o.Log}
	ended.Go(func() { client.Run(ctx, link) })
	others := o.Amend
	o.Amend = func(p *report.PoP) {
		connected, heard := client.Link()
		p.Snapshot.Controller = &report.Link{Connected: connected, Heard: heard}
		if others != nil {
			others(p)
		}
	}
	return link.run(ctx, o)
}

// enrolled returns the PoP's credentials, by enrolling if it has none.
func (o Options) enrolled(ctx context.Context, l LinkOptions) (*agentlink.Credentials, error) {
	dir := filepath.Join(o.StateDir, "link")
	credentials, err := agentlink.LoadCredentials(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return credentials, err
	}
	if l.TokenFile == "" {
		return nil, fmt.Errorf("start PoP: it is not enrolled yet, and no token was given: %w", fs.ErrNotExist)
	}
	token, err := os.ReadFile(l.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("start PoP: read the token: %w", err)
	}
	key, err := loadOrMakeKey(o.StateDir, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("start PoP: %w", err)
	}
	credentials, err = agentlink.Enrol(ctx, agentlink.Enrolment{
		Controllers: l.Controllers, Token: string(token), PublicKey: key.Public().String(), Dir: dir, Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("start PoP: %w", err)
	}
	o.Log.Info("enrolled", "pop", credentials.PoP, "certificate_until", credentials.Certificate().Leaf.NotAfter)
	return credentials, nil
}

func loadOrMakeKey(dir, file string) (keys.PrivateKey, error) {
	key, err := keys.LoadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return key, err
	}
	if key, err = keys.Generate(); err != nil {
		return key, err
	}
	return key, key.WriteFile(file)
}

// linked is the PoP as the link sees it.
type linked struct {
	file   string
	client Client
	build  string

	arrived chan struct{} // a snapshot is in the file
	changed chan struct{} // a report should be sent
	running chan struct{} // closed when the PoP runs

	mu      sync.Mutex // guards what is below
	newest  agentlink.Have
	digests map[uint64]string // that versions came with
	refused error             // of a PoP that could not start with what it was given
}

// run runs the PoP as soon as there is a snapshot. One that it cannot start with
// is reported, and the next one waited for.
func (l *linked) run(ctx context.Context, o Options) error {
	kept := lastGood{dir: o.StateDir}
	if _, err := os.Stat(l.file); err != nil {
		if _, _, err := kept.load(); err != nil {
			o.Log.Info("waiting for the first snapshot from the controller")
			l.wait(ctx, 0)
		}
	}
	for ctx.Err() == nil {
		err := l.runPoP(ctx, o)
		var content *strictyaml.Error
		var machine *ApplyError
		if ctx.Err() != nil || !errors.As(err, &content) && !errors.As(err, &machine) {
			return err
		}
		o.Log.Error("the snapshot cannot be started with; waiting for another one", "reason", err)
		l.refuse(err)
		l.wait(ctx, o.retry)
	}
	return nil
}

// runPoP is Run, and tells Deliver when the PoP answers on its socket.
func (l *linked) runPoP(ctx context.Context, o Options) error {
	l.mu.Lock()
	running := make(chan struct{})
	l.running = running
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := l.client.Status(ctx); err == nil {
				l.refuse(nil)
				close(running)
				_ = l.client.Reload(ctx) // one that was delivered while it started
				l.poke()
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return Run(ctx, o)
}

// wait returns when a snapshot has arrived or, if it is not 0, after a time.
func (l *linked) wait(ctx context.Context, atMost time.Duration) {
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

func (l *linked) refuse(err error) {
	l.mu.Lock()
	l.refused = err
	l.mu.Unlock()
	l.poke()
}

func (l *linked) poke() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Deliver writes the snapshot down and has the PoP take it.
func (l *linked) Deliver(ctx context.Context, u agentlink.Update) {
	defer l.poke()
	l.mu.Lock()
	l.newest = agentlink.Have{Version: u.Version, Digest: u.Digest}
	l.digests[u.Version] = u.Digest
	for version := range l.digests { // those before the one that runs are never asked for again
		if len(l.digests) > 64 && version < u.Version {
			delete(l.digests, version)
		}
	}
	running := l.running
	l.mu.Unlock()
	if err := writeWhole(l.file, u.Snapshot); err != nil {
		l.refuse(fmt.Errorf("keep the snapshot on disk: %w", err))
		return
	}
	select {
	case <-running:
		_ = l.client.Reload(ctx) // what comes of it, the report says
		return
	default:
	}
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// Report asks the PoP how it is.
func (l *linked) Report(ctx context.Context) agentlink.Report {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p, err := l.client.Status(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := agentlink.Report{Build: l.build}
	if err == nil {
		r.Applied = agentlink.Have{Version: p.Snapshot.Version, Digest: l.digests[p.Snapshot.Version]}
		r.Sessions = p.Sessions.Confirmed
		r.JSON = brief(p)
		if p.Snapshot.Refused != nil {
			r.Refused, r.Reason = l.newest, p.Snapshot.Refused.Reason
		}
	} else if l.refused != nil {
		r.Refused, r.Reason = l.newest, l.refused.Error()
	}
	return r
}

// sessionsTold is how many sessions a report to the controller lists.
const sessionsTold = 100

// brief is the report as JSON, small enough to be sent every few seconds.
func brief(p report.PoP) []byte {
	if len(p.Sessions.List) > sessionsTold {
		p.Sessions.List, p.Sessions.Truncated = p.Sessions.List[:sessionsTold], true
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	return text
}

// Changed tells when a report should be sent at once.
func (l *linked) Changed() <-chan struct{} { return l.changed }
