// Package netbench is the hardware of the forwarding benchmarks: veth cables
// between namespaces that behave like network cards, a generator that sends
// single packets as from a line, a sink that costs next to nothing, and the
// kernel's own account of who used how much CPU.
//
// What is measured with it, and how results are judged, is package forward's.
//
// How CPU time is told apart. Every cable's two ends poll in kernel threads of
// their own (threaded NAPI), so receiving on one device is one thread's time:
// what the forwarder's devices cost is added to its processes, what the sink's
// device costs is not, and what other programs of the machine do is seen
// nowhere. Sending is paid by who sends, as in any kernel. Interrupts (timer,
// wake-ups from the other core) are charged to whomever they hit.
package netbench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// readFile reads a small file of /proc or /sys and trims it.
func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// gauge is a number that the kernel shows in a file which stays open.
type gauge struct {
	f   *os.File
	buf [32]byte
}

// read returns the number now.
func (g *gauge) read() (uint64, error) {
	n, err := g.f.ReadAt(g.buf[:], 0)
	if n == 0 && err != nil {
		return 0, fmt.Errorf("read %s: %w", g.f.Name(), err)
	}
	v, err := strconv.ParseUint(strings.TrimSpace(string(g.buf[:n])), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", g.f.Name(), err)
	}
	return v, nil
}
