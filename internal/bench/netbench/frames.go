package netbench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// frames hands packets to a port in the way a network card's driver has them when they
// have come in: each in a page with room in front, and nothing of the kernel's own around it. A
// packet that was sent over a socket is more than that, and a program on the device (XDP) that is
// to look at it costs a copy first, which no card's driver makes.
//
// A TAP device makes them of what is written to it; a program on it sends each on, out of
// the port. The writer pays for all that.
type frames struct {
	fd   int
	prog *ebpf.Program
	link link.Link
}

// ErrNoFrames is wrapped by what NewGenerator returns where the kernel does not let it hand over Frames.
var ErrNoFrames = errors.New("hand over frames as a driver does")

// openFrames makes the device and the program in this thread's namespace.
func openFrames(port string) (f *frames, err error) {
	f = &frames{fd: -1}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w: %w", ErrNoFrames, err), f.close())
		}
	}()
	name := port + "f"
	if f.fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
		return f, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return f, err
	}
	r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(f.fd, unix.TUNSETIFF, r); err != nil {
		return f, fmt.Errorf("make TAP %s: %w", name, err)
	}
	tap, err := net.InterfaceByName(name)
	if err != nil {
		return f, err
	}
	out, err := net.InterfaceByName(port)
	if err != nil {
		return f, err
	}
	f.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "causeway_frames", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R1, int32(out.Index)),
			asm.Mov.Imm(asm.R2, 0),
			asm.FnRedirect.Call(),
			asm.Return(),
		},
	})
	if err != nil {
		return f, fmt.Errorf("load the program that sends frames on: %w", err)
	}
	if f.link, err = link.AttachXDP(link.XDPOptions{Program: f.prog, Interface: tap.Index, Flags: link.XDPDriverMode}); err != nil {
		return f, fmt.Errorf("attach the program to TAP %s: %w", name, err)
	}
	return f, nil
}

// send hands one Ethernet frame over. What finds no room at the other end is counted there.
func (f *frames) send(frame []byte) error {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(f.fd), uintptr(unsafe.Pointer(&frame[0])), uintptr(len(frame)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR, unix.EAGAIN:
		default:
			return fmt.Errorf("generator: hand over a frame of %d bytes: %w", len(frame), errno)
		}
	}
}

func (f *frames) close() error {
	var err error
	if f.link != nil {
		err = f.link.Close()
	}
	if f.prog != nil {
		err = errors.Join(err, f.prog.Close())
	}
	if f.fd >= 0 {
		err = errors.Join(err, unix.Close(f.fd))
	}
	return err
}
