package wan

import (
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// quietLimit is how large the Go heap may grow with collection off.
const quietLimit = 512 << 20

// quiet keeps the Go runtime out of the loop's way: no collection below
// quietLimit, and a place for the other goroutines beside the one that the loop
// never gives up. It returns what undoes that.
func quiet() (undo func()) {
	percent := debug.SetGCPercent(-1)
	limit := debug.SetMemoryLimit(quietLimit)
	procs := runtime.GOMAXPROCS(0)
	if procs < 3 {
		runtime.GOMAXPROCS(3)
	}
	return func() {
		if procs < 3 {
			runtime.GOMAXPROCS(procs)
		}
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

// beRealtime gives this thread real-time priority and exact timers. It reports whether
// the priority was granted.
func beRealtime(priority int) bool {
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if priority < 1 {
		return false
	}
	const fifo, resetOnFork = 1, 0x40000000 // threads that come from this one are ordinary
	param := struct{ priority int32 }{int32(priority)}
	_, _, err := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, fifo|resetOnFork, uintptr(unsafe.Pointer(&param)))
	return err == 0
}
