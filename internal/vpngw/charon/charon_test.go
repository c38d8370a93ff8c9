package charon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake is a daemon that is a shell script.
func fake(t *testing.T, script string) *Daemon {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "charon")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Path: path, Dir: filepath.Join(dir, "run"), Libipsec: true}
	t.Cleanup(d.Kill)
	return d
}

func gone(t *testing.T, d *Daemon) {
	t.Helper()
	select {
	case <-d.Gone():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed that the daemon ended")
	}
}

func TestADaemonThatEndsIsNoticedWithItsLastWords(t *testing.T) {
	d := fake(t, "echo port 500 is taken >&2; exit 3")
	if d.Alive() || d.Gone() != nil || d.PID() != 0 {
		t.Error("a daemon that was never started is there")
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	gone(t, d)
	if d.Alive() || d.LastWords() != "port 500 is taken" {
		t.Errorf("alive %v, last words %q", d.Alive(), d.LastWords())
	}
}

func TestTheNextAgentFindsTheDaemonAgain(t *testing.T) {
	d := fake(t, "exec sleep 60")
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	next := &Daemon{Path: d.Path, Dir: d.Dir}
	if !next.Adopt() || next.PID() != d.PID() || !next.Alive() {
		t.Fatal("it was not found")
	}
	next.Kill()
	gone(t, d)
	if again := (&Daemon{Path: d.Path, Dir: d.Dir}); again.Adopt() {
		t.Error("a daemon that has ended was found")
	}
}

func TestAnotherProcessIsNotTakenForTheDaemon(t *testing.T) {
	d := fake(t, "exec sleep 60")
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "charon.pid"), fmt.Appendln(nil, other.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	if d.Adopt() {
		t.Error("a process with a recycled number was taken for the daemon")
	}
}

func TestADaemonThatIsStoppedLeavesNothing(t *testing.T) {
	d := fake(t, "exec sleep 60")
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	d.Stop()
	if d.Alive() {
		t.Error("it lives")
	}
	if _, err := os.Stat(filepath.Join(d.Dir, "charon.pid")); err == nil {
		t.Error("its number is left")
	}
}

func TestSettingsBearManyBranchesBehindOneAddress(t *testing.T) {
	d := &Daemon{Dir: "/run/gw", Libipsec: true}
	for _, want := range []string{"block_threshold = 0", "cookie_threshold = 30", "kernel-libipsec kernel-netlink", "unix:///run/gw/charon.vici", "install_routes = no"} {
		if !strings.Contains(d.Settings(), want) {
			t.Errorf("the settings lack %q", want)
		}
	}
	if fast, slow := strings.Index(d.Settings(), " openssl "), strings.Index(d.Settings(), " gcm "); fast < 0 || slow < fast {
		t.Error("charon's own AES-GCM is asked before OpenSSL's")
	}
	d.Libipsec = false
	if strings.Contains(strings.SplitN(d.Settings(), "\n", 3)[1], "libipsec") {
		t.Error("libipsec is loaded although the kernel does ESP")
	}
}
