package agent

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"syscall"

	"causeway/internal/report"
)

// Process says what this process uses. What the system does not tell stays zero.
func Process() report.Runtime {
	r := report.Runtime{PID: os.Getpid(), Goroutines: runtime.NumGoroutine()}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap) // unlike ReadMemStats, stops nothing
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
		r.CPUSeconds = seconds(usage.Utime) + seconds(usage.Stime)
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.OpenFiles = len(files) - 1 // without the one that reads this
	}
	return r
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
