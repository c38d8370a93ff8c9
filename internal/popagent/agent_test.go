package popagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway/internal/keys"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePlane remembers what it was told and refuses on demand.
type fakePlane struct {
	mu      sync.Mutex
	applied []uint64
	refuse  error
	pins    []string
	crash   chan error
	ended   chan struct{}
}

func newFakePlane() *fakePlane {
	return &fakePlane{crash: make(chan error, 1), ended: make(chan struct{})}
}

func (p *fakePlane) Apply(s snapshot.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil && s.Version >= 100 { // a version this machine cannot carry
		return p.refuse
	}
	p.applied = append(p.applied, s.Version)
	return nil
}

func (p *fakePlane) Run(ctx context.Context) error {
	defer close(p.ended)
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.crash:
		return err
	}
}

func (p *fakePlane) Report() report.PoP { return report.PoP{Drops: map[string]uint64{"no_session": 3}} }

func (p *fakePlane) PinRoute(to string, via []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to == "nowhere" {
		return errors.New(`no route to "nowhere"`)
	}
	p.pins = append(p.pins, fmt.Sprint("pin ", to, via))
	return nil
}

func (p *fakePlane) UnpinRoute(to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pins = append(p.pins, "unpin "+to)
	return nil
}

func (p *fakePlane) setRefuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = err
}

func (p *fakePlane) versions() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.applied)
}

// pop is one PoP under test: its folder, its plane and its end.
type pop struct {
	t      *testing.T
	o      Options
	key    keys.PrivateKey
	plane  *fakePlane
	log    *lockedBuffer
	signal chan os.Signal
	cancel context.CancelFunc
	result chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newPoP(t *testing.T) *pop {
	t.Helper()
	dir := t.TempDir()
	key, err := keys.Generate()
	if err != nil {
		t.Fatal(err)
	}
	p := &pop{t: t, key: key}
	p.o = Options{SnapshotFile: filepath.Join(dir, "snapshot.yaml"), StateDir: filepath.Join(dir, "state"), Poll: 5 * time.Millisecond}
	p.o.KeyFile = filepath.Join(dir, "key")
	if err := key.WriteFile(p.o.KeyFile); err != nil {
		t.Fatal(err)
	}
	p.write(p.text(1))
	return p
}

// text is a snapshot of the given version for this PoP.
func (p *pop) text(version int) string {
	return fmt.Sprintf("format: 1\nversion: %d\npop:\n  name: seoul\n  label: 2\n  public_key: %s\n", version, p.key.Public())
}

// write replaces the snapshot file as a careful program does.
func (p *pop) write(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.o.SnapshotFile+".new", []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.o.SnapshotFile+".new", p.o.SnapshotFile); err != nil {
		p.t.Fatal(err)
	}
}

// start runs the PoP until stop or the end of the test.
func (p *pop) start() {
	p.t.Helper()
	p.plane, p.log, p.signal, p.result = newFakePlane(), &lockedBuffer{}, make(chan os.Signal, 1), make(chan error, 1)
	p.startWith(p.plane)
	p.await("the PoP answers", func() bool { _, err := p.client().Status(p.t.Context()); return err == nil })
}

func (p *pop) startWith(plane *fakePlane) {
	o := p.o
	o.Log = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Reload = p.signal
	o.NewPlane = func(keys.PrivateKey, string, *slog.Logger) (Plane, error) { return plane, nil }
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() { p.result <- Run(ctx, o) }()
	p.t.Cleanup(cancel)
}

func (p *pop) client() Client { return Client{Socket: p.o.withDefaults().Socket} }

func (p *pop) stop() {
	p.t.Helper()
	p.cancel()
	if err := <-p.result; err != nil {
		p.t.Fatalf("stopped with %v", err)
	}
}

// runOnce starts a PoP that is expected to fail.
func (p *pop) runOnce() error {
	p.plane, p.log, p.result = newFakePlane(), &lockedBuffer{}, make(chan error, 1)
	p.startWith(p.plane)
	return <-p.result
}

func (p *pop) await(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain until %s; the log:\n%s", what, p.log)
		}
	}
}

func (p *pop) status() report.PoP {
	p.t.Helper()
	s, err := p.client().Status(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func TestAPoPTellsWhatItIs(t *testing.T) {
	p := newPoP(t)
	p.o.Build = report.Build{Version: "v1"}
	p.start()
	s := p.status()
	if s.Name != "seoul" || s.Label != 2 || s.PublicKey != p.key.Public().String() || s.Build.Version != "v1" || s.Drops["no_session"] != 3 {
		t.Errorf("got %+v", s)
	}
	if s.Snapshot.Version != 1 || s.Snapshot.Source != "file" || s.Snapshot.File != p.o.SnapshotFile || s.Snapshot.Refused != nil {
		t.Errorf("got %+v", s.Snapshot)
	}
	if s.Runtime.PID != os.Getpid() || s.Runtime.RSSBytes == 0 || s.Runtime.Goroutines == 0 || s.Runtime.OpenFiles == 0 {
		t.Errorf("got %+v", s.Runtime)
	}
	info, err := os.Stat(p.client().Socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	p.stop()
	if _, err := os.Stat(p.client().Socket); err == nil {
		t.Error("the socket is left behind")
	}
	<-p.plane.ended
}

func TestAChangedFileIsApplied(t *testing.T) {
	p := newPoP(t)
	p.start()
	p.write(p.text(2))
	p.await("version 2 runs", func() bool { return p.status().Snapshot.Version == 2 })
	// Written in place, as an editor may do it.
	if err := os.WriteFile(p.o.SnapshotFile, []byte(p.text(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.await("version 3 runs", func() bool { return p.status().Snapshot.Version == 3 })
	// An older one is what an operator who goes back wants.
	p.write(p.text(2))
	p.await("version 2 runs again", func() bool { return p.status().Snapshot.Version == 2 })
	p.stop()
	if got := p.plane.versions(); got != "[1 2 3 2]" {
		t.Errorf("applied %s", got)
	}
}

func TestAWrongFileIsRefusedAndWhatRanGoesOn(t *testing.T) {
	p := newPoP(t)
	p.start()
	p.write(strings.Replace(p.text(2), "label: 2", "label: 0", 1))
	p.await("it is refused", func() bool { return p.status().Snapshot.Refused != nil })
	s := p.status().Snapshot
	if want := p.o.SnapshotFile + `:5:10: pop.label: missing; allowed: a number from 1 to 65535`; s.Version != 1 || !strings.HasPrefix(s.Refused.Reason, want) {
		t.Errorf("got %+v, refused %+v", s, s.Refused)
	}
	p.write(p.text(3))
	p.await("the corrected one runs", func() bool { s := p.status().Snapshot; return s.Version == 3 && s.Refused == nil })
	if err := os.Remove(p.o.SnapshotFile); err != nil {
		t.Fatal(err)
	}
	p.await("its absence is refused", func() bool { return p.status().Snapshot.Refused != nil })
	if s := p.status().Snapshot; s.Version != 3 {
		t.Errorf("version %d runs", s.Version)
	}
	p.write(p.text(3))
	p.await("the same file is back", func() bool { return p.status().Snapshot.Refused == nil })
	p.stop()
	if got := p.plane.versions(); got != "[1 3]" {
		t.Errorf("applied %s", got)
	}
	if n := strings.Count(p.log.String(), "snapshot refused"); n != 2 {
		t.Errorf("%d lines about two refusals:\n%s", n, p.log)
	}
}

func TestReloadAnswersWithTheReason(t *testing.T) {
	p := newPoP(t)
	p.o.Poll = time.Hour
	p.start()
	if err := p.client().Reload(t.Context()); err != nil {
		t.Errorf("an unchanged file: %v", err)
	}
	p.plane.setRefuse(errors.New("port 500 is taken"))
	p.write(p.text(100))
	err := p.client().Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "port 500 is taken") {
		t.Errorf("got %v", err)
	}
	p.plane.setRefuse(nil)
	if err := p.client().Reload(t.Context()); err != nil {
		t.Errorf("once the port is free: %v", err)
	}
	if v := p.status().Snapshot.Version; v != 100 {
		t.Errorf("version %d runs", v)
	}
	p.stop()
}

func TestRoutesArePinned(t *testing.T) {
	p := newPoP(t)
	p.start()
	for _, err := range []error{
		p.client().PinRoute(t.Context(), "tokyo", []string{"osaka", "busan"}),
		p.client().PinRoute(t.Context(), "a/b c", nil),
		p.client().UnpinRoute(t.Context(), "tokyo"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := p.client().PinRoute(t.Context(), "nowhere", nil); err == nil || err.Error() != `pin the route to nowhere: no route to "nowhere"` {
		t.Errorf("got %v", err)
	}
	p.stop()
	if got := fmt.Sprint(p.plane.pins); got != "[pin tokyo[osaka busan] pin a/b c[] unpin tokyo]" {
		t.Errorf("the plane was told %s", got)
	}
}

func TestAPoPStartsFromItsLastGoodSnapshot(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(p *pop)
	}{
		{"when the file is broken", func(p *pop) { p.write("format: [") }},
		{"when the file is wrong", func(p *pop) { p.write("format: 2") }},
		{"when the file is gone", func(p *pop) { os.Remove(p.o.SnapshotFile) }},
		{"when the newer copy is damaged too", func(p *pop) {
			p.write("")
			if err := os.WriteFile(filepath.Join(p.o.StateDir, "last-good-1"), []byte("causeway-snapshot 1 9 00\n"), 0o600); err != nil {
				p.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPoP(t)
			p.write(p.text(7))
			p.start()
			p.stop()
			c.spoil(p)
			p.start()
			s := p.status().Snapshot
			if s.Version != 7 || s.Source != "last-good" || s.Refused == nil {
				t.Errorf("got %+v", s)
			}
			if !strings.Contains(p.log.String(), "STARTS FROM ITS LAST GOOD ONE") {
				t.Errorf("it was not said loudly:\n%s", p.log)
			}
			p.write(p.text(8))
			p.await("the mended file runs", func() bool { s := p.status().Snapshot; return s.Version == 8 && s.Source == "file" && s.Refused == nil })
			p.stop()
		})
	}
}

func TestAPoPStartsFromItsLastGoodSnapshotWhenTheMachineRefusesTheNewOne(t *testing.T) {
	p := newPoP(t)
	p.start()
	p.stop()
	p.write(p.text(100))
	plane := newFakePlane()
	plane.setRefuse(errors.New("port 500 is taken"))
	p.plane, p.log, p.result = plane, &lockedBuffer{}, make(chan error, 1)
	p.startWith(plane)
	p.await("it runs", func() bool {
		s, err := p.client().Status(t.Context())
		return err == nil && s.Snapshot.Version == 1 && s.Snapshot.Source == "last-good" && s.Snapshot.Refused != nil
	})
	p.stop()
}

func TestAPoPThatCannotStartSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(p *pop)
		want  string
	}{
		{"no snapshot", func(p *pop) { os.Remove(p.o.SnapshotFile) }, "read snapshot: open "},
		{"a wrong snapshot", func(p *pop) { p.write("formt: 1") }, "did you mean format?"},
		{"no key", func(p *pop) { os.Remove(p.o.KeyFile) }, "read private key: open "},
		{"a key everyone may read", func(p *pop) { os.Chmod(p.o.KeyFile, 0o644) }, "chmod 600"},
		{"another PoP's key", func(p *pop) {
			other, _ := keys.Generate()
			p.write(strings.Replace(p.text(1), p.key.Public().String(), other.Public().String(), 1))
		}, "start PoP seoul with its own key, or correct the snapshot"},
		{"its own key among the peers", func(p *pop) {
			p.write(fmt.Sprintf("format: 1\npop: {name: seoul, label: 2, overlay: [{name: a, bind: 192.0.2.1:4600}]}\npeers: [{name: tokyo, label: 3, public_key: %s}]", p.key.Public()))
		}, "with which this PoP was started; use the one of tokyo"},
		{"no state folder", func(p *pop) { p.o.StateDir = "" }, "no state folder was given"},
		{"a file where the state folder belongs", func(p *pop) { p.o.StateDir = p.o.KeyFile }, "make state folder"},
		{"a file where the socket belongs", func(p *pop) { p.o.Socket = p.o.SnapshotFile }, "something that is no socket is there"},
		{"a socket path that is too long", func(p *pop) { p.o.Socket = filepath.Join(p.o.StateDir, strings.Repeat("x", 120)) }, "a socket's path has at most 107 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPoP(t)
			c.spoil(p)
			if err := p.runOnce(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("a machine that refuses the first snapshot", func(t *testing.T) {
		p := newPoP(t)
		p.write(p.text(100))
		plane := newFakePlane()
		plane.setRefuse(errors.New("port 500 is taken"))
		p.log, p.result = &lockedBuffer{}, make(chan error, 1)
		p.startWith(plane)
		if err := <-p.result; err == nil || !strings.Contains(err.Error(), "port 500 is taken") {
			t.Errorf("got %v", err)
		}
		<-plane.ended
	})
}

func TestTwoPoPsCannotShareAFolderOrASocket(t *testing.T) {
	p := newPoP(t)
	p.start()
	second := *p
	if err := second.runOnce(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("the folder: %v", err)
	}
	third := *p
	third.o.StateDir, third.o.Socket = filepath.Join(t.TempDir(), "state"), p.client().Socket
	if err := third.runOnce(); !errors.Is(err, ErrInUse) {
		t.Errorf("the socket: %v", err)
	}
	p.stop()
	p.start() // what is given back can be had again
	p.stop()
}

func TestAFailingPlaneEndsThePoP(t *testing.T) {
	p := newPoP(t)
	p.start()
	p.plane.crash <- errors.New("epoll broke")
	if err := <-p.result; err == nil || !strings.Contains(err.Error(), "epoll broke") {
		t.Errorf("got %v", err)
	}
	p.start()
	p.plane.crash <- nil
	if err := <-p.result; err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("got %v", err)
	}
}

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	var messages []string
	next := func(want string) {
		t.Helper()
		buffer := make([]byte, 4096)
		l.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := l.Read(buffer)
		if err != nil || !strings.HasPrefix(string(buffer[:n]), want) {
			t.Fatalf("got %q, %v after %q; want %q", buffer[:n], err, messages, want)
		}
		messages = append(messages, string(buffer[:n]))
	}
	p := newPoP(t)
	p.o.Poll = time.Hour
	p.start()
	next("READY=1\nSTATUS=PoP seoul runs snapshot 1")
	p.write(p.text(2))
	p.signal <- syscall.SIGHUP
	next("RELOADING=1\nMONOTONIC_USEC=")
	next("READY=1\nSTATUS=PoP seoul runs snapshot 2")
	p.write("")
	p.signal <- syscall.SIGHUP
	next("RELOADING=1\n")
	next("READY=1\nSTATUS=PoP seoul runs snapshot 2; the file is refused")
	p.stop()
	next("STOPPING=1")
}

func TestAClientSaysWhenNobodyIsThere(t *testing.T) {
	c := Client{Socket: filepath.Join(t.TempDir(), "none")}
	_, err := c.Status(t.Context())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := c.Reload(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
