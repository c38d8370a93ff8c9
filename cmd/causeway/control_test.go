package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// addresses are what the machine of TestControlPlane has besides 127.0.0.1.
var addresses = []string{"198.51.100.10", "198.51.100.11", "198.51.100.20", "198.51.100.21", "198.51.100.22", "192.0.2.10", "192.0.2.7", "192.0.2.8"}

// TestControlPlane runs the scripts in testdata/control with real processes: a
// controller on an etcd of its own, PoPs that enrol with it, and commands. Each
// runs in a network namespace of its own, whose loopback has all the addresses:
// some start a charon, which takes the IKE ports of every address.
func TestControlPlane(t *testing.T) {
	const inside = "CAUSEWAY_TEST_SCRIPT_INSIDE_NAMESPACE"
	if script := os.Getenv(inside); script != "" {
		runControlScript(t, script)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	scripts, err := filepath.Glob("testdata/control/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel()
			again := exec.Command(os.Args[0], "-test.run=^TestControlPlane$", "-test.timeout=400s", "-test.v="+strconv.FormatBool(testing.Verbose()))
			again.Env = append(os.Environ(), inside+"="+script)
			again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
			if out, err := again.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// runControlScript runs one script in the namespace this process is in.
func runControlScript(t *testing.T, script string) {
	ip(t, "link", "set", "lo", "up")
	for _, a := range addresses {
		ip(t, "addr", "add", a+"/32", "dev", "lo")
	}
	testscript.Run(t, testscript.Params{
		Files: []string{script},
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // commands end at once, also with the race detector
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await": await, "expand": expand, "code": code, "cross": cross, "awaitfile": awaitFile,
		},
	})
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// initMessage looks like the first message of IKE (RFC 7296 section 3.1): a
// header, and a payload of zeros.
var initMessage = func() []byte {
	m := make([]byte, 60)
	copy(m, "\x01\x02\x03\x04\x05\x06\x07\x08")
	m[16], m[17], m[18], m[19], m[27] = 33, 0x20, 34, 0x08, byte(len(m))
	return m
}()

// cross sends a client's packet to an accelerated IP until the endpoint has
// answered and the answer is back, and looks at whom the endpoint saw:
//
//	cross 192.0.2.10 198.51.100.11:500 192.0.2.7 198.51.100.21:500
func cross(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: cross CLIENT ACCELERATED:PORT ENDPOINT SEEN:PORT")
	}
	endpoint, err := net.ListenPacket("udp", args[2]+":500")
	ts.Check(err)
	defer endpoint.Close()
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
	client, err := net.ListenPacket("udp", args[0]+":500")
	ts.Check(err)
	defer client.Close()
	accelerated, err := net.ResolveUDPAddr("udp", args[1])
	ts.Check(err)
	buffer := make([]byte, 2000)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		_, err := client.WriteTo(initMessage, accelerated)
		ts.Check(err)
		ts.Check(client.SetReadDeadline(time.Now().Add(100 * time.Millisecond)))
		n, from, err := client.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		ts.Check(err)
		if from.String() != args[1] || n != len(initMessage) {
			ts.Fatalf("the client got %d bytes from %s", n, from)
		}
		if got := <-seen; got != args[3] {
			ts.Fatalf("the endpoint was sent to by %s, want %s", got, args[3])
		}
		return
	}
	ts.Fatalf("nothing came back from %s by way of %s", args[2], args[1])
}

// awaitFile waits until a file is there.
func awaitFile(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("waited in vain for %s", args[0])
}
