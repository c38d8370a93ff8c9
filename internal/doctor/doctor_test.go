package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"causeway/internal/report"
)

// sick is a machine that a test makes; it begins well.
type sick struct {
	files      fstest.MapFS
	free       uint64
	interfaces []Interface
	bind       error
	offloads   map[string]bool
	reach      error
	offset     time.Duration
	unsynced   bool
	caps       uint64
	programs   map[string]bool
	routeMTU   int
	now        time.Time
}

func (s *sick) ReadFile(path string) ([]byte, error) { return s.files.ReadFile(path[1:]) }
func (s *sick) Stat(path string) (fs.FileInfo, error) {
	if len(path) < 2 {
		return nil, fs.ErrNotExist
	}
	return s.files.Stat(path[1:])
}
func (s *sick) List(path string) (names []string, err error) {
	entries, err := s.files.ReadDir(path[1:])
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
func (s *sick) FreeDisk(string) (uint64, uint64, error)   { return s.free, 20 << 30, nil }
func (s *sick) Interfaces() ([]Interface, error)          { return s.interfaces, nil }
func (s *sick) CanBind(netip.AddrPort) error              { return s.bind }
func (s *sick) Offloads(string) (map[string]bool, error)  { return s.offloads, nil }
func (s *sick) ReachTCP(context.Context, string) error    { return s.reach }
func (s *sick) ClockOffset() (time.Duration, bool, error) { return s.offset, !s.unsynced, nil }
func (s *sick) Capabilities() (uint64, error)             { return s.caps, nil }
func (s *sick) RouteMTU(netip.Addr) (int, error)          { return s.routeMTU, nil }
func (s *sick) Now() time.Time                            { return s.now }
func (s *sick) LookPath(name string) (string, error) {
	if !s.programs[name] {
		return "", errors.New("not found")
	}
	return "/usr/sbin/" + name, nil
}

func (s *sick) put(path, text string) {
	s.files[path[1:]] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
}

// well is a machine on which every check is content.
func well() (*sick, *Target) {
	s := &sick{
		files: fstest.MapFS{}, free: 10 << 30, caps: 1<<40 - 1, routeMTU: 1500, now: time.Unix(1_800_000_000, 0),
		interfaces: []Interface{
			{Name: "lo", MTU: 65536, Up: true, Loopback: true, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
			{Name: "eth0", MTU: 1500, Up: true, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("203.0.113.11")}},
		},
		offloads: map[string]bool{"generic-receive-offload": true, "tx-udp-segmentation": true, "rx-checksumming": true},
		programs: map[string]bool{"swanctl": true},
	}
	for path, text := range map[string]string{
		"/proc/sys/kernel/osrelease": "6.1.0-18-amd64", "/proc/sys/net/core/rmem_max": "8388608", "/proc/sys/net/core/wmem_max": "8388608",
		"/proc/sys/net/core/netdev_max_backlog": "5000", "/proc/sys/net/ipv4/ip_forward": "0", "/proc/sys/net/ipv4/conf/all/rp_filter": "0",
		"/proc/sys/net/ipv4/conf/eth0/rp_filter": "1", "/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999",
		"/proc/sys/net/netfilter/nf_conntrack_max": "262144", "/proc/sys/net/netfilter/nf_conntrack_count": "12",
		"/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc", "/dev/net/tun": "", "/proc/net/xfrm_stat": "x", "/sys/fs/bpf/x": "",
		"/proc/self/limits": "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 1048576              files\n",
		"/proc/meminfo":     "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\nSwapTotal: 1000 kB\nSwapFree: 1000 kB\n",
		"/proc/cpuinfo":     "processor\t: 0\nflags : fpu aes\nprocessor\t: 1\nflags : fpu aes\n", "/proc/loadavg": "0.10 0.20 0.30 1/100 1",
		"/proc/stat": "cpu  100 0 100 1000 0 0 0 1 0 0\ncpu0 1\n", "/proc/self/mounts": "/dev/a / ext4 rw 0 0\n/dev/b /var/lib ext4 rw,noatime 0 0\n",
		"/var/lib/causeway/pop.key": "k", "/var/lib/causeway/last-good-0": "s", "/var/lib/causeway/history/a.history": "h",
	} {
		s.put(path, text)
	}
	s.files["var/lib/causeway"] = &fstest.MapFile{Mode: fs.ModeDir | 0o700}
	pop := &report.PoP{
		Name: "sh1", Started: s.now, Snapshot: report.Snapshot{Version: 3, Source: "file", File: "/etc/causeway/pop.yaml"},
		Overlay:   []report.Overlay{{Name: "isp", Bind: netip.MustParseAddrPort("203.0.113.10:4600"), Public: netip.MustParseAddrPort("203.0.113.10:4600")}},
		Listeners: []report.Listener{{Name: "vpn", Addresses: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.11:500"), netip.MustParseAddrPort("203.0.113.11:4500")}}},
		Segments: []report.Segment{{Peer: "se1", Up: true, Wires: []report.Wire{{Name: "isp", Up: true, State: "up", MTU: 1500, Remote: netip.MustParseAddrPort("203.0.113.20:4600")}},
			Repair: report.Repair{ToHere: report.RepairResult{Arrived: 10000}}}},
		Routes:   []report.Route{{To: "se1", Up: true}},
		Sessions: report.Sessions{List: []report.Session{session(500), session(4500)}},
		Drops:    map[string]uint64{}, Features: map[string]bool{"udp_gso": true, "udp_gro": true},
		Paths: []report.Path{{To: "se1"}},
	}
	return s, &Target{System: s, PoP: pop, StateDir: "/var/lib/causeway", Controller: "controller.example.net:4640"}
}

func session(port uint16) report.Session {
	return report.Session{State: "confirmed", Age: 600, Client: netip.MustParseAddrPort("198.51.100.7:4500"), Accelerated: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.11"), port)}
}

func TestAWellMachineHasNothingToMend(t *testing.T) {
	_, target := well()
	results := Run(t.Context(), *target)
	if len(results) < 30 {
		t.Errorf("%d checks", len(results))
	}
	for _, r := range results {
		if r.Verdict != OK && r.Verdict != Skip || r.Found == "" || r.Fix != "" || r.About == "" {
			t.Errorf("%+v", r)
		}
	}
	if Worst(results) != OK {
		t.Errorf("the worst is %s", Worst(results))
	}
}

// fixtures make a machine sick in just the way that a check is about.
var fixtures = map[string]struct {
	make    func(*sick, *Target)
	verdict string
}{
	"kernel":     {func(s *sick, _ *Target) { s.put("/proc/sys/kernel/osrelease", "4.15.0-20-generic") }, Fail},
	"clock":      {func(s *sick, _ *Target) { s.offset = -3 * time.Second }, Fail},
	"clock-sane": {func(s *sick, _ *Target) { s.now = time.Unix(1000, 0) }, Fail},
	"timer": {func(s *sick, _ *Target) {
		s.put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm")
	}, Warn},
	"tun":        {func(s *sick, _ *Target) { delete(s.files, "dev/net/tun") }, Warn},
	"xfrm":       {func(s *sick, t *Target) { delete(s.files, "proc/net/xfrm_stat"); t.Gateway = true }, Warn},
	"bpf":        {func(s *sick, _ *Target) { delete(s.files, "sys/fs/bpf/x") }, Warn},
	"cap-bind":   {func(s *sick, _ *Target) { s.caps = 1 << capNetRaw }, Fail},
	"cap-raw":    {func(s *sick, _ *Target) { s.caps = 1 << capNetBindService }, Warn},
	"cap-admin":  {func(s *sick, _ *Target) { s.caps = 0 }, Warn},
	"cpu-steal":  {func(s *sick, _ *Target) { s.put("/proc/stat", "cpu  100 0 100 100 0 0 0 100 0 0\n") }, Warn},
	"aes":        {func(s *sick, _ *Target) { s.put("/proc/cpuinfo", "processor : 0\nflags : fpu\nprocessor : 1\n") }, Warn},
	"conntrack":  {func(s *sick, _ *Target) { s.put("/proc/sys/net/netfilter/nf_conntrack_count", "250000") }, Fail},
	"rmem":       {func(s *sick, _ *Target) { s.put("/proc/sys/net/core/rmem_max", "212992") }, Warn},
	"wmem":       {func(s *sick, _ *Target) { s.put("/proc/sys/net/core/wmem_max", "212992") }, Warn},
	"backlog":    {func(s *sick, _ *Target) { s.put("/proc/sys/net/core/netdev_max_backlog", "300") }, Warn},
	"open-files": {func(s *sick, _ *Target) { s.put("/proc/self/limits", "Max open files   1024   4096   files") }, Warn},
	"memory":     {func(s *sick, _ *Target) { s.put("/proc/meminfo", "MemTotal: 400000 kB\nMemAvailable: 20000 kB\n") }, Fail},
	"swap": {func(s *sick, _ *Target) {
		s.put("/proc/meminfo", "MemTotal: 4000000 kB\nSwapTotal: 900000 kB\nSwapFree: 100000 kB\n")
	}, Warn},
	"processors": {func(s *sick, _ *Target) { s.put("/proc/cpuinfo", "processor : 0\nflags : aes\n") }, Warn},
	"load":       {func(s *sick, _ *Target) { s.put("/proc/loadavg", "9.0 8.5 8.0 9/100 1") }, Warn},
	"rp-filter": {func(s *sick, _ *Target) {
		s.interfaces = append(s.interfaces, Interface{Name: "eth1", MTU: 1500, Up: true, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")}})
	}, Fail},
	"mtu":       {func(s *sick, _ *Target) { s.interfaces[1].MTU = 1280 }, Warn},
	"addresses": {func(s *sick, _ *Target) { s.interfaces[1].Addresses = s.interfaces[1].Addresses[:1] }, Fail},
	"nat": {func(_ *sick, t *Target) {
		t.PoP.Overlay[0].Bind = netip.MustParseAddrPort("10.0.0.5:4600")
		t.PoP.Overlay[0].Public = netip.AddrPort{}
	}, Warn},
	"port-500":     {func(s *sick, t *Target) { t.PoP, s.bind = nil, syscall.EADDRINUSE }, Fail},
	"port-4500":    {func(s *sick, t *Target) { t.PoP, s.bind = nil, syscall.EADDRINUSE }, Fail},
	"port-overlay": {func(s *sick, t *Target) { t.PoP, s.bind = nil, syscall.EADDRINUSE }, Fail},
	"ike-daemon":   {func(s *sick, t *Target) { s.put("/run/charon.vici", ""); s.bind = syscall.EADDRINUSE; t.PoP = nil }, Fail},
	"gro":          {func(s *sick, _ *Target) { s.offloads["generic-receive-offload"] = false }, Warn},
	"gso":          {func(s *sick, _ *Target) { s.offloads["tx-udp-segmentation"] = false }, Warn},
	"checksum":     {func(s *sick, _ *Target) { s.offloads["rx-checksumming"] = false }, Warn},
	"forwarding":   {func(s *sick, _ *Target) { s.put("/proc/sys/net/ipv4/ip_forward", "1") }, Warn},
	"port-range":   {func(s *sick, _ *Target) { s.put("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535") }, Warn},
	"tailroom":     {func(_ *sick, t *Target) { t.PoP.Segments[0].Wires[0].MTU = 1300 }, Warn},
	"state-dir":    {func(s *sick, _ *Target) { s.files["var/lib/causeway"].Mode = fs.ModeDir | 0o755 }, Warn},
	"key-file":     {func(s *sick, _ *Target) { s.files["var/lib/causeway/pop.key"].Mode = 0o644 }, Fail},
	"disk":         {func(s *sick, _ *Target) { s.free = 100 << 20 }, Fail},
	"disk-writable": {func(s *sick, _ *Target) {
		s.put("/proc/self/mounts", "/dev/a / ext4 rw 0 0\n/dev/b /var/lib ext4 ro,noatime 0 0\n/dev/c /var/libx ext4 rw 0 0\n")
	}, Fail},
	"last-good":         {func(s *sick, _ *Target) { delete(s.files, "var/lib/causeway/last-good-0") }, Warn},
	"old-files":         {func(s *sick, _ *Target) { s.put("/var/lib/causeway/history/a.history.aside-7", "x") }, Warn},
	"lab-left":          {func(s *sick, _ *Target) { s.put("/run/causeway-lab/seoul/state", "x") }, Warn},
	"controller":        {func(s *sick, _ *Target) { s.reach = syscall.ECONNREFUSED }, Warn},
	"strongswan":        {func(s *sick, t *Target) { t.Gateway, s.programs = true, nil }, Fail},
	"pop":               {func(_ *sick, t *Target) { t.PoP, t.PoPProblem = nil, "it does not answer" }, Warn},
	"snapshot":          {func(_ *sick, t *Target) { t.PoP.Snapshot.Refused = &report.Refusal{Reason: "line 3\nline 4"} }, Fail},
	"overlay-both-ways": {func(_ *sick, t *Target) { t.PoP.Segments[0].Up, t.PoP.Segments[0].HandshakesTried = false, 9 }, Fail},
	"wires": {func(_ *sick, t *Target) {
		t.PoP.Segments[0].Wires = append(t.PoP.Segments[0].Wires, report.Wire{Name: "cu", State: "down"})
	}, Warn},
	"path-mtu":     {func(_ *sick, t *Target) { t.PoP.Segments[0].Wires[0].MTU = 1380 }, Warn},
	"residual":     {func(_ *sick, t *Target) { t.PoP.Segments[0].Repair.ToHere.ResidualLoss = .05 }, Warn},
	"routes":       {func(_ *sick, t *Target) { t.PoP.Routes[0].Up = false }, Fail},
	"endpoints":    {func(_ *sick, t *Target) { t.PoP.Alarms = []report.Alarm{{Text: "all endpoints of seoul are down"}} }, Fail},
	"nat-t":        {func(_ *sick, t *Target) { t.PoP.Sessions.List = t.PoP.Sessions.List[:1] }, Warn},
	"send-drops":   {func(_ *sick, t *Target) { t.PoP.Drops["send_forbidden"] = 500 }, Warn},
	"offload-used": {func(_ *sick, t *Target) { t.PoP.Features["udp_gso"] = false }, Warn},
	"history":      {func(_ *sick, t *Target) { t.PoP.Paths[0].Plain.Problem = "operation not permitted" }, Warn},
}

// Every check finds what it is about, says so, and says what to do; and no check
// is without a machine that it finds sick.
func TestEveryCheckFindsItsSickness(t *testing.T) {
	for _, c := range Checks {
		f, there := fixtures[c.Name]
		if !there {
			t.Errorf("%s has no fixture", c.Name)
			continue
		}
		s, target := well()
		f.make(s, target)
		got := Run(t.Context(), *target, c.Name)
		if len(got) != 1 || got[0].Verdict != f.verdict || got[0].Found == "" || got[0].Fix == "" {
			t.Errorf("%s: %+v", c.Name, got)
		}
		if strings.Contains(got[0].Found, "%!") || strings.Contains(got[0].Fix, "%!") {
			t.Errorf("%s: a verb was left over: %+v", c.Name, got[0])
		}
	}
	names := map[string]bool{}
	for _, c := range Checks {
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		names[c.Name] = true
	}
	for name := range fixtures {
		if !names[name] {
			t.Errorf("the fixture %s is of no check", name)
		}
	}
}

// A machine that tells nothing is not called sick, and stops nothing.
func TestAMachineThatTellsNothingIsSkipped(t *testing.T) {
	s := &sick{files: fstest.MapFS{}, caps: 1<<40 - 1, now: time.Unix(1_800_000_000, 0), free: 10 << 30}
	for _, r := range Run(t.Context(), Target{System: s}) {
		if r.Verdict == Fail {
			t.Errorf("%+v", r)
		}
	}
	s.files["proc/stat"] = &fstest.MapFile{Data: []byte("cpu x x x x x x x x\n")}
	s.files["proc/sys/kernel/osrelease"] = &fstest.MapFile{Data: []byte("six")}
	s.files["proc/self/mounts"] = &fstest.MapFile{Data: []byte("a b\n\n")}
	s.files["proc/loadavg"] = &fstest.MapFile{Data: []byte("")}
	for _, r := range Run(t.Context(), Target{System: s, StateDir: "/x"}) {
		if r.Verdict == Fail {
			t.Errorf("garbage: %+v", r)
		}
	}
}

// The machine that the tests run on can be looked at.
func TestThisMachine(t *testing.T) {
	results := Run(t.Context(), Target{System: Machine{}, StateDir: t.TempDir()})
	for _, r := range results {
		switch r.Check {
		case "kernel", "disk", "memory", "clock", "cap-raw", "rmem":
			if r.Verdict == Skip && r.Check != "clock" {
				t.Errorf("%+v", r)
			}
		}
	}
	if mtu, err := (Machine{}).RouteMTU(netip.MustParseAddr("127.0.0.1")); err != nil || mtu < 1280 {
		t.Errorf("loopback's MTU is %d, %v", mtu, err)
	}
	if err := (Machine{}).CanBind(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Error(err)
	}
	got := parseOffloads("Features for eth0:\nrx-checksumming: on\ngeneric-receive-offload: off\n\ttx-udp-segmentation: on [fixed]\n")
	if !got["rx-checksumming"] || got["generic-receive-offload"] || !got["tx-udp-segmentation"] || len(got) != 3 {
		t.Errorf("%v", got)
	}
}
