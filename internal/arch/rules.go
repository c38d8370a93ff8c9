package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rules are what a tree is judged by.
type Rules struct {
	// Generated is the folder with generated code and nothing else.
	Generated  string
	Walls      []Wall
	Vocabulary []string // packages that import the standard library and one another, and nothing else
	Doors      []Door
	Leaves     []string // packages without clock, socket, goroutine, lock, logger, file
	TestOnly   []string // imports that only tests, and packages that serve tests, may have
}

// Wall forbids that anything under From reaches anything under To.
type Wall struct{ From, To, Why string }

// Door says where alone an import may stand: the folder, and why there.
type Door struct {
	Import string // it, and what is below it
	Within string // where the rule holds; "" is everywhere
	Rooms  map[string]string
}

// Ours are the rules of this project; docs/architecture.md explains them.
var Ours = Rules{
	Generated: "api/gen",
	Walls: []Wall{
		{"internal/dataplane", "internal/control", "PoPs run on with the control plane gone"},
		{"internal/dataplane", "internal/resource", "the data plane is told everything by a snapshot"},
		{"internal/popagent", "internal/resource", "the agent is told everything by a snapshot"},
		{"internal/popagent", "internal/control", "PoPs run on with the control plane gone"},
		{"internal/agent", "internal/resource", "agents are told everything by snapshots"},
		{"internal/agent", "internal/control", "agents run on with the control plane gone"},
		{"internal/control", "internal/dataplane", "the control plane describes, and carries nothing"},
		{"internal/cli", "internal/control", "commands talk to the API as everybody does"},
		{"internal/vpngw", "internal/dataplane", "the gateway agent drives strongSwan, and carries nothing"},
		{"internal/dataplane", "internal/lab", "what runs in production does not know the lab"},
		{"internal/popagent", "internal/lab", "what runs in production does not know the lab"},
		{"internal/dataplane", "internal/popagent", "the agent drives the data plane, not the other way round"},
		{"internal", "cmd", "commands are wiring, and nothing hangs on them"},
	},
	Vocabulary: []string{
		"internal/mono", "internal/problem", "internal/snapshot", "internal/report", "internal/route", "internal/ipsec", "internal/weather", "internal/vpn", "internal/nearest",
	},
	Doors: []Door{
		{Import: "go.etcd.io", Rooms: map[string]string{"internal/control/store/etcdstore": "the store"}},
		{Import: "github.com/strongswan/govici", Rooms: map[string]string{"internal/vpngw/swan": "strongSwan"}},
		{Import: "golang.org/x/sys/unix", Rooms: map[string]string{
			"internal/dataplane/udpio":   "batches of datagrams",
			"internal/dataplane/xdp":     "forwarding in the kernel",
			"internal/dataplane/session": "the session table is a file mapped into memory",
			"internal/sdnotify":          "systemd wants the instant of a reload on CLOCK_MONOTONIC",
			"internal/vpngw/charon":      "receive buffers of the daemon's sockets",
			"internal/vpngw/netroute":    "numbers of routing tables and errors of netlink",
			"internal/lab/netns":         "namespaces and TUN devices",
			"internal/lab/wan":           "the emulator's TUN devices and timing",
			"internal/lab/process":       "ends exactly the processes it started",
			"internal/trace":             "probes with kernel timestamps",
			"internal/top":               "draws on a terminal",
			"internal/lab/gateway":       "socket buffers inside a namespace",
			"internal/lab/report":        "asks how wide the terminal is",
			"internal/lab":               "asks whether this is a terminal and which kernel runs",
			"internal/bench/netbench":    "measures with raw packets in namespaces of its own",
			"internal/bench/sessions":    "reads the processor's time",
			"internal/bench/repairspeed": "reads the processor's time",
			"internal/bench/forward":     "ends exactly the processes it started",
		}},
		{Import: "github.com/vishvananda", Rooms: map[string]string{"internal/lab/netns": "links, addresses, routes, namespaces", "internal/vpngw/netroute": "a gateway's routes and interfaces"}},
		{Import: "net", Within: "internal/dataplane", Rooms: map[string]string{"internal/dataplane/udpio": "sockets", "internal/dataplane/xdp": "finds devices by name"}},
		{Import: "github.com/cilium/ebpf", Rooms: map[string]string{"internal/dataplane/xdp": "programs on devices", "internal/bench/netbench": "hands packets over as a driver does"}},
		{Import: "os/exec", Within: "internal/dataplane", Rooms: nil},
		{Import: "os/exec", Within: "internal/popagent", Rooms: nil},
		{Import: "github.com/goccy/go-yaml", Rooms: map[string]string{"internal/strictyaml": "files that people write"}},
		{Import: "github.com/flynn/noise", Rooms: map[string]string{"internal/dataplane/segment/handshake": "the handshake"}},
		{Import: "github.com/klauspost/reedsolomon", Rooms: map[string]string{
			"internal/dataplane/segment/code/gf": "arithmetic in GF(256)",
			"internal/bench":                     "the Reed-Solomon baseline that others use",
		}},
		{Import: "github.com/prometheus", Rooms: map[string]string{"internal/telemetry": "metrics", "cmd/causeway": "puts collectors together"}},
		{Import: "go.opentelemetry.io", Rooms: map[string]string{"internal/telemetry": "traces"}},
		{Import: "github.com/spf13", Rooms: map[string]string{"cmd/causeway": "commands", "internal/cli": "what commands share"}},
		{Import: "golang.org/x/image", Rooms: map[string]string{"internal/lab/report/draw": "pictures of reports"}},
		{Import: "unsafe", Rooms: map[string]string{
			"internal/dataplane/udpio":   "system calls that take arrays of messages",
			"internal/dataplane/xdp":     "rings shared with the kernel",
			"internal/dataplane/session": "records in mapped memory",
			"internal/dataplane/segment": "asks whether two slices overlap",
			"internal/lab/netns":         "ioctl on TUN devices",
			"internal/lab/wan":           "ioctl and timing",
			"internal/trace":             "control messages with kernel timestamps",
			"internal/bench/netbench":    "driver settings (ethtool) and batches of raw packets",
		}},
	},
	Leaves: []string{
		"internal/problem", "internal/nearest", "internal/snapshot", "internal/report", "internal/route", "internal/ipsec", "internal/weather",
		"internal/dataplane/frame", "internal/dataplane/packet", "internal/dataplane/resequence", "internal/dataplane/limit", "internal/dataplane/admission",
		"internal/dataplane/segment/code", "internal/dataplane/segment/repair", "internal/dataplane/segment/seal",
		"internal/dataplane/segment/pack", "internal/dataplane/segment/handshake",
	},
	TestOnly: []string{"pgregory.net/rapid", "go.uber.org/goleak", "github.com/rogpeppe/go-internal", "testing"},
}

// notForLeaves are imports and calls that give a clock, a socket, a lock, a
// logger or a file.
var notForLeaves = struct{ imports, calls []string }{
	imports: []string{"net", "os", "log", "log/slog", "sync", "sync/atomic", "io/fs", "os/exec", "os/signal", "context", "golang.org/x/sys/unix", "syscall"},
	calls: []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.Tick", "time.NewTimer", "time.NewTicker",
		"math/rand.Int", "math/rand/v2.Uint64", "math/rand/v2.IntN", "math/rand/v2.Float64", "crypto/rand.Read", "crypto/rand.Reader"},
}

// Check returns a sentence for each place where t breaks the rules.
func (r Rules) Check(t *Tree) []string {
	var broken []string
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	for _, folder := range t.paths() {
		p := t.Packages[folder]
		r.walls(t, folder, say)
		r.vocabulary(t, folder, p, say)
		if under(folder, r.Generated) {
			continue // its text is a generator's: only the walls hold for it
		}
		r.doors(folder, p, say)
		r.leaves(folder, p, say)
		r.testOnly(folder, p, say)
		documented(folder, p, say)
	}
	return broken
}

type sayer func(format string, args ...any)

func (r Rules) walls(t *Tree, folder string, say sayer) {
	for _, w := range r.Walls {
		if !under(folder, w.From) {
			continue
		}
		way := t.chain(folder, w.To)
		if way == nil || len(way) > 2 && under(way[1], w.From) {
			continue // the next package on the way is told the same
		}
		say("%s must not reach %s (%s): %s; the first step is at %s", w.From, w.To, w.Why,
			strings.Join(way, " → "), t.Packages[folder].Imports[t.Module+"/"+way[1]])
	}
}

func (r Rules) vocabulary(t *Tree, folder string, p *Package, say sayer) {
	if !slices.Contains(r.Vocabulary, folder) {
		return
	}
	for _, imported := range slices.Sorted(maps.Keys(p.Imports)) {
		if own := t.own(imported); own == "" && standard(imported) || slices.Contains(r.Vocabulary, own) {
			continue
		}
		say("%s is vocabulary: it may import the standard library and other vocabulary, but imports %s at %s", folder, imported, p.Imports[imported])
	}
}

func (r Rules) doors(folder string, p *Package, say sayer) {
	for _, d := range r.Doors {
		if _, open := d.Rooms[folder]; open || d.Within != "" && !under(folder, d.Within) {
			continue
		}
		for _, imported := range slices.Sorted(maps.Keys(p.Imports)) {
			if !under(imported, d.Import) || imported == "net/netip" || imported == "net/http" {
				continue
			}
			say("%s imports %s at %s, which has its door in %s; use that package, or give the reason in arch.Ours",
				folder, imported, p.Imports[imported], orNowhere(slices.Sorted(maps.Keys(d.Rooms))))
		}
	}
}

func orNowhere(rooms []string) string {
	if len(rooms) == 0 {
		return "no package here"
	}
	return strings.Join(rooms, ", ")
}

func (r Rules) leaves(folder string, p *Package, say sayer) {
	if !slices.Contains(r.Leaves, folder) {
		return
	}
	for _, imported := range notForLeaves.imports {
		if at, ok := p.Imports[imported]; ok {
			say("%s is a leaf, with no clock, socket, lock, logger or file, but imports %s at %s", folder, imported, at)
		}
	}
	for _, call := range notForLeaves.calls {
		if at, ok := p.Calls[call]; ok {
			say("%s is a leaf, and takes time and chance as arguments, but uses %s at %s", folder, call, at)
		}
	}
	if p.Spawns != "" {
		say("%s is a leaf, but starts a goroutine at %s", folder, p.Spawns)
	}
}

func (r Rules) testOnly(folder string, p *Package, say sayer) {
	if strings.HasSuffix(folder, "test") {
		return // a conformance suite, called from tests
	}
	for _, imported := range slices.Sorted(maps.Keys(p.Imports)) {
		for _, only := range r.TestOnly {
			if under(imported, only) {
				say("%s imports %s at %s, which is for tests only", folder, imported, p.Imports[imported])
			}
		}
	}
}

func documented(folder string, p *Package, say sayer) {
	want := "Package " + p.Name + " "
	if p.Name == "main" {
		want = "Command "
	}
	if !strings.HasPrefix(p.Doc, want) {
		say("%s has no documentation: one of its files begins with a comment that begins with %q", folder, strings.TrimSpace(want))
	}
}
