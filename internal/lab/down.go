package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"causeway/internal/lab/netns"
)

// Down takes a lab down by its name, from what is on disk: it ends the recorded
// processes, whatever else runs in the lab's namespaces, the namespaces, and
// the lab's files. A lab that is not there is no error, and doing it twice is none.
func Down(name string) error {
	if err := netns.CheckLab(name); err != nil {
		return err
	}
	s, err := readState(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// A state that cannot be read must not keep the namespaces.
		s = &state{Lab: name, dir: dirOf(name)}
	}
	var problems []error
	for _, p := range slices.Backward(s.Processes) {
		problems = append(problems, p.Stop(2*time.Second))
	}
	_, err = netns.Cleanup(netns.Prefix(name))
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("take lab %s down: %w", name, err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("take lab %s down: %w", name, err)
	}
	return nil
}

// Exists reports whether a lab of that name stands.
func Exists(name string) bool {
	_, err := readState(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// Close lets go of the lab; it stands on.
func (l *Lab) Close() {
	for _, ns := range l.nodes {
		ns.Close()
	}
	l.nodes = nil
}

// Down takes the lab down.
func (l *Lab) Down() error {
	l.Close()
	err := Down(l.Name)
	if err == nil {
		l.guard.release()
	}
	return err
}
