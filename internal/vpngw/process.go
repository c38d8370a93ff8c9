package vpngw

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"syscall"

	"causeway/internal/report"
	"causeway/internal/vpngw/charon"
)

// process says what this process uses. What the system does not tell stays zero.
func process() report.Runtime {
	r := report.Runtime{PID: os.Getpid(), Goroutines: runtime.NumGoroutine()}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	if heap[0].Value.Kind() == metrics.KindUint64 {
		r.HeapBytes = heap[0].Value.Uint64()
	}
	var total, resident uint64
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(statm), &total, &resident); err == nil {
			r.RSSBytes = resident * uint64(os.Getpagesize())
		}
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		r.CPUSeconds = float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.OpenFiles = len(files) - 1 // without the one that reads this
	}
	return r
}

// monotonicNow says since when a reload is under way, as systemd wants it
// (Type=notify-reload).
func monotonicNow() string {
	return fmt.Sprintf("MONOTONIC_USEC=%d", charon.Monotonic().Microseconds())
}
