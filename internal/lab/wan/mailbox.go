package wan

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mailbox brings work to the loop's thread from other goroutines.
type mailbox struct {
	bell int // an eventfd that the loop listens to

	mu     sync.Mutex
	jobs   []func()
	closed bool

	waiting atomic.Bool
}

var errStopped = errors.New("the emulator has stopped")

// do has f called on the loop's thread, and returns when it was.
func (m *mailbox) do(f func()) error {
	done := make(chan error, 1)
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return errStopped
	}
	m.jobs = append(m.jobs, func() { f(); done <- nil })
	m.waiting.Store(true)
	m.ring()
	m.mu.Unlock()
	return <-done
}

func (m *mailbox) ring() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(m.bell, one[:])
}

// deliver does what has come; the loop calls it.
func (m *mailbox) deliver() {
	if !m.waiting.Load() {
		return
	}
	var count [8]byte
	unix.Read(m.bell, count[:])
	m.mu.Lock()
	jobs := m.jobs
	m.jobs = nil
	m.waiting.Store(false)
	m.mu.Unlock()
	for _, job := range jobs {
		job()
	}
}

// close ends the mailbox after the loop: what is in it is done, what comes is refused.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.deliver()
}
