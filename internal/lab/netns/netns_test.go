package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "start-and-wait" {
		startAndWait(os.Args[2], os.Args[3])
	}
	goleak.VerifyTestMain(m)
}

// needRoot skips where namespaces cannot be made, and says why; as root with a
// TUN device nothing is skipped. Afterwards no namespace of the lab may be left.
func needRoot(t *testing.T) (lab string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("no /dev/net/tun on this machine")
	}
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	lab = fmt.Sprintf("t%d", os.Getpid())
	files := openFiles(t)
	t.Cleanup(func() {
		left, err := Cleanup(Prefix(lab))
		if err != nil {
			t.Error(err)
		}
		if len(left) > 0 && !t.Failed() {
			t.Errorf("namespaces left behind: %v", left)
		}
		if now := openFiles(t); now > files {
			t.Errorf("%d files open, %d before", now, files)
		}
	})
	return lab
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// host makes a namespace for the test's length.
func host(t *testing.T, name string) *NS {
	t.Helper()
	ns, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Delete(); err != nil {
			t.Error(err)
		}
	})
	return ns
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestNamesKeepLabsApart(t *testing.T) {
	for _, lab := range []string{"", "a-b", "A", "x/y", "..", strings.Repeat("x", 17)} {
		if CheckLab(lab) == nil {
			t.Errorf("lab name %q was taken", lab)
		}
	}
	for _, name := range []string{"cw", "sh-gw", "cw-a-", "cw-a/../b", "cw--b", "cw-" + strings.Repeat("x", 64)} {
		if _, err := Create(name); err == nil {
			t.Errorf("namespace name %q was taken", name)
		}
	}
	for _, prefix := range []string{"", "cw-", "cw", "cw-a-b", "cw-a", "/run"} {
		if _, err := Cleanup(prefix); err == nil {
			t.Errorf("cleaned up %q", prefix)
		}
	}
}

func TestMissingSaysWhatToDo(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root misses nothing here")
	}
	var m *Missing
	if err := Check(); !errors.As(err, &m) || !strings.Contains(err.Error(), "sudo") {
		t.Errorf("%v, want it to name sudo", err)
	}
}

func TestCreateAndDeleteMayBeRepeated(t *testing.T) {
	lab := needRoot(t)
	name := Name(lab, "a")
	a := host(t, name)
	must(t, a.Sysctl("net.ipv4.ip_forward", "1"))
	again := host(t, name)
	if got := sysctl(t, again, "net/ipv4/ip_forward"); got != "0" {
		t.Errorf("made anew, the namespace still forwards: %s", got)
	}
	names, err := List(Prefix(lab))
	if err != nil || !slices.Equal(names, []string{name}) {
		t.Errorf("list: %v, %v", names, err)
	}
	must(t, again.Delete(), again.Delete(), Delete(name), a.Delete())
	if _, err := Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened a deleted namespace: %v", err)
	}
	// What a crash half-way leaves: a name without a namespace.
	must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	must(t, Delete(name))
}

func sysctl(t *testing.T, ns *NS, path string) string {
	t.Helper()
	var value []byte
	must(t, ns.Do(func() (err error) {
		value, err = os.ReadFile("/proc/sys/" + path)
		return err
	}))
	return strings.TrimSpace(string(value))
}

func TestHostAndRouterSettings(t *testing.T) {
	lab := needRoot(t)
	a, b := host(t, Name(lab, "a")), host(t, Name(lab, "b"))
	must(t, a.Host(false), b.Host(true), b.Router(true))
	for path, want := range map[string][2]string{
		"net/ipv4/icmp_ratelimit":                    {"0", "0"},
		"net/ipv4/conf/all/rp_filter":                {"0", "0"},
		"net/ipv4/conf/default/send_redirects":       {"0", "0"},
		"net/ipv4/ip_forward":                        {"0", "1"},
		"net/ipv6/conf/all/disable_ipv6":             {"1", "0"},
		"net/ipv6/conf/all/forwarding":               {"0", "1"},
		"net/ipv6/conf/default/router_solicitations": {"", "0"},
	} {
		for i, ns := range []*NS{a, b} {
			if got := sysctl(t, ns, path); want[i] != "" && got != want[i] {
				t.Errorf("%s of %s is %s, want %s", path, ns.Name(), got, want[i])
			}
		}
	}
}

func TestHostsReachEachOtherOverARouter(t *testing.T) {
	lab := needRoot(t)
	a, r, b := host(t, Name(lab, "a")), host(t, Name(lab, "r")), host(t, Name(lab, "b"))
	for _, ns := range []*NS{a, r, b} {
		must(t, ns.Host(true))
	}
	must(t, r.Router(true), Veth(a, "lan0", r, "left", 1500), Veth(a, "lan0", r, "left", 1400), Veth(r, "right", b, "lan0", 1400))
	pfx := netip.MustParsePrefix
	must(t,
		a.AddAddr("lan0", pfx("10.1.0.10/24")), r.AddAddr("left", pfx("10.1.0.1/24")), a.AddAddr("lan0", pfx("10.1.0.10/24")),
		b.AddAddr("lan0", pfx("10.2.0.10/24")), r.AddAddr("right", pfx("10.2.0.1/24")),
		a.AddAddr("lan0", pfx("fd01::10/64")), r.AddAddr("left", pfx("fd01::1/64")),
		b.AddAddr("lan0", pfx("fd02::10/64")), r.AddAddr("right", pfx("fd02::1/64")),
		a.AddRoute(Route{To: pfx("0.0.0.0/0"), Via: netip.MustParseAddr("10.1.0.1")}),
		a.AddRoute(Route{To: pfx("0.0.0.0/0"), Via: netip.MustParseAddr("10.1.0.1")}),
		b.AddRoute(Route{To: pfx("10.1.0.0/16"), Via: netip.MustParseAddr("10.2.0.1"), Dev: "lan0"}),
		a.AddRoute(Route{To: pfx("::/0"), Via: netip.MustParseAddr("fd01::1")}),
		b.AddRoute(Route{To: pfx("::/0"), Via: netip.MustParseAddr("fd02::1")}),
	)
	for _, addr := range []string{"10.2.0.10:0", "[fd02::10]:0"} {
		exchange(t, a, b, addr)
	}
	st, err := b.Stats("lan0")
	if err != nil || st.RxPackets == 0 {
		t.Errorf("counters of b: %+v, %v", st, err)
	}
	rule := Rule{Priority: 100, From: pfx("10.1.0.0/24"), Table: 77}
	must(t, a.AddRule(rule), a.AddRule(rule), a.RemoveRule(rule), a.RemoveRule(rule))
	route := Route{To: pfx("10.9.0.0/24"), Dev: "lan0", Table: 77}
	must(t, a.AddRoute(route), a.RemoveRoute(route), a.RemoveRoute(route))
	must(t, a.RemoveLink("lan0"), a.RemoveLink("lan0"))
	if err := a.Up("lan0"); err == nil || !strings.Contains(err.Error(), "set link lan0 up") {
		t.Errorf("a link that is gone: %v", err)
	}
}

// exchange sends a datagram from one host to a socket on the other and back.
func exchange(t *testing.T, from, to *NS, listen string) {
	t.Helper()
	var server net.PacketConn
	var client net.Conn
	must(t, to.Do(func() (err error) { server, err = net.ListenPacket("udp", listen); return err }))
	defer server.Close()
	must(t, from.Do(func() (err error) { client, err = net.Dial("udp", server.LocalAddr().String()); return err }))
	defer client.Close()
	deadline := time.Now().Add(5 * time.Second)
	server.SetDeadline(deadline)
	client.SetDeadline(deadline)
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	n, peer, err := server.ReadFrom(b)
	if err != nil || string(b[:n]) != "hello" {
		t.Fatalf("%s: %q, %v", listen, b[:n], err)
	}
	server.WriteTo([]byte("well"), peer)
	if n, err := client.Read(b); err != nil || string(b[:n]) != "well" {
		t.Fatalf("%s: %q, %v", listen, b[:n], err)
	}
}

func TestTUNHandsPacketsToItsOwner(t *testing.T) {
	lab := needRoot(t)
	a := host(t, Name(lab, "a"))
	must(t, a.Host(false))
	fd, err := a.OpenTUN("wan0", 1500, 1000)
	must(t, err)
	unix.Close(fd)
	fd, err = a.OpenTUN("wan0", 1500, 1000)
	must(t, err)
	defer unix.Close(fd)
	must(t, a.AddAddr("wan0", netip.MustParsePrefix("198.18.1.2/32")),
		a.AddRoute(Route{To: netip.MustParsePrefix("0.0.0.0/0"), Dev: "wan0", Src: netip.MustParseAddr("198.18.1.2")}))
	var conn net.Conn
	must(t, a.Do(func() (err error) { conn, err = net.Dial("udp", "203.0.113.10:4500"); return err }))
	defer conn.Close()
	if _, err := conn.Write([]byte("esp")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 5000); n != 1 {
		t.Fatalf("no packet: %v", err)
	}
	n, err := unix.Read(fd, b)
	if err != nil || n != 20+8+3 || b[0] != 0x45 || string(b[28:n]) != "esp" {
		t.Errorf("read %x, %v; want the bare IP packet", b[:max(n, 0)], err)
	}
	if _, err := unix.Read(fd, b); err != unix.EAGAIN {
		t.Errorf("a second read: %v, want it not to block", err)
	}
	if _, err := a.OpenTUN("a-name-too-long-for-a-device", 1500, 0); err == nil {
		t.Error("a name that is too long was taken")
	}
}

func TestProcessesRunInsideAndDieWithTheNamespace(t *testing.T) {
	lab := needRoot(t)
	name := Name(lab, "a")
	a := host(t, name)
	cmd := exec.Command("sleep", "60")
	must(t, a.Start(cmd))
	pids, err := Pids(name)
	if err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("processes inside: %v, %v; want %d", pids, err, cmd.Process.Pid)
	}
	a.Close()
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
		t.Errorf("ended with %v, want it killed", cmd.ProcessState)
	}
	if err := a.Start(exec.Command("true")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("started in a closed namespace: %v", err)
	}
}

func TestStartReportsWhatCannotStart(t *testing.T) {
	lab := needRoot(t)
	a := host(t, Name(lab, "a"))
	if err := a.Start(exec.Command("/no/such/program")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	out, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer out.Close()
	cmd := exec.Command("ip", "-br", "link")
	cmd.Stdout = out
	must(t, a.Run(cmd))
	text, _ := os.ReadFile(out.Name())
	if lines := strings.Count(string(text), "\n"); lines != 1 || !strings.HasPrefix(string(text), "lo") {
		t.Errorf("inside there are the links\n%s\nwant lo alone", text)
	}
}

// A parent that is killed takes its processes along: the test binary plays it.
func TestProcessesDieWithTheirParent(t *testing.T) {
	lab := needRoot(t)
	name := Name(lab, "a")
	host(t, name)
	pidFile := filepath.Join(t.TempDir(), "pid")
	parent := exec.Command(os.Args[0], "start-and-wait", name, pidFile)
	must(t, parent.Start())
	defer parent.Process.Kill()
	until(t, "the child runs", func() bool { b, _ := os.ReadFile(pidFile); return len(b) > 0 })
	if pids, err := Pids(name); err != nil || len(pids) != 1 {
		t.Fatalf("inside: %v, %v", pids, err)
	}
	parent.Process.Kill()
	parent.Wait()
	until(t, "the child is gone", func() bool { pids, _ := Pids(name); return len(pids) == 0 })
}

func startAndWait(name, pidFile string) {
	ns, err := Open(name)
	if err == nil {
		cmd := exec.Command("sleep", "60")
		if err = ns.Start(cmd); err == nil {
			os.WriteFile(pidFile, fmt.Append(nil, cmd.Process.Pid), 0o600)
			cmd.Wait()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for this: %s", what)
		}
	}
}

func TestCleanupEndsWhatALabLeft(t *testing.T) {
	lab := needRoot(t)
	name, other := Name(lab, "a"), Name(lab+"x", "a")
	host(t, name)
	host(t, other)
	cmd := exec.Command("ip", "netns", "exec", name, "sleep", "60")
	must(t, cmd.Start())
	go cmd.Wait()
	until(t, "the process is inside", func() bool { pids, _ := Pids(name); return len(pids) == 1 })
	gone, err := Cleanup(Prefix(lab))
	if err != nil || !slices.Equal(gone, []string{name}) {
		t.Errorf("cleaned up %v, %v; want %s", gone, err, name)
	}
	if names, _ := List(Prefix(lab + "x")); len(names) != 1 {
		t.Errorf("another lab's namespaces: %v", names)
	}
	until(t, "the process has ended", func() bool { return cmd.Process.Signal(syscall.Signal(0)) != nil })
}

func TestFilesAreHandedOver(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	ends := make([]*net.UnixConn, 2)
	for i, fd := range pair {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		must(t, err, f.Close())
		defer c.Close()
		ends[i] = c.(*net.UnixConn)
	}
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	must(t, SendFiles(ends[0], w), w.Close())
	files, err := ReceiveFiles(ends[1])
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%d files came", len(files))
	}
	files[0].WriteString("through")
	files[0].Close()
	b := make([]byte, 20)
	if n, _ := r.Read(b); string(b[:n]) != "through" {
		t.Errorf("read %q", b[:n])
	}
	if SendFiles(ends[0]) == nil {
		t.Error("sent no file")
	}
}
