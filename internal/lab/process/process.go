// Package process starts the lab's programs and ends exactly those again.
//
// A program of a lab may outlive the command that started it (`lab up`), so it
// is remembered on disk by a Record: its pid together with the instant it was
// started. A pid that the kernel has given to somebody else since does not
// match any more and is left alone.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Record says which process is meant, for good.
type Record struct {
	Name  string `json:"name"` // "gateway/sh-gw", "pop/sh1"; unique in a lab
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat
}

// First is the priority of what must not wait for other work of the host,
// since that would look like the network's delay.
const First = -15

// Spec is a program to start.
type Spec struct {
	Name string
	Args []string // Args[0] is the program
	Env  []string // added to our own
	Log  string   // file that takes its output, appended to
	// In runs a function in the network namespace the program is to live in;
	// nil means ours.
	In func(func() error) error
	// Nice is the scheduling priority (setpriority(2)), -20 first to 19 last.
	Nice int
}

// Start starts the program in a session of its own, so that a Ctrl-C meant for
// us does not reach it. Its end is collected in the background while we live.
func Start(s Spec) (Record, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in := s.In
	if in == nil {
		in = func(f func() error) error { return f() }
	}
	if err := in(func() error { return atPriority(s.Nice, cmd.Start) }); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Name, err)
	}
	r := Record{Name: s.Name, PID: cmd.Process.Pid}
	r.Start, _, err = stat(r.PID)
	go cmd.Wait()
	if s.Nice != 0 {
		Prioritise(r.PID, s.Nice)
	}
	if err != nil {
		return Record{}, fmt.Errorf("start %s: it ended at once; see %s", s.Name, s.Log)
	}
	return r, nil
}

// Prioritise gives the session that a process leads a priority. Where the kernel groups
// sessions (sched(7), autogroup), a process' own priority says nothing against other
// sessions; its group's does.
func Prioritise(pid, nice int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(nice)), 0)
}

// atPriority calls start with this thread at a priority, which the process that
// it starts inherits.
func atPriority(nice int, start func() error) error {
	if nice == 0 {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
		return fmt.Errorf("set priority %d: %w", nice, err)
	}
	return errors.Join(start(), unix.Setpriority(unix.PRIO_PROCESS, 0, 0))
}

// Alive reports whether the recorded process still runs.
func (r Record) Alive() bool {
	start, state, err := stat(r.PID)
	return err == nil && start == r.Start && state != 'Z' && state != 'X'
}

// Signal sends sig; nil when the process is gone already. The process is held
// by a descriptor between the check and the signal, so it cannot be mistaken.
func (r Record) Signal(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signal %s (pid %d): %w", r.Name, r.PID, err)
	}
	defer unix.Close(fd)
	if !r.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal %s (pid %d): %w", r.Name, r.PID, err)
	}
	return nil
}

// Stop asks the process to end and kills it when it has not done so in time.
func (r Record) Stop(grace time.Duration) error {
	if err := r.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if r.gone(grace) {
		return nil
	}
	return r.Kill()
}

// Kill ends the process without a chance to say anything, and waits until it
// is gone.
func (r Record) Kill() error {
	if err := r.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !r.gone(5 * time.Second) {
		return fmt.Errorf("kill %s (pid %d): it is still there after 5s", r.Name, r.PID)
	}
	return nil
}

func (r Record) gone(within time.Duration) bool {
	for end := time.Now().Add(within); r.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// stat reads start time and state of a process (proc(5)). The name in the
// second field may hold anything, so reading begins after its last bracket.
func stat(pid int) (start uint64, state byte, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields after the name, want 20 or more", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0][0], err
}

// Self is the record of the calling process.
func Self(name string) (Record, error) {
	start, _, err := stat(os.Getpid())
	return Record{Name: name, PID: os.Getpid(), Start: start}, err
}
