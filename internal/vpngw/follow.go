package vpngw

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"time"

	"causeway/internal/sdnotify"
)

// look often enough at the file: changes are found by stat, which also works
// where a file is replaced by rename, through links and on network file systems.
const lookEvery = 250 * time.Millisecond

// follow reads the file again whenever it changes or a signal asks for it.
func (a *agent) follow(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	seen := sightOf(a.SnapshotFile)
	settling := seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.Reload:
			_ = a.reload(ctx, "signal")
		case <-ticker.C:
			switch now := sightOf(a.SnapshotFile); {
			case now != settling: // it may still be being written
				settling = now
			case now != seen:
				seen = now
				_ = a.reload(ctx, "file changed")
			}
		}
	}
}

// reload reads the file and has the engine take it. What runs goes on when it fails.
func (a *agent) reload(ctx context.Context, why string) error {
	sdnotify.Send("RELOADING=1", monotonicNow())
	defer func() { sdnotify.Send("READY=1", "STATUS="+a.sentence()) }()
	l, err := a.read()
	if err != nil {
		if a.refuse(err) {
			a.Log.Error("snapshot refused; what ran before goes on", "because", why, "running", a.version(), "reason", err)
		}
		a.engine.wake()
		return err
	}
	a.mu.Lock()
	same := !a.running.kept && bytes.Equal(a.running.data, l.data)
	a.mu.Unlock()
	if !same {
		if err := a.engine.do(ctx, func(context.Context) { a.engine.take(l.snapshot) }); err != nil {
			return err
		}
	}
	a.took(l)
	a.engine.wake()
	a.Log.Info("snapshot applied", "because", why, "version", l.snapshot.Version, "unchanged", same)
	return nil
}

func (a *agent) version() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running.snapshot.Version
}

// sight is what can be seen of a file without reading it. It changes when the
// file is written, replaced or removed.
type sight struct {
	exists       bool
	device, node uint64
	size         int64
	modified     time.Time
	changed      syscall.Timespec
}

func sightOf(file string) sight {
	info, err := os.Stat(file)
	if err != nil {
		return sight{}
	}
	s := sight{exists: true, size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.node, s.changed = sys.Dev, sys.Ino, sys.Ctim
	}
	return s
}
