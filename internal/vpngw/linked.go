package vpngw

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
	"causeway/internal/strictyaml"
)

// LinkOptions say how a gateway finds its controller.
type LinkOptions struct {
	Controllers []string // addresses, https://host:port
	TokenFile   string   // holds the token, for the first start only
}

// RunLinked runs a gateway that a controller tells what to do. At the first
// start it enrols with the token and waits for its snapshot. From then on it
// starts from the snapshot on its disk, with a controller in reach or without.
func RunLinked(ctx context.Context, o Options, l LinkOptions) error {
	o = o.withDefaults()
	o.SnapshotFile = filepath.Join(o.StateDir, "controller-snapshot.json")
	credentials, err := enrolled(ctx, o, l)
	if err != nil {
		return err
	}
	a, err := open(o)
	if err != nil {
		return err
	}
	defer a.close()
	link := &linked{agent: a, arrived: make(chan struct{}, 1), digests: map[uint64]string{credentials.Have().Version: credentials.Have().Digest}, newest: credentials.Have()}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	defer ended.Wait()
	defer cancel()
	client := &agentlink.Client{Controllers: l.Controllers, Credentials: credentials, Log: o.Log}
	ended.Go(func() { client.Run(ctx, link) })
	first, err := link.first(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	link.run()
	return a.run(ctx, first)
}

// enrolled returns the gateway's credentials, by enrolling if it has none.
func enrolled(ctx context.Context, o Options, l LinkOptions) (*agentlink.Credentials, error) {
	dir := filepath.Join(o.StateDir, "link")
	credentials, err := agentlink.LoadCredentials(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return credentials, err
	}
	if l.TokenFile == "" {
		return nil, fmt.Errorf("start gateway: it is not enrolled yet, and no token was given: %w", fs.ErrNotExist)
	}
	token, err := os.ReadFile(l.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("start gateway: read the token: %w", err)
	}
	credentials, err = agentlink.Enrol(ctx, agentlink.Enrolment{Controllers: l.Controllers, Token: string(token), Dir: dir, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	o.Log.Info("enrolled", "agent", credentials.PoP, "certificate_until", credentials.Certificate().Leaf.NotAfter)
	return credentials, nil
}

// linked is the gateway as the link sees it.
type linked struct {
	agent   *agent
	arrived chan struct{} // a snapshot is in the file

	mu      sync.Mutex // guards what is below
	running bool
	newest  agentlink.Have
	digests map[uint64]string // that versions came with
	refused error             // of a gateway that could not start with what it was given
}

// first returns what to start with, waiting for it where there is nothing.
func (l *linked) first(ctx context.Context) (*loaded, error) {
	for {
		first, err := l.agent.first()
		var content *strictyaml.Error
		switch {
		case err == nil:
			return first, nil
		case errors.Is(err, fs.ErrNotExist):
			l.agent.Log.Info("waiting for the first snapshot from the controller")
		case errors.As(err, &content):
			l.agent.Log.Error("the snapshot cannot be started with; waiting for another one", "reason", err)
			l.refuse(err)
		default:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-l.arrived:
		}
	}
}

func (l *linked) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running, l.refused = true, nil
}

func (l *linked) refuse(err error) {
	l.mu.Lock()
	l.refused = err
	l.mu.Unlock()
	l.agent.engine.wake()
}

// Deliver writes the snapshot down and has the gateway take it. The gateway also
// watches the file, so that nothing is lost when it has only just started.
func (l *linked) Deliver(ctx context.Context, u agentlink.Update) {
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
	if err := writeWhole(l.agent.SnapshotFile, u.Snapshot); err != nil {
		l.refuse(fmt.Errorf("keep the snapshot on disk: %w", err))
		return
	}
	if running {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = l.agent.reload(ctx, "delivered") // what comes of it, the report says
		return
	}
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// Report says how the gateway is.
func (l *linked) Report(context.Context) agentlink.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := agentlink.Report{Build: l.agent.Build.Version}
	if !l.running {
		if l.refused != nil {
			r.Refused, r.Reason = l.newest, l.refused.Error()
		}
		return r
	}
	if g, ok := l.agent.told(); ok {
		r.Applied = agentlink.Have{Version: g.Snapshot.Version, Digest: l.digests[g.Snapshot.Version]}
		r.JSON, _ = json.Marshal(g)
		if g.Snapshot.Refused != nil {
			r.Refused, r.Reason = l.newest, g.Snapshot.Refused.Reason
		}
	}
	return r
}

// Changed tells when a report should be sent at once.
func (l *linked) Changed() <-chan struct{} { return l.agent.engine.changed }
