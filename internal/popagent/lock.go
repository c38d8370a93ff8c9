package popagent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse is what Run returns when another process has the state folder or the socket.
var ErrInUse = errors.New("in use")

// lockDir makes dir, mode 0700, and takes it for this process alone. The kernel
// gives it back when the process ends, however it does; unlock does it earlier.
func lockDir(dir string) (unlock func(), err error) {
	if dir == "" {
		return nil, errors.New("start PoP: no state folder was given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start PoP: make state folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start PoP: lock state folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("start PoP: lock %s: %w", path, err)
		}
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("start PoP: state folder %s is %w by another PoP, process %s",
			dir, ErrInUse, orUnknown(strings.TrimSpace(string(holder))))
	}
	// Who holds it, for the message above. Losing this loses nothing else.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	}
	return func() { f.Close() }, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
