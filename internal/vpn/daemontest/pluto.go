package daemontest

import (
	"os"
	"path/filepath"
)

// libreswan is where libreswan lies: unpacked by scripts/setup.sh into .cache,
// because its package and strongSwan's cannot both be installed.
func libreswan() string {
	dir, _ := os.Getwd()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache", "libreswan")
		}
	}
	return ""
}

// NSSTools is the folder of NSS's programs. They need its libraries, which they
// find beside themselves.
func NSSTools() string { return libreswan() + "/usr/bin" }

// InitNSS makes the database in h.Dir/nss that libreswan reads certificates
// from. The test is skipped where there is no libreswan.
func (h *Host) InitNSS() {
	h.t.Helper()
	root := libreswan()
	for _, p := range []string{"/usr/libexec/ipsec/pluto", "/usr/libexec/ipsec/whack", "/usr/bin/certutil"} {
		if _, err := os.Stat(root + p); err != nil {
			h.t.Skipf("%s is missing: run scripts/setup.sh", root+p)
		}
	}
	must(h.t, os.MkdirAll(h.Dir+"/nss", 0o700))
	h.MustRun("env", libraries(root), root+"/usr/bin/certutil", "-N", "-d", "sql:"+h.Dir+"/nss", "--empty-password")
}

// Pluto starts libreswan with h.Dir's ipsec.conf and ipsec.secrets, and the
// database that InitNSS has made. It has a view
// of its own of /usr/libexec and /run, where it expects its parts. It does ESP
// in the kernel and nowhere else.
func (h *Host) Pluto() {
	h.t.Helper()
	root := libreswan()
	must(h.t, os.MkdirAll(h.Dir+"/run", 0o700))
	script := `set -e
mount -t tmpfs tmpfs /usr/libexec
mkdir /usr/libexec/ipsec
mount --bind ` + root + `/usr/libexec/ipsec /usr/libexec/ipsec
mount -t tmpfs tmpfs /run
mkdir /run/pluto
exec /usr/libexec/ipsec/pluto --nofork --logfile "$0/daemon.log" --config "$0/ipsec.conf" --nssdir "$0/nss" --ipsecdir "$0" --rundir "$0/run" --secretsfile "$0/ipsec.secrets" --use-xfrm --no-dnssec`
	h.start([]string{libraries(root)}, "unshare", "-m", "--propagation", "private", "sh", "-c", script, h.Dir)
	Until(h.t, func() error { _, err := h.Whack("--status"); return err })
	h.Await("listening for IKE messages")
}

func libraries(root string) string { return "LD_LIBRARY_PATH=" + root + "/usr/lib/x86_64-linux-gnu" }

// Whack tells pluto something.
func (h *Host) Whack(args ...string) (string, error) {
	return h.Run(append([]string{"env", libraries(libreswan()), libreswan() + "/usr/libexec/ipsec/whack", "--ctlsocket", h.Dir + "/run/pluto.ctl"}, args...)...)
}

// AddConnection reads one connection of ipsec.conf into pluto and returns what
// is said to it. That it went through stands in the log: "added IKEv2 connection".
func (h *Host) AddConnection(name string) string {
	h.t.Helper()
	said, _ := h.Run("env", libraries(libreswan()), libreswan()+"/usr/libexec/ipsec/addconn", "--config", h.Dir+"/ipsec.conf", "--ctlsocket", h.Dir+"/run/pluto.ctl", name)
	return said
}
