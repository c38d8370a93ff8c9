package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse says that another process has the folder or the socket.
var ErrInUse = errors.New("in use")

// Lock makes dir, mode 0700, and takes it for this process alone; what says what
// runs in it ("PoP"). The kernel gives it back when the process ends, however it
// does; unlock does it earlier.
func Lock(dir, what string) (unlock func(), err error) {
	if dir == "" {
		return nil, fmt.Errorf("start %s: no state folder was given", what)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start %s: make state folder: %w", what, err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: lock state folder: %w", what, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("start %s: lock %s: %w", what, path, err)
		}
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("start %s: state folder %s is %w by another %s, process %s",
			what, dir, ErrInUse, what, cmp.Or(strings.TrimSpace(string(holder)), "unknown"))
	}
	// Who holds it, for the message above. Losing this loses nothing else.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	}
	return func() { f.Close() }, nil
}
