package popagent

import (
	"context"
	"os"
	"syscall"
	"time"
)

// reload is a request to read the file again; done gets the outcome.
type reload struct {
	why  string
	done chan<- error
}

// retryAfter is how long after this machine refused a snapshot it is tried
// again: an address may have come, a port may be free.
const retryAfter = 5 * time.Second

// follow reads the file again whenever something asks for it or it changes. It
// is the only goroutine that applies snapshots once the PoP runs.
//
// Changes are found by looking (stat), not by inotify: that also works where a
// file is replaced by rename, through links, on network file systems and when
// its folder is made anew, and costs four system calls a second.
func (a *agent) follow(ctx context.Context) {
	ticker := time.NewTicker(a.Poll)
	defer ticker.Stop()
	settling := a.seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.Reload:
			_ = a.reload("signal")
		case r := <-a.reloads:
			r.done <- a.reload(r.why)
		case <-ticker.C:
			now := look(a.SnapshotFile)
			switch {
			case now != settling: // it may still be being written
				settling = now
			case now != a.seen:
				_ = a.reload("file changed")
			case !a.retryAt.IsZero() && time.Now().After(a.retryAt):
				_ = a.reload("trying again")
			}
		}
	}
}

// reload reads the file and applies it. What runs goes on when it fails.
func (a *agent) reload(why string) error {
	a.notify.reloading()
	defer func() { a.notify.send("READY=1", "STATUS="+a.state.sentence()) }()
	l, err := a.read()
	if err == nil && a.state.runs(l.data) {
		a.state.accept()
		a.retryAt = time.Time{}
		a.Log.Info("snapshot is unchanged", "because", why, "version", l.snapshot.Version)
		return nil
	}
	if err == nil {
		before := a.state.version()
		if l.snapshot.Version < before {
			a.Log.Warn("snapshot is older than the one that runs; it is applied all the same", "running", before, "version", l.snapshot.Version)
		}
		err = a.apply(l)
	}
	if err != nil {
		if a.state.refuse(err) { // once for each reason, not every five seconds
			a.Log.Error("snapshot refused; what ran before goes on", "because", why, "running", a.state.version(), "reason", err)
		}
		return err
	}
	a.Log.Info("snapshot applied", "because", why, "version", l.snapshot.Version)
	return nil
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

func look(file string) sight {
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
