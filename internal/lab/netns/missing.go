package netns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Missing is something that the machine lacks and that a command can mend. Its
// text is one sentence.
type Missing struct {
	What string // what is missing, and for what
	Mend string // what to do
	Err  error  // what the system said, if it did
}

func (m *Missing) Error() string {
	text := m.What
	if m.Err != nil {
		text += fmt.Sprintf(" (%v)", m.Err)
	}
	return text + ": " + m.Mend
}

func (m *Missing) Unwrap() error { return m.Err }

// Check returns nil when namespaces and TUN devices can be made here, or a *Missing.
func Check() error {
	if os.Geteuid() != 0 {
		return &Missing{What: "network namespaces need root", Mend: "run it again with `sudo`"}
	}
	if err := tryNamespace(); err != nil {
		return privilegeMissing(err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return tunMissing(err)
	}
	return unix.Close(fd)
}

// tryNamespace makes a namespace and lets its thread end in it.
func tryNamespace() error {
	result := make(chan error, 1)
	onOwnThread(func() error {
		result <- unix.Unshare(unix.CLONE_NEWNET)
		return errSpent
	})
	return <-result
}

// errSpent makes onOwnThread end its thread.
var errSpent = fmt.Errorf("thread is spent")

func privilegeMissing(err error) error {
	if err == unix.EINVAL || err == unix.ENOSYS {
		return &Missing{What: "this kernel has no network namespaces", Mend: "use one with CONFIG_NET_NS", Err: err}
	}
	return &Missing{What: "this process may not make network namespaces",
		Mend: "run it with `sudo`, or in a container started with `docker run --privileged`", Err: err}
}

func tunMissing(err error) error {
	mend := "run `modprobe tun`; in a container, start it with `docker run --privileged --device /dev/net/tun`"
	return &Missing{What: "there is no usable TUN device /dev/net/tun", Mend: mend, Err: err}
}
