package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/agentlink/linktest"
	"causeway/internal/problem"
	"causeway/internal/report"
	"causeway/internal/strictyaml"
)

// told is a daemon of Snapshots and nothing else, that a controller tells.
type told struct {
	Snapshots[uint64]
	refusing func(uint64) error
}

func (d *told) Tell() (report.Snapshot, agentlink.Report) {
	r := d.Report()
	return r, agentlink.Report{JSON: []byte(`{}`), Sessions: 5}
}

// start runs one under c on a state folder, until the function it returns is called.
func start(t *testing.T, c *linktest.Controller, dir string, refusing func(uint64) error) (stop func() error) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	run := func(ctx context.Context, l *Link) error {
		d := &told{refusing: refusing}
		d.Snapshots = Snapshots[uint64]{
			What: "thing", File: SnapshotFile(dir), Dir: dir, Log: log, Poll: 5 * time.Millisecond, Retry: 20 * time.Millisecond, News: l.Poke,
			Take: func(_ context.Context, n uint64) error { return refusing(n) },
			Name: func(n uint64) (string, uint64) { return "it", n },
			Judge: func(data []byte) (uint64, error) {
				n, err := number(data)
				if err != nil {
					err = strictyaml.Locate("file", data, problem.List{problem.New("", string(data), "a number")})
				}
				return n, err
			},
		}
		first, err := d.First()
		if err != nil {
			return err
		}
		if err := d.Begin(ctx, first); err != nil {
			return err
		}
		followed := make(chan struct{})
		go func() { defer close(followed); d.Follow(ctx) }()
		l.Up(d)
		<-followed
		l.Down()
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	linked := Linked{LinkOptions: LinkOptions{[]string{c.Address()}, c.Token()}, What: "thing", StateDir: dir, Build: "v1", Log: log, Retry: 20 * time.Millisecond, Run: run}
	go func() { result <- RunLinked(ctx, linked) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() { _ = stop() })
	return stop
}

func anything(uint64) error { return nil }

func have(version uint64) agentlink.Have {
	return agentlink.Have{Version: version, Digest: fmt.Sprint("digest-", version)}
}

func TestALinkedDaemonTellsWhatItTookAndWhatNot(t *testing.T) {
	c := linktest.New(t)
	stop := start(t, c, filepath.Join(t.TempDir(), "state"), func(n uint64) error {
		if n >= 100 {
			return errors.New("no such address")
		}
		return nil
	})
	c.Tell(1, "rubbish")
	c.Until("it says that it cannot start", func() bool {
		r := c.Last()
		return r.Refused == have(1) && r.Applied == agentlink.Have{} && strings.Contains(r.Reason, "rubbish") && r.Build == "v1"
	})
	c.Tell(102, "102")
	c.Until("it says that this machine cannot", func() bool {
		return c.Last().Refused == have(102) && strings.Contains(c.Last().Reason, "no such address")
	})
	c.Tell(3, "3")
	c.Until("it runs 3", func() bool {
		r := c.Last()
		return r.Applied == have(3) && r.Refused == agentlink.Have{} && r.Sessions == 5
	})
	c.Tell(104, "104")
	c.Until("104 is refused and 3 goes on", func() bool { r := c.Last(); return r.Applied == have(3) && r.Refused == have(104) })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestItStartsWithItsControllerAway(t *testing.T) {
	c := linktest.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	stop := start(t, c, dir, anything)
	c.Tell(7, "7")
	c.Until("7 is acknowledged", func() bool { return c.Last().Applied == have(7) })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	c.Down()
	c.Forget()
	took := make(chan uint64, 10)
	stop = start(t, c, dir, func(n uint64) error { took <- n; return nil })
	if n := <-took; n != 7 {
		t.Errorf("it started from %d", n)
	}
	c.Up()
	c.Until("what it runs is known by its digest again", func() bool { return c.Last().Applied == have(7) })
	if times, _ := c.Enrolled(); times != 1 {
		t.Errorf("it enrolled %d times", times)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A folder in the file's place stands for a disk that takes nothing more.
func TestASnapshotThatTheDiskDoesNotTakeIsToldAndTriedAgain(t *testing.T) {
	c := linktest.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	stop := start(t, c, dir, anything)
	c.Tell(1, "1")
	c.Until("1 is acknowledged", func() bool { return c.Last().Applied == have(1) })

	file := SnapshotFile(dir)
	must(t, os.Rename(file, file+".away"), os.MkdirAll(filepath.Join(file, "in it"), 0o700))
	c.Tell(2, "2")
	c.Until("2 is refused, with the reason, while 1 goes on", func() bool {
		r := c.Last()
		return r.Applied == have(1) && r.Refused == have(2) && strings.Contains(r.Reason, "keep the snapshot on disk")
	})
	if credentials, err := agentlink.LoadCredentials(filepath.Join(dir, "link")); err != nil || credentials.Have() != have(1) {
		t.Errorf("after a restart it would say that it has %+v, %v", credentials.Have(), err)
	}
	must(t, os.RemoveAll(file))
	c.Until("2 is acknowledged", func() bool { r := c.Last(); return r.Applied == have(2) && r.Refused == agentlink.Have{} })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWithoutATokenItSaysThatItIsNotEnrolled(t *testing.T) {
	err := RunLinked(t.Context(), Linked{What: "thing", StateDir: t.TempDir(), LinkOptions: LinkOptions{Controllers: []string{"https://127.0.0.1:1"}}})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "it is not enrolled yet, and no token was given") {
		t.Errorf("got %v", err)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
