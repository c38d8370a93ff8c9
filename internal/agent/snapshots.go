package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"causeway/internal/report"
	"causeway/internal/sdnotify"
	"causeway/internal/strictyaml"
)

// Snapshots makes a daemon do what a snapshot file says. Each snapshot is taken
// whole or refused whole; while one is refused, what ran before goes on. S is a
// snapshot as it was read. The fields are set before its first method is called.
//
// First, Begin and Follow are called in this order, from one goroutine at a time:
// they alone call Take. All other methods may be called from any.
type Snapshots[S any] struct {
	What string // what messages call the daemon, "PoP"
	File string // read at the start and whenever it changes
	Dir  string // of the copy that is kept
	Log  *slog.Logger

	// Judge says what the file's content is, or everything that is wrong with it.
	Judge func(data []byte) (S, error)
	// Name returns the daemon's name and the version that s gives.
	Name func(s S) (name string, version uint64)
	// Take makes the daemon do what s says, whole or not at all. Its errors are of
	// this machine: they become an ApplyError, and it is tried again after Retry.
	Take func(ctx context.Context, s S) error

	Poll   time.Duration    // how often to look whether the file changed; default 250 ms
	Retry  time.Duration    // after this machine refused a snapshot; default 5 s
	Signal <-chan os.Signal // when not nil, each asks for a reload
	News   func()           // when not nil, called when Report would say something else

	reloads chan reload
	ended   chan struct{} // closed when Follow has returned
	once    sync.Once

	// Of the goroutine that takes.
	seen    sight     // the file, just before it was last read
	retryAt time.Time // when to try again what this machine refused; zero: not

	mu      sync.Mutex // guards what is below
	running *Loaded[S]
	since   time.Time
	refused *report.Refusal
}

// Loaded is a snapshot that was read and judged, and the bytes it was made of.
type Loaded[S any] struct {
	Data     []byte
	Snapshot S
	Kept     bool      // from our own copy
	Saved    time.Time // when that copy was written
}

// reload is a request to read the file again; done gets the outcome.
type reload struct {
	why  string
	done chan<- error
}

const (
	lookEvery  = 250 * time.Millisecond // at the file
	retryAfter = 5 * time.Second        // what this machine refused: an address may have come, a port may be free
)

// ApplyError is a snapshot that is right in itself but that this machine cannot
// carry now: an address that is not here, a port that is taken.
type ApplyError struct {
	File string
	Err  error
}

func (e *ApplyError) Error() string { return fmt.Sprintf("apply %s: %v", e.File, e.Err) }

func (e *ApplyError) Unwrap() error { return e.Err }

// ReadFile reads a snapshot file, and no more of it than is needed to refuse one
// that is too large.
func ReadFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return data, nil
}

func (s *Snapshots[S]) prepare() {
	s.once.Do(func() {
		s.Poll, s.Retry = cmp.Or(s.Poll, lookEvery), cmp.Or(s.Retry, retryAfter)
		if s.News == nil {
			s.News = func() {}
		}
		s.reloads, s.ended = make(chan reload), make(chan struct{})
	})
}

// First returns what to start from: the file, or the last good snapshot when the
// file cannot be used.
func (s *Snapshots[S]) First() (*Loaded[S], error) {
	s.prepare()
	first, err := s.read()
	if err == nil {
		return first, nil
	}
	kept, keptErr := s.readKept()
	if keptErr != nil {
		s.Log.Debug("there is no last good snapshot", "reason", keptErr)
		return nil, err
	}
	s.fallBack(err, kept)
	return kept, nil
}

// Begin takes the first snapshot, or the last good one when this machine refuses
// the first.
func (s *Snapshots[S]) Begin(ctx context.Context, first *Loaded[S]) error {
	err := s.apply(ctx, first)
	if err == nil || first.Kept {
		return err
	}
	kept, keptErr := s.readKept()
	if keptErr != nil || string(kept.Data) == string(first.Data) {
		return err
	}
	retryAt := s.retryAt
	if keptErr := s.apply(ctx, kept); keptErr != nil {
		return err
	}
	s.retryAt = retryAt
	s.fallBack(err, kept)
	return nil
}

func (s *Snapshots[S]) fallBack(err error, kept *Loaded[S]) {
	s.Refuse(err)
	_, version := s.Name(kept.Snapshot)
	s.Log.Error("the snapshot file cannot be used, so the "+s.What+" STARTS FROM ITS LAST GOOD ONE; mend the file, it is watched",
		"file", s.File, "reason", err, "last_good_version", version, "saved", kept.Saved)
}

// Follow reads the file again whenever something asks for it or it changes, until
// ctx ends.
//
// Changes are found by looking (stat), not by inotify: that also works where a
// file is replaced by rename, through links, on network file systems and when
// its folder is made anew, and costs four system calls a second.
func (s *Snapshots[S]) Follow(ctx context.Context) {
	defer close(s.ended)
	ticker := time.NewTicker(s.Poll)
	defer ticker.Stop()
	settling := s.seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Signal:
			_ = s.reload(ctx, "signal")
		case r := <-s.reloads:
			r.done <- s.reload(ctx, r.why)
		case <-ticker.C:
			now := look(s.File)
			switch {
			case now != settling: // it may still be being written
				settling = now
			case now != s.seen:
				_ = s.reload(ctx, "file changed")
			case !s.retryAt.IsZero() && time.Now().After(s.retryAt):
				_ = s.reload(ctx, "trying again")
			}
		}
	}
}

// Reload has Follow read the file now, and returns what came of it; why is for
// the log.
func (s *Snapshots[S]) Reload(ctx context.Context, why string) error {
	done := make(chan error, 1) // not to hold up Follow when nobody waits any more
	select {
	case s.reloads <- reload{why, done}:
	case <-s.ended:
		return errors.New("the " + s.What + " is stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload reads the file and takes it. What runs goes on when it fails.
func (s *Snapshots[S]) reload(ctx context.Context, why string) error {
	sdnotify.Reloading()
	defer func() { sdnotify.Send("READY=1", "STATUS="+s.Sentence()) }()
	l, err := s.read()
	if err == nil && s.runs(l.Data) {
		s.accept()
		s.retryAt = time.Time{}
		s.Log.Info("snapshot is unchanged", "because", why, "version", s.version(l))
		return nil
	}
	if err == nil {
		if before := s.runningVersion(); s.version(l) < before {
			s.Log.Warn("snapshot is older than the one that runs; it is applied all the same", "running", before, "version", s.version(l))
		}
		err = s.apply(ctx, l)
	}
	if err != nil {
		if s.Refuse(err) { // once for each reason, not every five seconds
			s.Log.Error("snapshot refused; what ran before goes on", "because", why, "running", s.runningVersion(), "reason", err)
		}
		return err
	}
	s.Log.Info("snapshot applied", "because", why, "version", s.version(l))
	return nil
}

// apply has the daemon take a snapshot and, when it does, keeps it.
func (s *Snapshots[S]) apply(ctx context.Context, l *Loaded[S]) error {
	s.retryAt = time.Time{}
	if err := s.Take(ctx, l.Snapshot); err != nil {
		s.retryAt = time.Now().Add(s.Retry)
		return &ApplyError{File: s.File, Err: err}
	}
	s.took(l)
	if l.Kept {
		return nil
	}
	if err := (Kept{s.Dir}).Save(l.Data); err != nil {
		s.Log.Warn("the snapshot runs, but could not be kept for the next start", "dir", s.Dir, "reason", err)
	}
	return nil
}

func (s *Snapshots[S]) read() (*Loaded[S], error) {
	s.seen = look(s.File)
	data, err := ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	return s.judge(&Loaded[S]{Data: data})
}

func (s *Snapshots[S]) readKept() (*Loaded[S], error) {
	data, saved, err := Kept{s.Dir}.Load()
	if err != nil {
		return nil, err
	}
	return s.judge(&Loaded[S]{Data: data, Kept: true, Saved: saved})
}

func (s *Snapshots[S]) judge(l *Loaded[S]) (_ *Loaded[S], err error) {
	if l.Snapshot, err = s.Judge(l.Data); err != nil {
		return nil, err
	}
	return l, nil
}
