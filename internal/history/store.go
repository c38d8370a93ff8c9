package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say how much a store keeps.
type Options struct {
	MaxBytes int64            // of all files, at their full size; default 512 MiB
	Log      *slog.Logger     // default: nowhere
	Now      func() time.Time // default time.Now
}

// Store keeps many series in a folder. It is safe for concurrent use.
type Store struct {
	dir     string
	options Options

	mu       sync.Mutex // guards what is below
	files    map[Key]*file
	bytes    int64
	setAside uint64
	said     time.Time // when it was last said that there is no room
}

const (
	// idle is how long a series must not have been written to make place for another.
	idle = time.Hour
	// asideKept is how many files that were set aside are kept, for who wants to look.
	asideKept = 8
	suffix    = ".history"
)

// Open opens the store in dir, which it makes. A file that cannot be read is set
// aside with a message. Only a folder that cannot be used at all is an error.
func Open(dir string, o Options) (*Store, error) {
	o.MaxBytes = cmp.Or(o.MaxBytes, 512<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	s := &Store{dir: dir, options: o, files: map[Key]*file{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			s.load(filepath.Join(dir, e.Name()))
		}
	}
	s.tidyAside()
	return s, nil
}

// load opens a file that is there.
func (s *Store) load(path string) {
	h, err := headAt(path)
	if err == nil {
		if err = h.key.check(); err == nil && filepath.Base(path) != fileName(h.key) {
			err = fmt.Errorf("%w: its name belongs to another series", errHead)
		}
	}
	var f *file
	if err == nil {
		f, err = openFile(path, headOf(h.key), s.options.Now())
	}
	if err != nil {
		s.aside(path, err)
		return
	}
	s.files[h.key] = f
	s.bytes += f.size()
}

func headAt(path string) (head, error) {
	f, err := os.Open(path)
	if err != nil {
		return head{}, err
	}
	defer f.Close()
	return readHead(f)
}

// fileName is a series' file.
func fileName(k Key) string {
	sum := sha256.Sum256([]byte(k.PoP + "\x00" + k.Kind + "\x00" + k.Name))
	return k.Kind + "-" + hex.EncodeToString(sum[:10]) + suffix
}

// aside moves a file out of the way.
func (s *Store) aside(path string, reason error) {
	s.setAside++
	to := fmt.Sprintf("%s.aside-%d", path, s.options.Now().UnixNano())
	if err := os.Rename(path, to); err != nil {
		s.options.Log.Error("a file of history cannot be read, nor moved out of the way; its series is not kept", "file", path, "reason", reason, "rename", err)
		return
	}
	s.options.Log.Warn("a file of history cannot be read; it was set aside, and a new one is begun", "file", path, "now", to, "reason", reason)
}

// tidyAside removes the oldest of the files that were set aside.
func (s *Store) tidyAside() {
	names, _ := filepath.Glob(filepath.Join(s.dir, "*.aside-*"))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(a[strings.LastIndex(a, ".aside-"):], b[strings.LastIndex(b, ".aside-"):])
	})
	for len(names) > asideKept {
		os.Remove(names[0])
		names = names[1:]
	}
}

// ErrFull is what Add returns for a new series when there is no room for it.
var ErrFull = errors.New("history: there is no room for another series")

// Add takes in the values of a series at an instant, in the order of its kind's
// columns; NaN is no value.
func (s *Store) Add(k Key, at time.Time, row []float64) error {
	if err := k.check(); err != nil {
		return err
	}
	if n := len(Kinds[k.Kind].Columns); len(row) != n {
		return fmt.Errorf("history: %v was given %d values; it has %d columns", k, len(row), n)
	}
	if at.Unix() <= 0 || at.Unix() > 1<<32-1 {
		return fmt.Errorf("history: the clock says %v, which no slot can have", at)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.fileOf(k)
	if err != nil {
		return err
	}
	if err := f.add(at, row); err != nil {
		return fmt.Errorf("history: write %v: %w", k, err)
	}
	return nil
}

func (s *Store) fileOf(k Key) (*file, error) {
	if s.files == nil {
		return nil, os.ErrClosed
	}
	if f := s.files[k]; f != nil {
		return f, nil
	}
	h := headOf(k)
	if !s.makeRoom(h.size()) {
		if now := s.options.Now(); now.Sub(s.said) > idle {
			s.said = now
			s.options.Log.Warn("history has no room for another series; those that are kept go on", "series", k, "kept", len(s.files), "bytes", s.options.MaxBytes)
		}
		return nil, ErrFull
	}
	path := filepath.Join(s.dir, fileName(k))
	f, err := openFile(path, h, s.options.Now())
	if errors.Is(err, errHead) || errors.Is(err, errOther) {
		s.aside(path, err)
		f, err = openFile(path, h, s.options.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("history: open %v: %w", k, err)
	}
	s.files[k] = f
	s.bytes += f.size()
	return f, nil
}

// makeRoom removes series that nobody has written to for long, the oldest first.
func (s *Store) makeRoom(need int64) bool {
	for s.bytes+need > s.options.MaxBytes {
		var oldest *file
		for _, f := range s.files {
			if oldest == nil || f.written.Before(oldest.written) {
				oldest = f
			}
		}
		if oldest == nil || s.options.Now().Sub(oldest.written) < idle {
			return false
		}
		oldest.f.Close()
		os.Remove(filepath.Join(s.dir, fileName(oldest.key)))
		delete(s.files, oldest.key)
		s.bytes -= oldest.size()
	}
	return true
}

// List returns the keys of all series, sorted.
func (s *Store) List() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]Key, 0, len(s.files))
	for k := range s.files {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.PoP, b.PoP), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return keys
}

// Stats returns how many series there are, and how many files were set aside.
func (s *Store) Stats() (series int, setAside uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files), s.setAside
}

// Close writes what is open and closes all files. What comes after is refused.
func (s *Store) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		err = errors.Join(err, f.close())
	}
	s.files = nil
	return err
}
