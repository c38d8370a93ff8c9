package netbench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
)

// MTU is every cable's, bytes of an IP packet.
const MTU = 1500

// Port is one end of a cable: a device in a namespace.
type Port struct {
	NS   *netns.NS
	Name string
	MAC  net.HardwareAddr

	packets, bytes, dropped gauge // received, received, not sent for want of room at the other end
	napi                    []int // the threads that receive on it
}

// CableOptions say how a cable's ends treat what they send.
type CableOptions struct {
	// Queue is how many packets wait at either end when the other end's ring, of 256, is
	// full (Linux 6.16; before that they are dropped); 0 is none.
	Queue int
	// NoSegmentation makes the sender's kernel cut joined datagrams itself, as with a
	// network card that cannot.
	NoSegmentation bool
	// Ethernet makes a Sink a device that packets can be redirected to in the kernel: a TAP.
	Ethernet bool
}

// Connect joins two namespaces by a cable with devices of those names, at most
// 8 characters each and each only once on this machine. Both ends receive with GRO
// in kernel threads of their own.
func Connect(a *netns.NS, nameA string, b *netns.NS, nameB string, o CableOptions) (*Port, *Port, error) {
	if err := netns.Veth(a, nameA, b, nameB, MTU); err != nil {
		return nil, nil, err
	}
	pa, pb := &Port{NS: a, Name: nameA}, &Port{NS: b, Name: nameB}
	for _, p := range [...]*Port{pa, pb} {
		if err := p.setUp(o); err != nil {
			return nil, nil, fmt.Errorf("set up device %s in %s: %w", p.Name, p.NS.Name(), errors.Join(err, pa.Close(), pb.Close()))
		}
	}
	return pa, pb, nil
}

// Close closes the files; the device goes with its namespace.
func (p *Port) Close() error {
	var err error
	for _, g := range [...]*gauge{&p.packets, &p.bytes, &p.dropped} {
		if g.f != nil {
			err = errors.Join(err, g.f.Close())
		}
	}
	return err
}

func (p *Port) setUp(o CableOptions) error {
	if o.Queue > 0 {
		if err := p.queue(o.Queue); err != nil {
			return err
		}
	}
	// A veth begins to poll with GRO, and only who polls can do so in a thread. It
	// spares itself the polling for what comes from a device that segments TCP.
	if err := p.set(true, "rx-gro"); err != nil {
		return err
	}
	if err := p.set(false, "tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation"); err != nil {
		return err
	}
	if o.NoSegmentation {
		if err := p.set(false, "tx-udp-segmentation"); err != nil {
			return err
		}
	}
	if err := p.inSys(p.openFiles); err != nil {
		return err
	}
	var err error
	p.napi, err = awaitThreads("napi/" + p.Name + "-")
	return err
}

// set switches features of the device.
func (p *Port) set(on bool, names ...string) error {
	return p.NS.Do(func() error {
		for _, name := range names {
			if err := setFeature(p.Name, name, on); err != nil {
				return err
			}
		}
		return nil
	})
}

// queue gives the device a queue in front of its peer's ring.
func (p *Port) queue(packets int) error {
	c := exec.Command("tc", "qdisc", "replace", "dev", p.Name, "root", "pfifo", "limit", strconv.Itoa(packets))
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := p.NS.Run(c); err != nil {
		return fmt.Errorf("queue of %d packets: %w: %s", packets, err, strings.TrimSpace(out.String()))
	}
	return nil
}

// openFiles makes the device's polling threaded and opens its counters, on a
// thread that sees its namespace's /sys.
func (p *Port) openFiles() error {
	dir := filepath.Join("/sys/class/net", p.Name)
	if err := os.WriteFile(filepath.Join(dir, "threaded"), []byte("1"), 0); err != nil {
		return fmt.Errorf("threaded NAPI (Linux 5.12 has it): %w", err)
	}
	text, err := readFile(filepath.Join(dir, "address"))
	if err != nil {
		return err
	}
	if p.MAC, err = net.ParseMAC(text); err != nil {
		return err
	}
	for name, g := range map[string]*gauge{"rx_packets": &p.packets, "rx_bytes": &p.bytes, "tx_dropped": &p.dropped} {
		if g.f, err = os.Open(filepath.Join(dir, "statistics", name)); err != nil {
			return err
		}
	}
	return nil
}

// errSpent ends the thread that netns.Do gave, which cannot go back into use.
var errSpent = errors.New("thread is spent")

// inSys calls f where /sys shows the port's namespace: it shows the one of who
// mounted it, so that takes a mount, and a thread with mounts of its own.
func (p *Port) inSys(f func() error) (err error) {
	spent := p.NS.Do(func() error {
		err = func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("unshare mounts: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("make mounts private: %w", err)
			}
			if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
				return fmt.Errorf("mount /sys: %w", err)
			}
			return f()
		}()
		return errSpent
	})
	if err == nil && !errors.Is(spent, errSpent) {
		err = spent
	}
	return err
}

// Received is what came in at a port, as the device counts it: datagrams that were
// sent joined are one packet.
type Received struct{ Packets, Bytes uint64 }

// ipUDP is the length of the headers before a UDP payload; the device counts from
// the IP header on.
const ipUDP = 20 + 8

// Datagrams is how many single datagrams of the given payload came between r and later.
func (r Received) Datagrams(later Received, payload int) uint64 {
	packets, bytes := later.Packets-r.Packets, later.Bytes-r.Bytes
	if headers := packets * ipUDP; bytes > headers {
		return (bytes - headers) / uint64(payload)
	}
	return 0
}

// Received returns the counters now.
func (p *Port) Received() (r Received, err error) {
	if r.Packets, err = p.packets.read(); err != nil {
		return r, err
	}
	r.Bytes, err = p.bytes.read()
	return r, err
}

// Dropped is how many packets found no room at the cable's other end.
func (p *Port) Dropped() (uint64, error) { return p.dropped.read() }

// Threads are the kernel threads that receive on the port.
func (p *Port) Threads() []int { return p.napi }

// awaitThreads finds kernel threads by how their names begin. It waits a moment for
// the first.
func awaitThreads(prefix string) ([]int, error) {
	prefix = prefix[:min(len(prefix), 15)] // kernels before 5.17 show no more
	for range 50 {
		var found []int
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			if name, err := readFile(filepath.Join("/proc", e.Name(), "comm")); err == nil && strings.HasPrefix(name, prefix) {
				found = append(found, pid)
			}
		}
		if len(found) > 0 {
			return found, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("no kernel thread %s… appeared: this kernel's veth cannot poll in threads (Linux 5.12 can)", prefix)
}
