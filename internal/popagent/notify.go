package popagent

import (
	"fmt"

	"golang.org/x/sys/unix"

	"causeway/internal/sdnotify"
)

// notifier tells systemd how the PoP is.
type notifier struct{}

func (notifier) send(lines ...string) { sdnotify.Send(lines...) }

// reloading says that a reload has begun, and when: systemd wants the instant on
// CLOCK_MONOTONIC to tell a reload from the one before (Type=notify-reload).
func (n notifier) reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}
