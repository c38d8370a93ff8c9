package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hosts are the machines of the tutorial, by what its blocks call them. Each is
// a network namespace on one wire, with folders of its own where services keep things.
var hosts = map[string]string{
	"the controller":       "203.0.113.5",
	"the Shanghai PoP":     "203.0.113.10",
	"the Seoul PoP":        "198.51.100.20",
	"the Shanghai gateway": "203.0.113.200",
	"the Seoul gateway":    "198.51.100.200",
}

// TestTutorial does what docs/tutorial.md says, block by block, with real
// processes, and finds in what they print what the page says they print. The
// services are started by the units that the packages have; a script stands in
// for systemd.
func TestTutorial(t *testing.T) {
	const inside = "CAUSEWAY_TEST_INSIDE_TUTORIAL"
	if os.Getenv(inside) == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root, to make namespaces")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		again := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestTutorial$", "-test.timeout=200s", "-test.v="+strconv.FormatBool(testing.Verbose()))
		again.Env = append(os.Environ(), inside+"=1")
		// In a namespace of processes of its own nothing outlives the test.
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
		out, err := again.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if testing.Verbose() {
			t.Logf("%s", out)
		}
		return
	}
	page := readPage(t, "../../docs/tutorial.md")
	x := newTutorial(t)
	ran := 0
	for i, b := range page {
		switch {
		case b.kind == "yaml" && strings.HasPrefix(b.text, "# "):
			name, _, _ := strings.Cut(strings.TrimPrefix(b.text, "# "), "\n")
			if err := os.WriteFile(filepath.Join(x.dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.kind == "cross":
			x.cross(strings.Fields(b.text))
		case b.kind == "sh":
			if first, _, _ := strings.Cut(b.text, "\n"); strings.HasPrefix(first, notRun) {
				continue
			}
			shown := ""
			if i+1 < len(page) && page[i+1].kind == "" {
				shown = page[i+1].text
			}
			x.run(b, shown)
			ran++
		}
	}
	if ran < 10 {
		t.Errorf("only %d blocks were run: are they still written as this test reads them?", ran)
	}
}

// notRun begins the first line of blocks that this test cannot run, and says why.
const notRun = "# not run by the test: "

// tutorial are the hosts, while the test lasts.
type tutorial struct {
	t   *testing.T
	dir string
	pid map[string]int // by address: of the process that holds a host's namespaces
}

// newTutorial makes the hosts.
func newTutorial(t *testing.T) *tutorial {
	x := &tutorial{t: t, dir: t.TempDir(), pid: map[string]int{}}
	x.must("mount", "--make-rprivate", "/")
	x.must("mount", "-t", "proc", "proc", "/proc")
	x.must("ip", "link", "add", "wire", "type", "bridge")
	x.must("ip", "link", "set", "wire", "up")
	units, err := filepath.Abs("../../packaging/systemd")
	if err != nil {
		t.Fatal(err)
	}
	x.write("bin/systemctl", strings.ReplaceAll(systemctl, "UNITS", units), 0o700)
	number := 0
	for name, address := range hosts {
		number++
		host := exec.Command("sleep", "1000")
		host.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
		if err := host.Start(); err != nil {
			t.Fatalf("make %s: %v", name, err)
		}
		t.Cleanup(func() {
			_ = host.Process.Kill()
			_ = host.Wait()
		})
		x.pid[address] = host.Process.Pid
		port := fmt.Sprintf("port%d", number)
		x.must("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(host.Process.Pid))
		x.must("ip", "link", "set", port, "master", "wire", "up")
		x.write(fmt.Sprintf("home%d/.keep", number), "", 0o600)
		if out, err := x.shell(t.Context(), address, fmt.Sprintf(`
			mount -t tmpfs run /run
			mkdir -p /run/systemd/system
			mount -t tmpfs state /var/lib
			mkdir %[1]s/etc%[2]d
			for f in passwd group nsswitch.conf hosts ld.so.cache alternatives; do
				[ ! -e /etc/$f ] || cp -a /etc/$f %[1]s/etc%[2]d
			done
			mount --bind %[1]s/etc%[2]d /etc
			ip link set lo up
			ip link set eth0 up
			ip addr add %[3]s/32 dev eth0
			ip route add default dev eth0`, x.dir, number, address)); err != nil {
			t.Fatalf("make %s: %v\n%s", name, err, out)
		}
	}
	return x
}

// systemctl does of systemctl what the tutorial needs: it runs a unit's command
// with the unit's environment and folders, and returns when it is ready.
const systemctl = `#!/bin/bash
set -eu
case "$1 $2" in
"enable --now") shift ;;
"enable "*) exit 0 ;;
"restart "*) ;; # nothing runs yet
*) echo "this systemctl does not know: $*" >&2; exit 1 ;;
esac
name=${2%.service}
unit=UNITS/$name.service
say() { sed -n "s/^$1=//p" "$unit"; }
mkdir -p -m 700 "/var/lib/$(say StateDirectory)"
runtime=$(say RuntimeDirectory)
[ -z "$runtime" ] || mkdir -p "/run/$runtime"
default=$(say Environment | tr -d '"')
[ -z "$default" ] || export "${default%%=*}=${default#*=}"
file=$(say EnvironmentFile)
file=${file#-}
if [ -e "$file" ]; then
  while IFS= read -r line; do
    case $line in '#'* | '') ;; *) export "${line%%=*}=${line#*=}" ;; esac
  done <"$file"
fi
command=$(say ExecStart)
setsid sh -c "exec ${command#/usr/bin/}" >"/run/$name.log" 2>&1 </dev/null &
pid=$!
for i in $(seq 1000); do
  if [ -e /run/causeway/pop.sock ] || [ -e /var/lib/causeway-controller/admin.yaml ]; then exit 0; fi
  kill -0 $pid || break
  sleep 0.05
done
cat "/run/$name.log" >&2
exit 1
`

func (x *tutorial) write(name, text string, mode os.FileMode) {
	x.t.Helper()
	name = filepath.Join(x.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		x.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		x.t.Fatal(err)
	}
}

func (x *tutorial) must(name string, args ...string) {
	x.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		x.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// shell runs a script on a host, and stops at the first command that fails.
func (x *tutorial) shell(ctx context.Context, address, script string) (string, error) {
	c := exec.CommandContext(ctx, "nsenter", "-t", fmt.Sprint(x.pid[address]), "-n", "-m", "bash", "-euo", "pipefail", "-c", "cd "+x.dir+"\n"+script)
	c.Env = append(os.Environ(), "PATH="+filepath.Join(x.dir, "bin")+":"+os.Getenv("PATH"), "HOME="+filepath.Join(x.dir, "home-"+address), "CAUSEWAY_PROFILE=",
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")) // the race detector makes each command wait for a second at its end
	// What it prints goes to a file: services that it leaves running hold no pipe open.
	out, err := os.CreateTemp(x.dir, "printed-*")
	if err != nil {
		return "", err
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	err = c.Run()
	text, readErr := os.ReadFile(out.Name())
	return string(text), errors.Join(err, readErr)
}

// run runs a block, again and again where it may be too early, until it prints what is shown.
func (x *tutorial) run(b block, shown string) {
	x.t.Helper()
	first, _, _ := strings.Cut(b.text, "\n")
	address := hosts[strings.TrimPrefix(first, "# on ")]
	if address == "" {
		x.t.Fatalf("line %d: the block begins with %q; say where it is run, as %q, or why the test cannot, as %q", b.line, first, "# on the controller", notRun+"…")
	}
	began := time.Now()
	for {
		out, err := x.shell(x.t.Context(), address, b.text)
		if err == nil {
			err = prints(out, shown)
		}
		if err == nil {
			x.t.Logf("line %d, %v:\n%s%s", b.line, time.Since(began), b.text, out)
			return
		}
		if !b.patient || time.Since(began) > time.Minute {
			x.t.Fatalf("line %d: %v\n--- the block\n%s--- what came\n%s", b.line, err, b.text, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// prints returns nil when out has the lines shown, in their order. Spaces count
// as one, and … stands for anything.
func prints(out, shown string) error {
	lines := strings.Split(out, "\n")
	for _, want := range strings.Split(shown, "\n") {
		want = strings.Join(strings.Fields(want), " ")
		if want == "" || want == "…" {
			continue
		}
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$")
		for {
			if len(lines) == 0 {
				return fmt.Errorf("the line %q is not where the page shows it", want)
			}
			have := strings.Join(strings.Fields(lines[0]), " ")
			lines = lines[1:]
			if pattern.MatchString(have) {
				break
			}
		}
	}
	return nil
}

// cross sends a packet as a client to an accelerated IP until the endpoint has
// answered, and looks at whom the endpoint saw: CLIENT ACCELERATED:PORT ENDPOINT SEEN:PORT.
func (x *tutorial) cross(args []string) {
	x.t.Helper()
	if len(args) != 4 {
		x.t.Fatalf("cross has %v; want CLIENT ACCELERATED:PORT ENDPOINT SEEN:PORT", args)
	}
	endpoint, client := x.socket(args[2]), x.socket(args[0])
	defer endpoint.Close()
	defer client.Close()
	seen := make(chan string, 1)
	go func() {
		buffer := make([]byte, 2000)
		for {
			n, from, err := endpoint.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = endpoint.WriteTo(buffer[:n], from)
			select {
			case seen <- from.String():
			default:
			}
		}
	}()
	accelerated, err := net.ResolveUDPAddr("udp", args[1])
	if err != nil {
		x.t.Fatal(err)
	}
	buffer := make([]byte, 2000)
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); {
		_, _ = client.WriteTo(initMessage, accelerated) // refused while nobody listens
		_ = client.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, from, err := client.ReadFrom(buffer)
		if err != nil || from.String() != args[1] || !bytes.Equal(buffer[:n], initMessage) {
			continue
		}
		if got := <-seen; got != args[3] {
			x.t.Fatalf("the endpoint was sent to by %s, want %s", got, args[3])
		}
		return
	}
	x.t.Fatalf("nothing came back from %s by way of %s", args[2], args[1])
}

// socket is a UDP socket of a host, on port 500.
func (x *tutorial) socket(address string) net.PacketConn {
	x.t.Helper()
	type opened struct {
		net.PacketConn
		err error
	}
	done := make(chan opened)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", x.pid[address]))
		if err == nil {
			err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)
			space.Close()
		}
		if err != nil {
			done <- opened{err: err}
			return
		}
		c, err := net.ListenPacket("udp4", address+":500")
		done <- opened{c, err}
	}()
	o := <-done
	if o.err != nil {
		x.t.Fatalf("open port 500 of %s: %v", address, o.err)
	}
	return o.PacketConn
}
