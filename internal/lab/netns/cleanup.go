package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long a process has between the asking signal and the killing one.
const grace = 2 * time.Second

// Cleanup ends the processes inside every namespace that begins with prefix,
// and deletes these namespaces; it returns their names. It is for what a lab that
// was killed has left. prefix must be one lab's, as Prefix returns it.
func Cleanup(prefix string) ([]string, error) {
	lab := strings.TrimSuffix(strings.TrimPrefix(prefix, "cw-"), "-")
	if CheckLab(lab) != nil || Prefix(lab) != prefix {
		return nil, fmt.Errorf("clean up namespaces %q: want the prefix of one lab, cw-<lab>-", prefix)
	}
	names, err := List(prefix)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, name := range names {
		problems = append(problems, endProcesses(name), Delete(name))
	}
	return names, errors.Join(problems...)
}

// Pids returns the processes whose network namespace is the named one.
func Pids(name string) ([]int, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	var want unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, name), &want); err != nil {
		return nil, fmt.Errorf("processes in network namespace %s: %w", name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("processes in network namespace %s: %w", name, err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(filepath.Join("/proc", e.Name(), "ns/net"), &st) != nil {
			continue // gone meanwhile
		}
		if st.Ino == want.Ino && st.Dev == want.Dev {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// endProcesses asks, waits for up to grace, and kills.
func endProcesses(name string) error {
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		pids, err := othersIn(name)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			unix.Kill(pid, signal)
		}
		for end := time.Now().Add(grace); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if pids, err = othersIn(name); err != nil || len(pids) == 0 {
				return err
			}
		}
	}
	pids, err := othersIn(name)
	if err == nil && len(pids) > 0 {
		err = fmt.Errorf("end processes in network namespace %s: %v do not end", name, pids)
	}
	return err
}

// othersIn is Pids without ourselves and without zombies' empty entries.
func othersIn(name string) ([]int, error) {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, name), &st); err == unix.ENOENT {
		return nil, nil
	} else if err == nil && st.Dev != nsfsDevice() {
		return nil, nil // a bare file, left by a crash half-way
	}
	pids, err := Pids(name)
	others := pids[:0]
	for _, pid := range pids {
		if pid != os.Getpid() {
			others = append(others, pid)
		}
	}
	return others, err
}

func nsfsDevice() uint64 {
	var st unix.Stat_t
	unix.Stat("/proc/self/ns/net", &st)
	return st.Dev
}
