package sdnotify

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Reloading says that a reload has begun, and when: systemd wants the instant on
// CLOCK_MONOTONIC to tell a reload from the one before (Type=notify-reload).
func Reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	Send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}
