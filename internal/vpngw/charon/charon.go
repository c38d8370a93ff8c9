// Package charon runs strongSwan's IKE daemon for the gateway agent: it writes
// the daemon's configuration, starts it, notices that it is gone, ends one that
// hangs, and finds again the one that an agent before this one had started. A
// daemon that systemd runs is left to systemd, and only told when to restart.
//
// What the daemon is to do it hears over its control socket (package swan).
package charon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Paths are where distributions put the daemon that can be started by hand,
// several times, without a pid file.
var Paths = []string{"/usr/sbin/charon-systemd", "/usr/libexec/ipsec/charon-systemd", "/usr/lib/strongswan/charon-systemd"}

// Find returns the daemon's path, or "" where it is not installed.
func Find() string {
	for _, p := range Paths {
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// Daemon is one charon.
type Daemon struct {
	Path     string // of the program; "": systemd runs it, as Unit
	Unit     string // of systemd: strongswan.service
	Dir      string // for its configuration, its socket, and what it says; only root's
	Socket   string // where it is told what to do; default: charon.vici in Dir
	Libipsec bool   // it does ESP itself
	Log      *slog.Logger

	process *running // that we started or found; nil: none
}

// running is a charon with a process ID.
type running struct {
	pid  int
	gone chan struct{} // closed when it has ended
}

// ControlSocket is where the daemon is told what to do.
func (d *Daemon) ControlSocket() string {
	if d.Socket != "" {
		return d.Socket
	}
	return filepath.Join(d.Dir, "charon.vici")
}

func (d *Daemon) file(name string) string { return filepath.Join(d.Dir, name) }

// PID is the daemon's process, or 0 where systemd knows it.
func (d *Daemon) PID() int {
	if d.process == nil {
		return 0
	}
	return d.process.pid
}

// Gone is closed when the daemon's process ends. It is nil, and so never ready,
// where there is none of ours.
func (d *Daemon) Gone() <-chan struct{} {
	if d.process == nil {
		return nil
	}
	return d.process.gone
}

// Alive reports whether the daemon's process runs, as far as this can be known.
func (d *Daemon) Alive() bool {
	if d.process == nil {
		return d.Path == ""
	}
	select {
	case <-d.process.gone:
		return false
	default:
		return true
	}
}

// Adopt finds the daemon that an agent before this one had started in the same
// folder, and reports whether there is one.
func (d *Daemon) Adopt() bool {
	text, err := os.ReadFile(d.file("charon.pid"))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || convErr != nil || !d.isOurs(pid) {
		return false
	}
	d.process = &running{pid: pid, gone: make(chan struct{})}
	go watch(*d.process)
	return true
}

// isOurs reports whether a process is a charon with our configuration.
func (d *Daemon) isOurs(pid int) bool {
	// While a process starts a program, its environment is empty for a moment: it is
	// asked again. It is read by one call: a second one could find another program's.
	env := make([]byte, 1<<20)
	for range 50 {
		file, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return false
		}
		n, err := file.Read(env)
		_ = file.Close()
		if n > 0 {
			return strings.Contains("\x00"+string(env[:n]), "\x00STRONGSWAN_CONF="+d.file("strongswan.conf")+"\x00")
		}
		if err != io.EOF {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// watch closes gone when a process that is no child of ours has ended.
func watch(r running) {
	defer close(r.gone)
	if waitPidfd(r.pid) {
		return
	}
	for syscall.Kill(r.pid, 0) == nil {
		time.Sleep(200 * time.Millisecond)
	}
}

// Start starts the daemon, ending one of ours that is still there. It does not
// wait until it answers.
func (d *Daemon) Start() error {
	d.Kill()
	if d.Path == "" {
		return d.systemctl("restart")
	}
	if err := d.write(); err != nil {
		return fmt.Errorf("start charon: %w", err)
	}
	_ = os.Remove(d.ControlSocket()) // of one that was killed
	words, err := os.OpenFile(d.file("charon.out"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("start charon: %w", err)
	}
	defer words.Close()
	cmd := exec.Command(d.Path)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+d.file("strongswan.conf"), "SWANCTL_DIR="+d.Dir, "NOTIFY_SOCKET=")
	cmd.Stdout, cmd.Stderr = words, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives an agent that is killed
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start charon: %w", err)
	}
	r := &running{pid: cmd.Process.Pid, gone: make(chan struct{})}
	go func() { defer close(r.gone); _ = cmd.Wait() }()
	d.process = r
	return os.WriteFile(d.file("charon.pid"), fmt.Appendln(nil, r.pid), 0o600)
}

// Kill ends the daemon at once, for one that hangs, and waits until it has ended.
func (d *Daemon) Kill() {
	if d.process == nil {
		if d.Path == "" {
			_ = d.systemctl("kill", "--signal=KILL")
		}
		return
	}
	_ = syscall.Kill(d.process.pid, syscall.SIGKILL)
	d.await(5 * time.Second)
	d.process = nil
}

// Stop ends a daemon of ours in order: peers are told. systemd's goes on.
func (d *Daemon) Stop() {
	if d.process == nil {
		return
	}
	_ = syscall.Kill(d.process.pid, syscall.SIGTERM)
	if !d.await(5 * time.Second) {
		d.Kill()
	}
	d.process = nil
	for _, name := range []string{"charon.pid", "charon.vici"} {
		_ = os.Remove(d.file(name))
	}
}

func (d *Daemon) await(atMost time.Duration) bool {
	select {
	case <-d.process.gone:
		return true
	case <-time.After(atMost):
		return false
	}
}

// LastWords is what the daemon said last before it had a socket, for messages.
func (d *Daemon) LastWords() string {
	text, _ := os.ReadFile(d.file("charon.out"))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

func (d *Daemon) systemctl(verb string, flags ...string) error {
	out, err := exec.Command("systemctl", append(append([]string{verb}, flags...), d.Unit)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s %s: %w", verb, d.Unit, errors.Join(err, errors.New(strings.TrimSpace(string(out)))))
	}
	return nil
}

// SystemdRuns reports whether this machine is run by systemd and has the unit.
func SystemdRuns(unit string) bool {
	if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() {
		return false
	}
	return exec.Command("systemctl", "cat", unit).Run() == nil
}
