package netbench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is CPU time, user and system.
type Usage struct {
	Process time.Duration // of programs, their sending included
	NAPI    time.Duration // of the kernel threads that receive for them
}

// Sum is all of it.
func (u Usage) Sum() time.Duration { return u.Process + u.NAPI }

// Sub is what was used between before and u.
func (u Usage) Sub(before Usage) Usage {
	return Usage{u.Process - before.Process, u.NAPI - before.NAPI}
}

// Payer is who pays for a forwarder: its process, if it has one, and its ports.
type Payer struct {
	PID   int // 0: the kernel forwards
	Ports []*Port
}

// Usage returns what the payer has used since it began.
func (p *Payer) Usage() (u Usage, err error) {
	if p.PID != 0 {
		if u.Process, err = processTime(p.PID); err != nil {
			return u, err
		}
	}
	for _, port := range p.Ports {
		for _, thread := range port.napi {
			t, err := threadTime(thread, thread)
			if err != nil {
				return u, err
			}
			u.NAPI += t
		}
	}
	return u, nil
}

// processTime adds up a process's threads. Those that ended are not in it: a Go
// program's and nginx's do not, once they run.
func processTime(pid int) (sum time.Duration, err error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	for _, e := range tasks {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		t, err := threadTime(pid, tid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// threadTime is the scheduler's own count, in nanoseconds.
func threadTime(pid, tid int) (time.Duration, error) {
	text, err := readFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of thread %d (the kernel needs CONFIG_SCHED_INFO): %w", tid, err)
	}
	first, _, _ := strings.Cut(text, " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(ns), err
}

// Busy is how much CPU time the whole machine has used since it started, all cores
// and all programs. It grows in steps of 10 ms.
func Busy() (time.Duration, error) {
	text, err := readFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(text, "\n")
	var ticks uint64
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		// user nice system [idle iowait] irq softirq; what follows is counted in
		// these already, or was never given to this machine (steal).
		if i < 3 || i == 5 || i == 6 {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// First makes the threads of a process, or a kernel thread, run before others, so
// that what else the machine does disturbs less. It changes nobody's CPU time.
func First(pid int) error {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return fmt.Errorf("priority of %d: %w", pid, err)
	}
	for _, e := range tasks {
		if tid, err := strconv.Atoi(filepath.Base(e.Name())); err == nil {
			if err := unix.Setpriority(unix.PRIO_PROCESS, tid, priority); err != nil && err != unix.ESRCH {
				return fmt.Errorf("priority of %d: %w", tid, err)
			}
		}
	}
	return nil
}

// priority is setpriority(2)'s, as the lab gives its PoPs.
const priority = -15
