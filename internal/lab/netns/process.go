package netns

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Start starts cmd inside the namespace. The process is killed when ours dies,
// however that happens, and when the namespace is closed. (The kernel sends the death
// signal when the parent's thread ends, so each namespace keeps one thread for starting.)
// Its own children are not reached by that; give cmd a Setpgid or a Cancel
// where it has any. Wait for it as usual.
func (ns *NS) Start(cmd *exec.Cmd) error {
	s, err := ns.starter()
	if err != nil {
		return err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	return ns.failed(s.do(cmd.Start), "start %s", cmd.Path)
}

// Run starts cmd as Start does and waits for it.
func (ns *NS) Run(cmd *exec.Cmd) error {
	if err := ns.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// starter returns the namespace's starting thread, made at the first call.
func (ns *NS) starter() (*spawner, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.closed {
		return nil, fmt.Errorf("%s: the namespace is closed", ns.name)
	}
	if ns.spawner == nil {
		s, err := newSpawner(ns.handle)
		if err != nil {
			return nil, fmt.Errorf("enter network namespace %s: %w", ns.name, err)
		}
		ns.spawner = s
	}
	return ns.spawner, nil
}

// spawner is a thread that lives inside a namespace, does what it is asked to,
// and ends with stop.
type spawner struct {
	jobs chan func()
	quit chan struct{}
	gone chan struct{} // closed when the thread takes no more jobs
}

func newSpawner(where vns.NsHandle) (*spawner, error) {
	s := &spawner{jobs: make(chan func()), quit: make(chan struct{}), gone: make(chan struct{})}
	ready := make(chan error, 1)
	go s.begin(where, ready)
	return s, <-ready
}

// begin takes a thread other than the process's first, which the runtime never
// ends, so that its children would outlive it.
func (s *spawner) begin(where vns.NsHandle, ready chan error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		onAnother := make(chan error, 1)
		go s.begin(where, onAnother)
		ready <- <-onAnother
		runtime.UnlockOSThread()
		return
	}
	defer close(s.gone)
	if err := vns.Set(where); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for {
		select {
		case job := <-s.jobs:
			job()
		case <-s.quit:
			return // still locked: the thread ends
		}
	}
}

// do calls f on the thread.
func (s *spawner) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case s.jobs <- func() { result <- f() }:
		return <-result
	case <-s.gone:
		return fmt.Errorf("the namespace is closed")
	}
}

func (s *spawner) stop() {
	close(s.quit)
	<-s.gone
}
