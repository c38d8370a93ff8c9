// Package aliyun drives Causeway with Alibaba Cloud's own clients: a real
// controller, real PoPs, real SDKs. It is a module of its own, so that the
// product links no SDK. Run it with `make test-aliyun`.
package aliyun

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	inside   = "CAUSEWAY_ALIYUN_INSIDE_NAMESPACE" // the built program; set in the process that tests
	endpoint = "127.0.0.1:8443"
)

// addresses are what the machine of the tests has besides 127.0.0.1.
var addresses = []string{"198.51.100.10", "198.51.100.11", "198.51.100.12", "198.51.100.20", "198.51.100.21", "198.51.100.22", "192.0.2.7", "192.0.2.8", "192.0.2.10"}

// access is a key of the role operator.
var access struct{ id, secret string }

// TestMain builds the program, and runs the tests in a network namespace whose
// loopback has the PoPs' addresses, beside a controller and two PoPs.
func TestMain(m *testing.M) {
	if program := os.Getenv(inside); program != "" {
		os.Exit(within(m, program))
	}
	os.Exit(outside())
}

func outside() int {
	if os.Geteuid() != 0 {
		fmt.Println("skipped: it needs root, to make a network namespace")
		return 0
	}
	folder, err := os.MkdirTemp("", "causeway-aliyun-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "causeway")
	// The flags are those of `make build`, so that its cache serves.
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/causeway")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("build causeway: %v\n%s", err, out)
		return 1
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"="+program, "HTTP_PROXY=", "HTTPS_PROXY=", "http_proxy=", "https_proxy=", "NO_PROXY=", "no_proxy=")
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		if failed, ok := err.(*exec.ExitError); ok && failed.ExitCode() > 0 {
			return failed.ExitCode()
		}
		fmt.Println(err)
		return 1
	}
	return 0
}

func within(m *testing.M, program string) int {
	folder, err := os.MkdirTemp("", "causeway-aliyun-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(folder)
	w := &world{program: program, folder: folder}
	defer w.stop()
	if err := w.start(); err != nil {
		fmt.Printf("%v\n%s", err, w.logs())
		return 1
	}
	code := m.Run()
	if leak := w.leaks(); code == 0 && leak != "" {
		fmt.Println(leak)
		code = 1
	}
	if code != 0 {
		fmt.Print(w.logs())
	}
	return code
}

// world is the processes under test.
type world struct {
	program, folder string
	running         []*exec.Cmd
	outputs         []*bytes.Buffer
}

func (w *world) start() error {
	for _, args := range [][]string{{"link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	for _, a := range addresses {
		if out, err := exec.Command("ip", "addr", "add", a+"/32", "dev", "lo").CombinedOutput(); err != nil {
			return fmt.Errorf("ip addr add %s: %w: %s", a, err, out)
		}
	}
	w.run("controller", "--data-dir", w.file("c"), "--listen", "127.0.0.1:4640", "--aliyun-listen", endpoint, "--log-level", "debug") // at which a leak would show most
	if err := await(func() error { _, err := os.Stat(w.file("c/admin.yaml")); return err }); err != nil {
		return err
	}
	for _, args := range []string{
		"region create cn-shanghai --title Shanghai", "region create kr-seoul --title Seoul",
		"pop create shanghai --region cn-shanghai --overlay 198.51.100.10:4600 --address 198.51.100.11 --address 198.51.100.12",
		"pop create seoul --region kr-seoul --overlay 198.51.100.20:4600 --address 198.51.100.21 --address 198.51.100.22",
	} {
		if _, err := w.command(strings.Fields(args)...); err != nil {
			return err
		}
	}
	for _, pop := range []string{"shanghai", "seoul"} {
		token, err := w.command("token", "create", "--pop", pop, "-q")
		if err != nil {
			return err
		}
		if err := os.WriteFile(w.file(pop+".token"), []byte(token), 0o600); err != nil {
			return err
		}
		w.run("pop", "--controller", "https://127.0.0.1:4640", "--token-file", w.file(pop+".token"), "--state-dir", w.file(pop), "--socket", w.file(pop+".sock"))
	}
	key, err := w.command("access-key", "create", "scripts", "--role", "operator", "-q")
	if err != nil {
		return err
	}
	access.id, access.secret, _ = strings.Cut(strings.TrimSpace(key), ".")
	return await(func() error {
		for _, pop := range []string{"shanghai", "seoul"} {
			out, err := w.command("pop", "get", pop)
			if err != nil || !strings.Contains(out, "connected") {
				return fmt.Errorf("PoP %s is not connected: %s %v", pop, out, err)
			}
		}
		conn, err := net.Dial("tcp", endpoint)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func (w *world) file(name string) string { return filepath.Join(w.folder, name) }

func (w *world) run(args ...string) {
	c := exec.Command(w.program, args...)
	out := &bytes.Buffer{}
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err == nil {
		w.running, w.outputs = append(w.running, c), append(w.outputs, out)
	}
}

func (w *world) command(args ...string) (string, error) {
	c := exec.Command(w.program, args...)
	c.Env = append(os.Environ(), "CAUSEWAY_PROFILE="+w.file("c/admin.yaml"))
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("causeway %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// stop ends the processes that were started, the PoPs before the controller.
func (w *world) stop() {
	for i := len(w.running) - 1; i >= 0; i-- {
		_ = w.running[i].Process.Signal(syscall.SIGTERM)
		over := make(chan struct{})
		go func() { _ = w.running[i].Wait(); close(over) }()
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			_ = w.running[i].Process.Kill()
			<-over
		}
	}
	w.running = nil
}

// leaks looks for what must never be in a log. It ends the processes.
func (w *world) leaks() string {
	w.stop()
	for _, out := range w.outputs {
		for _, secret := range []string{canary, access.secret, "SignatureNonce", "Signature="} {
			if strings.Contains(out.String(), secret) {
				return fmt.Sprintf("a log has %q", secret)
			}
		}
	}
	return ""
}

func (w *world) logs() string {
	w.stop()
	var all strings.Builder
	for i, out := range w.outputs {
		lines := bufio.NewScanner(bytes.NewReader(out.Bytes()))
		for lines.Scan() {
			fmt.Fprintf(&all, "%d: %s\n", i, lines.Text())
		}
	}
	return all.String()
}

// canary is in a parameter of a request, as the key of a tunnel would be.
const canary = "canary-that-sings-in-no-log"

// await tries until it succeeds, as scripts do.
func await(try func() error) error {
	var err error
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("a minute was not enough: %w", err)
}
