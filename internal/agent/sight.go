package agent

import (
	"os"
	"syscall"
	"time"
)

// sight is what can be seen of a file without reading it. It changes when the
// file is written, replaced or removed.
type sight struct {
	exists       bool
	device, node uint64
	size         int64
	modified     time.Time
	changed      syscall.Timespec
}

func look(file string) sight {
	info, err := os.Stat(file)
	if err != nil {
		return sight{}
	}
	s := sight{exists: true, size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.node, s.changed = sys.Dev, sys.Ino, sys.Ctim
	}
	return s
}
