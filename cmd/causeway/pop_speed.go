package main

import (
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"causeway/internal/cli"
	"causeway/internal/dataplane"
	"causeway/internal/keys"
	"causeway/internal/popagent"
)

// speedOptions are the flags of `causeway pop` about how it uses its machine.
type speedOptions struct {
	workers  string
	cpus     []int
	busyPoll time.Duration
	without  []string
	xdp      []string

	loops int // what workers says
}

func (o *speedOptions) flags(c *command) {
	f := c.Flags()
	f.StringVar(&o.workers, "workers", "1", "how many loops carry packets, each on a core: a number, or auto for one per core")
	f.IntSliceVar(&o.cpus, "cpus", nil, "the cores that workers are bound to, in their order (default: the kernel chooses)")
	f.DurationVar(&o.busyPoll, "busy-poll", 0, "go on looking for packets for so long before sleeping: quicker, at the price of a core")
	f.StringSliceVar(&o.xdp, "xdp", nil, "devices whose packets are taken, and judged, before the kernel's stack (XDP)")
	f.StringSliceVar(&o.without, "without", nil, "do without these features of the kernel or the processor: "+strings.Join(dataplane.FeatureNames, ", "))
}

// check reads the flags.
func (o *speedOptions) check() error {
	n, err := strconv.Atoi(o.workers)
	switch {
	case o.workers == "auto":
		n = min(runtime.NumCPU(), dataplane.MaxLanes)
	case err != nil || n < 1 || n > dataplane.MaxLanes:
		return cli.Misuse("--workers %s: want auto, or 1 to %d", o.workers, dataplane.MaxLanes)
	}
	o.loops = n
	for _, cpu := range o.cpus {
		if cpu < 0 || cpu >= 1024 {
			return cli.Misuse("--cpus %d: want 0 to 1023", cpu)
		}
	}
	if len(o.cpus) > n {
		return cli.Misuse("--cpus names %d cores for %d workers", len(o.cpus), n).WithFix("--workers %d, or fewer cores", len(o.cpus))
	}
	if o.busyPoll < 0 || o.busyPoll > time.Second {
		return cli.Misuse("--busy-poll %v: want 0 to 1s", o.busyPoll)
	}
	for _, name := range o.without {
		if !slices.Contains(dataplane.FeatureNames, name) {
			return cli.Misuse("--without %s: there are %s", name, strings.Join(dataplane.FeatureNames, ", "))
		}
	}
	return nil
}

func (o *speedOptions) newPlane(key keys.PrivateKey, stateDir string, log *slog.Logger) (popagent.Plane, error) {
	// A worker keeps its P while it waits briefly: leave one for everything else.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), o.loops+1))
	return dataplane.New(dataplane.Config{
		Key: key, StateDir: stateDir, Log: log,
		Workers: o.loops, CPUs: o.cpus, BusyPoll: o.busyPoll, Without: o.without, XDP: o.xdp,
	})
}

// newPlane makes a data plane with everything as it is by default.
func newPlane(key keys.PrivateKey, stateDir string, log *slog.Logger) (popagent.Plane, error) {
	return new(speedOptions).newPlane(key, stateDir, log)
}
