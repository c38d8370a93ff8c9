// Package doctor looks whether a machine can be a good PoP or VPN gateway: what
// its kernel, limits, clock, network and files are, what a running PoP says, and
// what of it is in the way, each with what to do about it.
//
// Checks only look; they change nothing. They see the machine through System, so
// that every one of them has a test with a machine that is not well.
package doctor

import (
	"context"
	"io/fs"
	"net/netip"
	"time"

	"causeway/internal/report"
)

// Verdicts.
const (
	OK   = "ok"
	Warn = "warning" // works, but not as well as it could
	Fail = "failed"  // something does not work
	Skip = "skipped" // it could not be looked at, or does not concern this machine
)

// Result is what a check found.
type Result struct {
	Check   string `json:"check"` // its name, which is stable
	About   string `json:"about"` // what is looked at, for people
	Verdict string `json:"verdict"`
	Found   string `json:"found"`
	Fix     string `json:"fix,omitempty"` // what to do, where the verdict is Warn or Fail
}

// System is the machine as checks see it.
type System interface {
	// ReadFile, Stat and List see the machine's files, by absolute path.
	ReadFile(path string) ([]byte, error)
	Stat(path string) (fs.FileInfo, error)
	// List names what is in a folder.
	List(path string) ([]string, error)
	// FreeDisk is what is free for writing below path, of how much, in bytes.
	FreeDisk(path string) (free, total uint64, err error)
	// Interfaces are the machine's network interfaces.
	Interfaces() ([]Interface, error)
	// CanBind tries to bind a UDP port for an instant.
	CanBind(a netip.AddrPort) error
	// Offloads are what a device does by itself, by ethtool's names.
	Offloads(device string) (map[string]bool, error)
	// ReachTCP opens a connection, and closes it.
	ReachTCP(ctx context.Context, address string) error
	// ClockOffset is how far the machine's clock is off, as the kernel keeps it,
	// and whether something disciplines it.
	ClockOffset() (offset time.Duration, synchronized bool, err error)
	// Capabilities is the mask of what this process may (capabilities(7)).
	Capabilities() (uint64, error)
	// LookPath finds a program.
	LookPath(name string) (string, error)
	// RouteMTU is the MTU of the device that packets to an address leave by.
	RouteMTU(to netip.Addr) (int, error)
	Now() time.Time
}

// Interface is one network interface.
type Interface struct {
	Name      string
	MTU       int
	Up        bool
	Loopback  bool
	Addresses []netip.Addr
}

// Target is what is looked at. Everything but System may be left out.
type Target struct {
	System     System
	PoP        *report.PoP // what the PoP here says; nil: none runs
	PoPProblem string      // why not, where one should
	StateDir   string
	Controller string // HOST:PORT to reach
	Gateway    bool   // this machine is a VPN gateway, too
}

// Check is one thing to look at.
type Check struct {
	Name  string
	About string
	look  func(ctx context.Context, t *Target) outcome
}

type outcome struct{ verdict, found, fix string }

// Run runs every check, in order. The ones that are not named are left out; no
// names are all.
func Run(ctx context.Context, t Target, names ...string) []Result {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var out []Result
	for _, c := range Checks {
		if len(names) > 0 && !wanted[c.Name] {
			continue
		}
		o := c.look(ctx, &t)
		out = append(out, Result{Check: c.Name, About: c.About, Verdict: o.verdict, Found: o.found, Fix: o.fix})
	}
	return out
}

// Worst is the worst verdict of all.
func Worst(results []Result) string {
	worst := OK
	for _, r := range results {
		if r.Verdict == Fail || r.Verdict == Warn && worst == OK {
			worst = r.Verdict
		}
	}
	return worst
}
