package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway/internal/wholefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// thing is a daemon whose snapshot is a number; it refuses what the test says.
type thing struct {
	t    *testing.T
	s    *Snapshots[uint64]
	ctx  context.Context
	stop func()

	mu     sync.Mutex
	taken  []uint64
	refuse error
}

func newThing(t *testing.T) *thing {
	t.Helper()
	dir := t.TempDir()
	d := &thing{t: t}
	d.s = &Snapshots[uint64]{
		What: "thing", File: filepath.Join(dir, "snapshot"), Dir: dir, Log: slog.New(slog.DiscardHandler),
		Poll: 2 * time.Millisecond, Retry: 10 * time.Millisecond, Take: d.take, Judge: number,
		Name: func(n uint64) (string, uint64) { return "it", n },
	}
	var cancel func()
	d.ctx, cancel = context.WithCancel(context.Background())
	d.stop = cancel
	t.Cleanup(func() { d.stop() })
	return d
}

func number(data []byte) (n uint64, err error) {
	if _, err = fmt.Sscan(string(data), &n); err != nil {
		err = fmt.Errorf("%q is no number", data)
	}
	return n, err
}

func (d *thing) take(_ context.Context, n uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return d.refuse
	}
	d.taken = append(d.taken, n)
	return nil
}

func (d *thing) refusing(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = err
}

func (d *thing) has() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprint(d.taken)
}

func (d *thing) write(text string) {
	d.t.Helper()
	if err := wholefile.Write(d.s.File, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// start begins and follows the file, until stop.
func (d *thing) start() {
	d.t.Helper()
	first, err := d.s.First()
	if err == nil {
		err = d.s.Begin(d.ctx, first)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(d.ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); d.s.Follow(ctx) }()
	d.stop = func() { cancel(); <-ended }
}

func (d *thing) until(what string, ok func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("waited in vain until %s; it took %s, and says %+v", what, d.has(), d.s.Report())
		}
	}
}

func TestAFileIsFollowed(t *testing.T) {
	d := newThing(t)
	d.write("1")
	d.start()
	d.write("2")
	d.until("2 is taken", func() bool { return d.has() == "[1 2]" })
	d.write("rubbish")
	d.until("rubbish is refused", func() bool {
		r := d.s.Report()
		return r.Refused != nil && strings.Contains(r.Refused.Reason, "rubbish")
	})
	if got := d.s.Sentence(); got != "thing it runs snapshot 2; the file is refused" {
		t.Error(got)
	}
	if err := d.s.Reload(t.Context(), "asked for"); err == nil || !strings.Contains(err.Error(), "rubbish") {
		t.Errorf("asked to read it again: %v", err)
	}
	d.write("2")
	d.until("what runs is back", func() bool { return d.s.Report().Refused == nil })
	d.stop()
	if err := d.s.Reload(t.Context(), "asked for"); err == nil || !strings.Contains(err.Error(), "the thing is stopping") {
		t.Errorf("asked when it has stopped: %v", err)
	}
	if d.has() != "[1 2]" {
		t.Errorf("it took %s", d.has())
	}
}

func TestASignalHasTheFileRead(t *testing.T) {
	d := newThing(t)
	signal := make(chan os.Signal, 1)
	d.s.Poll, d.s.Signal = time.Hour, signal
	d.write("1")
	d.start()
	d.write("2")
	signal <- syscall.SIGHUP
	d.until("2 is taken", func() bool { return d.has() == "[1 2]" })
	d.stop()
}

func TestWhatTheMachineRefusesIsTriedAgain(t *testing.T) {
	d := newThing(t)
	d.write("1")
	d.start()
	d.refusing(errors.New("no such address"))
	d.write("2")
	d.until("2 is refused", func() bool { return d.s.Report().Refused != nil })
	var machine *ApplyError
	if err := d.s.Reload(t.Context(), "asked for"); !errors.As(err, &machine) {
		t.Errorf("got %v, which is no ApplyError", err)
	}
	d.refusing(nil)
	d.until("2 is taken", func() bool { return d.has() == "[1 2]" && d.s.Report().Refused == nil })
	d.stop()
}

func TestItStartsFromTheLastGoodSnapshot(t *testing.T) {
	for name, spoil := range map[string]func(d *thing){
		"when the file is gone":           func(d *thing) { os.Remove(d.s.File) },
		"when it is wrong":                func(d *thing) { d.write("rubbish") },
		"when this machine refuses it":    func(d *thing) { d.write("8"); d.s.Take = d.onlySeven },
		"when it is too large to be read": func(d *thing) { d.write(strings.Repeat("x", 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newThing(t)
			d.write("7")
			d.start()
			d.stop()
			again := newThing(t)
			again.s.File, again.s.Dir = d.s.File, d.s.Dir
			spoil(again)
			again.start()
			if r := again.s.Report(); r.Version != 7 || r.Source != "last-good" || r.Refused == nil {
				t.Errorf("it says %+v", r)
			}
			if got := again.s.Sentence(); got != "thing it runs snapshot 7, its last good one; the file is refused" {
				t.Error(got)
			}
			again.stop()
		})
	}
}

func (d *thing) onlySeven(ctx context.Context, n uint64) error {
	if n != 7 {
		return errors.New("port 500 is taken")
	}
	return d.take(ctx, n)
}

func TestWithNothingToStartFromItSaysWhatIsWrongWithTheFile(t *testing.T) {
	d := newThing(t)
	if _, err := d.s.First(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	d.write("rubbish")
	if _, err := d.s.First(); err == nil || !strings.Contains(err.Error(), "rubbish") {
		t.Errorf("with a wrong one: %v", err)
	}
	if got := d.s.Report(); got.Version != 0 || got.File != d.s.File {
		t.Errorf("while nothing runs it says %+v", got)
	}
}

func TestADeadSocketIsReplacedAndAFileIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s, err := Listen(path, "thing", http.NewServeMux(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v; want mode 0600", info, err)
	}
	s.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, "thing", http.NewServeMux(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("in place of a file: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Error("the file was touched")
	}
}

func TestASocketAnswersAndRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tell", func(w http.ResponseWriter, _ *http.Request) { Tell(w, map[string]int{"n": 3}) })
	mux.HandleFunc("PUT /do", func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 3 {
			Answer(w, errors.New("no body"))
			return
		}
		Answer(w, nil)
	})
	s, err := Listen(path, "thing", mux, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); s.Serve() }()
	if _, err := Listen(path, "thing", mux, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if got, err := Call(t.Context(), path, http.MethodGet, "/tell", nil); err != nil || !strings.Contains(string(got), `"n": 3`) {
		t.Errorf("told %s, %v", got, err)
	}
	if _, err := Call(t.Context(), path, http.MethodPut, "/do", nil); err == nil || err.Error() != "no body" {
		t.Errorf("got %v", err)
	}
	if _, err := Call(t.Context(), path, http.MethodPut, "/do", "something"); err != nil {
		t.Error(err)
	}
	s.Close()
	<-served
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if _, err := Call(t.Context(), path, http.MethodGet, "/tell", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("asked when it is gone: %v", err)
	}
}
