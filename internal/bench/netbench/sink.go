package netbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
)

// Sink is where the line ends: a TUN (or TAP) device of the last box, whose queue holds all
// that can be on its way. The generator empties it when it is its turn, so the box
// that sends is neither interrupted nor made to wake anybody.
type Sink struct {
	Name string
	// Cuts is true where the device takes joined datagrams as one packet, as a network
	// card does that cuts them itself (Linux 6.2).
	Cuts bool

	fd    int
	count atomic.Uint64 // datagrams since the beginning
	buf   []byte
	link  int // bytes of a link's header in front of each packet
}

// sinkQueue is how many packets wait for the generator's turn.
const sinkQueue = 8192

// OpenSink makes a sink in a namespace, up and without an address.
func OpenSink(ns *netns.NS, name string, o CableOptions) (*Sink, error) {
	s := &Sink{Name: name, fd: -1, buf: make([]byte, offloadLen+65536)}
	err := ns.Do(func() error { return s.open(o) })
	if err == nil {
		err = ns.Up(name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make sink %s in %s: %w", name, ns.Name(), err), s.Close())
	}
	return s, nil
}

func (s *Sink) open(o CableOptions) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	s.fd = fd
	r, err := unix.NewIfreq(s.Name)
	if err != nil {
		return err
	}
	kind := uint16(unix.IFF_TUN)
	if o.Ethernet {
		kind, s.link = unix.IFF_TAP, ethernetLen
	}
	r.SetUint16(kind | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return err
	}
	const checksum, cutsUDP4, cutsUDP6 = 0x01, 0x20, 0x40 // TUN_F_CSUM, TUN_F_USO4, TUN_F_USO6
	s.Cuts = !o.NoSegmentation && unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, checksum|cutsUDP4|cutsUDP6) == nil
	if !s.Cuts {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, checksum); err != nil {
			return err
		}
	}
	return setQueueLength(s.Name, sinkQueue)
}

// setQueueLength sets how many packets a device of this thread's namespace queues.
func setQueueLength(device string, n int32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r := struct {
		name [unix.IFNAMSIZ]byte
		n    int32
		_    [20]byte
	}{n: n}
	copy(r.name[:unix.IFNAMSIZ-1], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFTXQLEN, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return errno
	}
	return nil
}

// Close closes the sink; its device goes.
func (s *Sink) Close() error {
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}

// Count is how many datagrams have come in, joined ones counted singly, as far as
// they were taken out. Any goroutine may ask.
func (s *Sink) Count() uint64 { return s.count.Load() }

// drain takes out what has come, datagrams of the given payload.
func (s *Sink) drain(payload int) error {
	for {
		n, err := s.read()
		if err != nil || n == 0 {
			return err
		}
		if udp := n - offloadLen - s.link - ipUDP; udp > 0 && s.buf[offloadLen+s.link]>>4 == 4 {
			s.count.Add(uint64(udp / payload))
		}
	}
}

// read reads one packet; n is 0 when there is none.
func (s *Sink) read() (n int, err error) {
	for {
		got, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&s.buf[0])), uintptr(len(s.buf)))
		switch errno {
		case 0:
			return int(got), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, fmt.Errorf("read from sink %s: %w", s.Name, errno)
		}
	}
}

// Answer sends every datagram that comes within a time back to where it came from, as
// an endpoint that is there would. A bit of the payload's second byte is turned: of ESP, each
// direction has an SPI of its own. Not while a generator runs.
func (s *Sink) Answer(during time.Duration) error {
	for end := time.Now().Add(during); time.Now().Before(end); {
		n, err := s.read()
		if err != nil {
			return err
		}
		if n == 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		if turnRound(s.buf[:n], s.link) {
			if _, err := unix.Write(s.fd, s.buf[:n]); err != nil {
				return fmt.Errorf("answer at sink %s: %w", s.Name, err)
			}
		}
	}
	return nil
}

// turnRound makes an answer of a UDP packet; joined ones are not answered.
func turnRound(b []byte, link int) bool {
	ip := b[offloadLen+link:]
	const joined = 1 // of struct virtio_net_hdr: the GSO type
	if len(b) <= offloadLen+link+ipUDP || ip[0] != 0x45 || ip[9] != unix.IPPROTO_UDP || b[joined] != 0 {
		return false
	}
	clear(b[:offloadLen])
	for i := range link * 6 / ethernetLen { // both addresses
		b[offloadLen+i], b[offloadLen+6+i] = b[offloadLen+6+i], b[offloadLen+i]
	}
	for i := range 4 {
		ip[12+i], ip[16+i] = ip[16+i], ip[12+i]
	}
	udp := ip[20:]
	udp[0], udp[1], udp[2], udp[3] = udp[2], udp[3], udp[0], udp[1]
	binary.BigEndian.PutUint16(udp[6:], 0) // no checksum (RFC 768)
	udp[9] ^= 0x80
	return true
}
