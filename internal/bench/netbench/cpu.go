package netbench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	times, err := ThreadTimes(pid)
	for _, t := range times {
		sum += t
	}
	return sum, err
}

// ThreadTimes is the CPU time of each of a process's threads, by its id.
func ThreadTimes(pid int) (map[int]time.Duration, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	times := map[int]time.Duration{}
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
			return nil, err
		}
		times[tid] = t
	}
	return times, nil
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

// Core is where a line runs, all of it: generator, forwarders, sink. Then nothing is
// woken across cores, which in a virtual machine costs more than forwarding a packet,
// and the one who runs goes on until it has nothing to do, as under full load. The
// machine's other programs have the other cores.
type Core int

// Anywhere is every core.
const Anywhere Core = -1

// LastCore is the highest core that this process may use.
func LastCore() (Core, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("which cores there are: %w", err)
	}
	last := 0
	for cpu := range 64 * len(set) {
		if set.IsSet(cpu) {
			last = cpu
		}
	}
	return Core(last), nil
}

// TakePrompt moves a thread to the core, to run as soon as it is woken: before everything
// that is not prompt, and before those of a lower rank, from 1 to 99. What waits is then measured,
// and not what else the machine does.
func (c Core) TakePrompt(tid, rank int) error {
	if err := c.schedule(tid, prompt(rank)); err != nil {
		return fmt.Errorf("move thread %d to core %d: %w", tid, c, err)
	}
	return nil
}

// Take moves a process, or a kernel thread, to the core for good.
func (c Core) Take(pid int) error {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return fmt.Errorf("move %d to core %d: %w", pid, c, err)
	}
	for _, e := range tasks {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			if err := c.schedule(tid, batchWork); err != nil && err != unix.ESRCH {
				return fmt.Errorf("move %d to core %d: %w", pid, c, err)
			}
		}
	}
	return nil
}

// takeThread moves a thread. Its policy is "batch": what is woken does not interrupt
// who runs.
func (c Core) takeThread(tid int) error { return c.schedule(tid, batchWork) }

var batchWork = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: priority}

// prompt is for work that comes before all that is not. Round robin, not first in first out: a Go
// program has several threads on the core, and one that spins until another has done its part
// would keep it from doing so for ever.
func prompt(rank int) unix.SchedAttr {
	return unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: uint32(rank)}
}

func (c Core) schedule(tid int, policy unix.SchedAttr) error {
	var set unix.CPUSet
	if c == Anywhere {
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			return err
		}
	} else {
		set.Set(int(c))
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return err
	}
	return unix.SchedSetAttr(tid, &policy, 0)
}

// priority is setpriority(2)'s, as the lab gives its PoPs: other programs disturb less.
const priority = -15
