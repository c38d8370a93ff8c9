// Package netns makes the lab's hosts: network namespaces with links,
// addresses, routes, rules and sysctls, TUN devices whose file stays with the
// caller, and processes that run inside and die with us. It is the one door to
// netlink and setns for the lab.
//
// What the hosts are for, and which there are, it leaves to the lab; what happens
// to packets between them, to lab/wan. Everything may be done twice: making what
// exists makes it anew, deleting what is gone is no error.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// dir is where iproute2 looks for named namespaces, so `ip netns exec` finds ours.
const dir = "/run/netns"

// NS is an open network namespace. Its methods may be called from any
// goroutine. Close gives up our hold of it; Delete removes it from the machine.
type NS struct {
	name   string
	handle vns.NsHandle
	nl     *netlink.Handle

	mu      sync.Mutex
	spawner *spawner // nil until the first Start, and after Close
	closed  bool
}

var nameRule = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Prefix returns how the names of all namespaces of a lab begin.
func Prefix(lab string) string { return "cw-" + lab + "-" }

// Name returns the namespace name of a lab's node.
func Name(lab, node string) string { return Prefix(lab) + node }

// CheckLab refuses lab names that would make one lab's Prefix cover another's.
func CheckLab(lab string) error {
	if nameRule.MatchString(lab) && !strings.Contains(lab, "-") && len(lab) <= 16 {
		return nil
	}
	return fmt.Errorf("lab name %q: want 1 to 16 lower-case letters and digits", lab)
}

func checkName(name string) error {
	if nameRule.MatchString(name) && strings.HasPrefix(name, "cw-") && len(name) <= 64 {
		return nil
	}
	return fmt.Errorf("namespace name %q: want cw-<lab>-<node> in lower-case letters, digits and single dashes, at most 64 characters", name)
}

// Create makes the namespace with its loopback up. One of the same name is
// taken away first, with what runs in it left to run there.
func Create(name string) (*NS, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := Delete(name); err != nil {
		return nil, err
	}
	if err := onOwnThread(func() error { return makeNamed(name) }); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return nil, privilegeMissing(err)
		}
		return nil, fmt.Errorf("create network namespace %s: %w", name, err)
	}
	ns, err := Open(name)
	if err == nil {
		err = ns.Up("lo")
	}
	if err != nil {
		return nil, errors.Join(err, Delete(name))
	}
	return ns, nil
}

// makeNamed moves this thread to a new namespace, names it, and moves back.
func makeNamed(name string) error {
	home, err := vns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	made, err := vns.NewNamed(name)
	if err != nil {
		return err
	}
	made.Close()
	return vns.Set(home)
}

// Open opens a namespace that exists.
func Open(name string) (*NS, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	handle, err := vns.GetFromName(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open network namespace %s: there is none of that name (`ip netns list` shows what there is): %w", name, fs.ErrNotExist)
	} else if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	nl, err := netlink.NewHandleAt(handle)
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("open network namespace %s: netlink: %w", name, err)
	}
	return &NS{name: name, handle: handle, nl: nl}, nil
}

// Name returns the namespace's name.
func (ns *NS) Name() string { return ns.name }

// Close kills the processes started with Start that still run, and lets go of
// the namespace, which stays on the machine under its name. It may be called twice.
func (ns *NS) Close() {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.closed {
		return
	}
	ns.closed = true
	if ns.spawner != nil {
		ns.spawner.stop()
		ns.spawner = nil
	}
	ns.nl.Close()
	ns.handle.Close()
}

// Delete closes the namespace and removes its name. The kernel keeps it for as
// long as a process or an open file is inside.
func (ns *NS) Delete() error {
	ns.Close()
	return Delete(ns.name)
}

// Delete removes the named namespace; it is no error when there is none.
func Delete(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// A name without a mount (left by a crash half-way) is only a file.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return fmt.Errorf("delete network namespace %s: unmount %s: %w", name, path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	return nil
}

// List returns the sorted names of the namespaces that begin with prefix.
func List(prefix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

// Do calls f on a thread that is inside the namespace: sockets and files that f
// opens belong to it for good. f must not start goroutines that count on it.
func (ns *NS) Do(f func() error) error {
	return onOwnThread(func() error {
		home, err := vns.Get()
		if err != nil {
			return fmt.Errorf("enter network namespace %s: %w", ns.name, err)
		}
		defer home.Close()
		if err := vns.Set(ns.handle); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", ns.name, err)
		}
		return errors.Join(f(), vns.Set(home))
	})
}

// onOwnThread calls f on a locked thread, which goes back into use only when f
// succeeded and left it where it was: a failed f's thread may be anywhere and ends.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := f()
		if err == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
