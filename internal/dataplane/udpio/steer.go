package udpio

import (
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Several sockets can share one address. Which of them a datagram reaches is
// decided by a small program (classic BPF, as Linux has it since 4.5) that the
// sockets share too; sockets are counted in the order in which they were bound.

// Share lets sockets that are opened from now on, with Options.ReusePort, have the
// same address. The first of them is opened without, so that an address in use by
// another program is noticed.
func (c *Conn) Share() error {
	if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return fmt.Errorf("share %v: %w", c.local, err)
	}
	return nil
}

// SteerByByte makes the payload's byte at offset the number of the socket that a
// datagram goes to. One that names no socket goes to any of them.
func (c *Conn) SteerByByte(offset uint32) error {
	return c.steer([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offset, Size: 1},
		bpf.RetA{},
	})
}

// SteerBySource spreads source addresses over the first n sockets, as SourceOf does.
func (c *Conn) SteerBySource(n int) error {
	if n <= 1 {
		return c.steer([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	}
	// The network header lies before the payload: the kernel gives it at this offset.
	const network = 0xfff00000 // SKF_NET_OFF
	var load []bpf.Instruction
	if c.ipv6 { // 16 bytes of source, folded into one word
		load = append(load, bpf.LoadAbsolute{Off: network + 8, Size: 4})
		for word := uint32(12); word < 24; word += 4 {
			load = append(load, bpf.TAX{}, bpf.LoadAbsolute{Off: network + word, Size: 4}, bpf.ALUOpX{Op: bpf.ALUOpXor})
		}
	} else {
		load = append(load, bpf.LoadAbsolute{Off: network + 12, Size: 4})
	}
	return c.steer(append(load,
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: spread},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
		bpf.RetA{},
	))
}

// spread is an odd number whose products have well-mixed upper halves (2^32 / φ).
const spread = 0x9e3779b1

// SourceOf is the socket, of n, to which SteerBySource takes what comes from a.
func SourceOf(a netip.Addr, n int) int {
	if n <= 1 {
		return 0
	}
	var word uint32
	for i, b := range a.Unmap().AsSlice() {
		word ^= uint32(b) << (24 - 8*(i%4))
	}
	return int(word * spread >> 16 % uint32(n))
}

func (c *Conn) steer(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("steer %v: %w", c.local, err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	err = unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	runtime.KeepAlive(filter)
	if err != nil {
		return fmt.Errorf("steer %v: %w", c.local, err)
	}
	return nil
}

// PinThread binds the calling goroutine to a thread, and that to a CPU, for good.
func PinThread(cpu int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w; see /proc/self/status, Cpus_allowed_list, for those there are", cpu, err)
	}
	return nil
}

// BusyPoll makes reads look into the device's queue itself for up to d before
// they find nothing (SO_BUSY_POLL). Needs CAP_NET_ADMIN; not every device can.
func (c *Conn) BusyPoll(d time.Duration) error {
	err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_BUSY_POLL, int(d/time.Microsecond))
	c.busy = err == nil
	return err
}

// BusyPolls reports whether BusyPoll was granted.
func (c *Conn) BusyPolls() bool { return c.busy }
