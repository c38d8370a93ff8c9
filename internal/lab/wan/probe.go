package wan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
)

// prober sends numbered packets from one host to another and notes how long
// each took, from just before the sender's system call to the kernel's stamp at the
// receiving device.
type prober struct {
	out, in net.PacketConn
	to      netip.AddrPort
}

// probes is the fate of a train of packets, by their number.
type probes struct {
	sentAt []int64 // nanoseconds of the wall clock
	cameAt []int64 // 0 is lost
}

const (
	probePort     = 7007
	probePriority = 40 // below the emulator's, above everything ordinary
	// receiveBuffer holds what comes while the receiver does not run.
	receiveBuffer = 64 << 20
)

func newProber(from, to *netns.NS, src, dst netip.Addr) (*prober, error) {
	p := &prober{to: netip.AddrPortFrom(dst, probePort)}
	err := from.Do(func() (err error) {
		p.out, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, probePort)))
		return err
	})
	if err == nil {
		err = to.Do(p.listen)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("open probe sockets: %w", err)
	}
	return p, nil
}

func (p *prober) listen() error {
	var failed error
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		err := c.Control(func(fd uintptr) {
			failed = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer))
		})
		return errors.Join(err, failed)
	}}
	var err error
	p.in, err = config.ListenPacket(context.Background(), "udp4", p.to.String())
	return err
}

func (p *prober) close() {
	for _, c := range []net.PacketConn{p.out, p.in} {
		if c != nil {
			c.Close()
		}
	}
}

// run sends count packets of size bytes (IP length) at pps, and waits for the
// last to come for up to patience.
func (p *prober) run(ctx context.Context, count, size, pps int, patience time.Duration) (*probes, error) {
	r := &probes{sentAt: make([]int64, count), cameAt: make([]int64, count)}
	p.in.SetReadDeadline(time.Time{})
	received := make(chan error, 1)
	go func() { received <- p.receive(r) }()
	err := p.send(ctx, r, size, pps)
	p.in.SetReadDeadline(time.Now().Add(patience))
	return r, errors.Join(err, <-received)
}

// send sends the train on a thread of its own, each packet at its time or as soon after
// as the thread runs.
func (p *prober) send(ctx context.Context, r *probes, size, pps int) error {
	raw, err := p.out.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its priority
		beRealtime(probePriority)
		var failed error
		err := raw.Control(func(fd uintptr) { failed = p.sendAll(ctx, int(fd), r, size, pps) })
		done <- errors.Join(err, failed)
	}()
	return <-done
}

func (p *prober) sendAll(ctx context.Context, fd int, r *probes, size, pps int) error {
	to := &unix.SockaddrInet4{Port: int(p.to.Port()), Addr: p.to.Addr().As4()}
	payload := make([]byte, size-28)
	start := time.Now()
	for i := range r.sentAt {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(pps))
		if d := time.Until(due); d > 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			ts := unix.NsecToTimespec(int64(d))
			unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		}
		binary.BigEndian.PutUint32(payload, uint32(i))
		r.sentAt[i] = time.Now().UnixNano()
		if err := unix.Sendto(fd, payload, 0, to); err != nil {
			return fmt.Errorf("send probe: %w", err)
		}
	}
	return nil
}

// receive notes what comes until the read deadline passes or all has come. A receiver
// that did not run until after the deadline still takes what waits for it.
func (p *prober) receive(r *probes) error {
	conn := ipv4.NewPacketConn(p.in)
	batch := make([]ipv4.Message, 64)
	for i := range batch {
		batch[i].Buffers = [][]byte{make([]byte, 65536)}
		batch[i].OOB = make([]byte, 128)
	}
	const last = 20 * time.Millisecond
	for missing, late := len(r.cameAt), false; missing > 0; {
		n, err := conn.ReadBatch(batch, 0)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !late:
			late = true
			p.in.SetReadDeadline(time.Now().Add(last))
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("receive probes: %w", err)
		}
		for i := range batch[:n] {
			if r.note(&batch[i]) {
				missing--
			}
		}
	}
	return nil
}

// note writes down an arrival, and reports whether it is the packet's first.
func (r *probes) note(m *ipv4.Message) bool {
	if m.N < 4 {
		return false
	}
	i := binary.BigEndian.Uint32(m.Buffers[0])
	stamp := kernelStamp(m.OOB[:m.NN])
	if int(i) >= len(r.cameAt) || r.cameAt[i] != 0 || stamp == 0 {
		return false
	}
	r.cameAt[i] = stamp
	return true
}

// kernelStamp finds the time of arrival among control messages.
func kernelStamp(oob []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			var ts unix.Timespec
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&ts)), unsafe.Sizeof(ts)), m.Data)
			return ts.Nano()
		}
	}
	return 0
}

// lost returns which packets did not come.
func (r *probes) lost() []bool {
	lost := make([]bool, len(r.cameAt))
	for i, at := range r.cameAt {
		lost[i] = at == 0
	}
	return lost
}
