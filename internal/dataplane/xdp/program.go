package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// doorKey is an address and port in the program's map: an IPv6 address, IPv4 ones
// mapped, and the port as packets have it.
type doorKey [20]byte

func keyOf(a netip.AddrPort) (k doorKey) {
	ip := a.Addr().As16()
	copy(k[:], ip[:])
	binary.BigEndian.PutUint16(k[16:], a.Port())
	return k
}

// maxDoors is how many addresses with port a device can have.
const maxDoors = 1 << 16

// maxQueues is how many receive queues of a device are looked for.
const maxQueues = 64

// program is what runs on the device for each packet: UDP to a door goes to the
// queue's socket, everything else, and what no socket waits for, to the kernel.
type program struct {
	prog  *ebpf.Program
	doors *ebpf.Map
	socks *ebpf.Map
	link  link.Link
	// Native is whether the driver runs it, before the kernel makes a buffer of the packet.
	native bool
}

// load brings the program into the kernel and onto the device.
func load(ifindex int) (p *program, err error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the limit on locked memory: %w", err)
	}
	p = &program{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.doors, err = ebpf.NewMap(&ebpf.MapSpec{Name: "causeway_doors", Type: ebpf.Hash, KeySize: uint32(len(doorKey{})), ValueSize: 4, MaxEntries: maxDoors, Flags: 1}); err != nil { // BPF_F_NO_PREALLOC
		return p, fmt.Errorf("make a map: %w", err)
	}
	if p.socks, err = ebpf.NewMap(&ebpf.MapSpec{Name: "causeway_socks", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: maxQueues}); err != nil {
		return p, fmt.Errorf("make a map of sockets (AF_XDP): %w", err)
	}
	p.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "causeway_doors", Type: ebpf.XDP, License: "Apache-2.0", Instructions: instructions(p.doors.FD(), p.socks.FD())})
	if err != nil {
		return p, fmt.Errorf("load the program: %w", err)
	}
	p.native = true
	p.link, err = link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		p.native = false
		var generic error
		if p.link, generic = link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: ifindex, Flags: link.XDPGenericMode}); generic != nil {
			return p, fmt.Errorf("attach the program: by the driver: %w; before the stack: %w", err, generic)
		}
	}
	return p, nil
}

// close takes the program away.
func (p *program) close() error {
	var err error
	if p.link != nil {
		err = p.link.Close()
	}
	if p.prog != nil {
		err = errors.Join(err, p.prog.Close())
	}
	for _, m := range [...]*ebpf.Map{p.doors, p.socks} {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}
	return err
}

// Offsets in an Ethernet frame.
const (
	offType  = 12
	offIP    = 14
	ethLen   = 14
	ip4Len   = 20
	ip6Len   = 40
	udpLen   = 8
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	protoUDP = 17
)

// The kernel's answers, and the key's place on the stack.
const (
	xdpPass  = 2
	keyStack = -24
)

// swap is a number of a packet's two bytes as a little-endian machine loads it.
func swap(v uint16) int32 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return int32(v>>8 | v<<8)
	}
	return int32(v)
}

// instructions are the program:
//
//	R6 context · R2 packet · R3 its end · stack: a doorKey
//
// Only what the kernel itself would give to a socket without further ado is taken:
// no VLAN tags, no IP options or extension headers, no fragments.
func instructions(doors, socks int) asm.Instructions {
	stack := func(off int16) int16 { return keyStack + off }
	list := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, ethLen+ip4Len+udpLen),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R4, asm.R2, offType, asm.Half),
		asm.JEq.Imm(asm.R4, swap(typeIPv6), "ipv6"),
		asm.JNE.Imm(asm.R4, swap(typeIPv4), "pass"),

		asm.LoadMem(asm.R4, asm.R2, offIP, asm.Byte),
		asm.JNE.Imm(asm.R4, 0x45, "pass"),
		asm.LoadMem(asm.R4, asm.R2, offIP+6, asm.Half),
		asm.And.Imm(asm.R4, swap(0x3fff)), // more fragments, or not the first
		asm.JNE.Imm(asm.R4, 0, "pass"),
		asm.LoadMem(asm.R4, asm.R2, offIP+9, asm.Byte),
		asm.JNE.Imm(asm.R4, protoUDP, "pass"),
		asm.Mov.Imm(asm.R5, 0),
		asm.StoreMem(asm.RFP, stack(0), asm.R5, asm.DWord),
		asm.StoreMem(asm.RFP, stack(8), asm.R5, asm.Half),
		asm.Mov.Imm(asm.R5, 0xffff),
		asm.StoreMem(asm.RFP, stack(10), asm.R5, asm.Half),
		asm.LoadMem(asm.R4, asm.R2, offIP+16, asm.Word),
		asm.StoreMem(asm.RFP, stack(12), asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R2, offIP+ip4Len+2, asm.Half),
		asm.Ja.Label("look"),
	}
	list = append(list,
		asm.Mov.Reg(asm.R4, asm.R2).WithSymbol("ipv6"),
		asm.Add.Imm(asm.R4, ethLen+ip6Len+udpLen),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R4, asm.R2, offIP+6, asm.Byte),
		asm.JNE.Imm(asm.R4, protoUDP, "pass"),
	)
	for i := int16(0); i < 16; i += 4 {
		list = append(list,
			asm.LoadMem(asm.R4, asm.R2, offIP+24+i, asm.Word),
			asm.StoreMem(asm.RFP, stack(i), asm.R4, asm.Word))
	}
	return append(list,
		asm.LoadMem(asm.R4, asm.R2, offIP+ip6Len+2, asm.Half),

		asm.StoreMem(asm.RFP, stack(16), asm.R4, asm.Half).WithSymbol("look"),
		asm.Mov.Imm(asm.R5, 0),
		asm.StoreMem(asm.RFP, stack(18), asm.R5, asm.Half),
		asm.LoadMapPtr(asm.R1, doors),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, keyStack),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMapPtr(asm.R1, socks),
		asm.LoadMem(asm.R2, asm.R6, 16, asm.Word), // rx_queue_index
		asm.Mov.Imm(asm.R3, xdpPass),              // when no socket waits
		asm.FnRedirectMap.Call(),
		asm.Return(),

		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return(),
	)
}
