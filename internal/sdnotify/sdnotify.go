// Package sdnotify tells systemd how a daemon is (sd_notify(3)), when systemd
// asked for it. What is said, and when, is left to the daemons.
package sdnotify

import (
	"net"
	"os"
	"strings"
)

// Send sends lines such as READY=1. What goes wrong is nobody's problem and is
// ignored.
func Send(lines ...string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"}) // "@" is an abstract name to both
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(strings.Join(lines, "\n")))
}
