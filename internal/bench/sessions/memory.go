package sessions

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// Result is what one end's sessions take.
type Result struct {
	Role     string  `json:"role"` // ingress, egress
	Sessions int     `json:"sessions"`
	Heap     uint64  `json:"heap_bytes"` // what lives on the heap because of them
	PerEach  float64 `json:"bytes_per_session"`
	Resident float64 `json:"resident_per_session"` // what the process has of the machine's memory, per session
}

// Measure opens n sessions (at most 1,000,000), each of a client with a prefix of its
// own, over 64 endpoints, has IKE and ESP go through them both ways, and returns what
// they take at either end.
func Measure(n int) ([]Result, error) {
	if n < 1 || n > MaxSessions {
		return nil, fmt.Errorf("%d sessions: want 1 to %d", n, MaxSessions)
	}
	w, err := newWorld(n)
	if err != nil {
		return nil, err
	}
	if err := w.openAll(); err != nil {
		return nil, err
	}
	return w.weigh()
}

// MaxSessions is how many there are clients for.
const MaxSessions = 1_000_000

// weigh throws one end after the other away: what the process shrinks by was that
// end's. What an engine without sessions takes is not theirs.
func (w *world) weigh() ([]Result, error) {
	empty, err := newWorld(1)
	if err != nil {
		return nil, err
	}
	if err := empty.openAll(); err != nil {
		return nil, err
	}
	list := make([]Result, 2)
	for i := range list {
		list[i] = Result{Role: w.ends()[i].role, Sessions: w.n}
		full := w.dropEnd(i)
		bare := empty.dropEnd(i)
		list[i].Heap = full.heap - min(full.heap, bare.heap)
		list[i].PerEach = float64(list[i].Heap) / float64(w.n)
		list[i].Resident = max(0, (full.resident-bare.resident)/float64(w.n))
	}
	return list, nil
}

func (w *world) ends() [2]*end { return [...]*end{w.ingress, w.egress} }

type weight struct {
	heap     uint64
	resident float64
}

// dropEnd throws an end away and returns what it took.
func (w *world) dropEnd(i int) weight {
	before := weighing()
	*[...]**end{&w.ingress, &w.egress}[i] = nil
	after := weighing()
	runtime.KeepAlive(w)
	return weight{heap: before.heap - min(before.heap, after.heap), resident: before.resident - after.resident}
}

// weighing is what lives on the heap, and what the process has of memory.
func weighing() weight {
	runtime.GC()
	debug.FreeOSMemory() // what finalizers and pools kept, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return weight{heap: m.HeapAlloc, resident: resident()}
}

func resident() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0
	}
	return float64(pages) * float64(os.Getpagesize())
}
