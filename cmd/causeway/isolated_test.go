package main

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// isolated runs the calling test once more, in a process in a network namespace of its
// own with loopback up, and reports that it did: the caller returns then. In that process,
// and without root, it reports false. So no port is another test's.
func isolated(t *testing.T) bool {
	t.Helper()
	const inside = "CAUSEWAY_TEST_ISOLATED"
	if os.Getenv(inside) != "" {
		ip(t, "link", "set", "lo", "up")
		return false
	}
	if os.Geteuid() != 0 {
		return false
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=400s", "-test.v="+strconv.FormatBool(testing.Verbose()))
	again.Env = append(os.Environ(), inside+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
	return true
}
