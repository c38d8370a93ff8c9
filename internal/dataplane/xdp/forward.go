package xdp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Forwarding in the kernel: ESP of a session that its owner has handed over goes from
// device to device without being given to anyone. The program finds it by addresses and
// ports and by its SPI, puts the session's other addresses in, and sends it where the
// kernel's routes and neighbours say. Whatever is unusual is left to user space: another
// SPI, IKE, a packet too large for the way out, a neighbour that is not known.

// flowValue is a flow in the program's map; flow4 its key, as a packet has it.
type flowValue struct {
	source, target [4]byte
	ports          [4]byte // the new ones, as a packet has them
	ipDelta        uint16  // by which checksums change, in this machine's order
	udpDelta       uint16
	flags          uint32 // 0: it is only known to be a client's
	slot           uint32 // of its counts
	spi            [2][4]byte
	credit         [2]Credit
}

type flow4 struct {
	source, target [4]byte
	ports          [4]byte
}

// Offsets in a flowValue, its size, and its flags.
const (
	flowSource, flowTarget, flowPorts, flowIPDelta, flowUDPDelta = 0, 4, 8, 12, 14
	flowFlags, flowSlot, flowSPI, flowCredit, flowSize           = 16, 20, 24, 32, 40

	flowForward = 1 // it leaves
	flowSealed  = 2 // it is sealed datagrams of PoPs, not ESP
	flowTaken   = 4 // it is a client's, of a listener whose door is open: for the socket without further ado
)

// slotValue is what is counted of a flow, and the program's note of its way: a line of the
// cache. Kernel and program share the memory.
type slotValue struct {
	packets, bytes uint64
	newest         [2]uint32 // number of each of the flow's SPIs

	span     uint64 // of time, that the way was asked for in
	to, from [6]byte
	device   uint32
	longest  uint16 // IP packet that it was found to take
	tos      uint8  // of it
	_        [13]byte
}

const (
	slotPackets, slotBytes, slotNewest, slotSize = 0, 8, 16, 64

	slotSpan, slotTo, slotFrom, slotDevice, slotLongest, slotTOS = 24, 32, 38, 44, 48, 50
)

// waySpan is for how long a way that the kernel has told of is used: until 1<<waySpan of its ticks
// have ended, which is a tenth of a second or so, and at most a third (ticks are 1 to 10 ms).
// A route or neighbour that has changed is noticed then.
const waySpan = 5

// ends is a packet's two ends as its bytes have them.
func (k *flow4) set(from, to netip.AddrPort) {
	k.source, k.target = from.Addr().Unmap().As4(), to.Addr().Unmap().As4()
	binary.BigEndian.PutUint16(k.ports[:], from.Port())
	binary.BigEndian.PutUint16(k.ports[2:], to.Port())
}

func (k *flow4) bytes() []byte {
	b := append([]byte(nil), k.source[:]...)
	return append(append(b, k.target[:]...), k.ports[:]...)
}

func (v *flowValue) bytes() []byte {
	b := make([]byte, 0, flowSize)
	b = append(append(append(b, v.source[:]...), v.target[:]...), v.ports[:]...)
	b = binary.NativeEndian.AppendUint16(b, v.ipDelta)
	b = binary.NativeEndian.AppendUint16(b, v.udpDelta)
	b = binary.NativeEndian.AppendUint32(b, v.flags)
	b = binary.NativeEndian.AppendUint32(b, v.slot)
	b = append(append(b, v.spi[0][:]...), v.spi[1][:]...)
	b = binary.NativeEndian.AppendUint32(b, uint32(v.credit[0]))
	return binary.NativeEndian.AppendUint32(b, uint32(v.credit[1]))
}

// delta is what RFC 1624 adds to a checksum's complement when words change: the sum
// of the complements of the old ones and of the new ones.
func delta(old, now []byte) (d uint16) {
	s := uint32(0)
	for i := 0; i < len(old); i += 2 {
		s += uint32(^binary.NativeEndian.Uint16(old[i:])) + uint32(binary.NativeEndian.Uint16(now[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// oneHopLess is what a TTL less by one adds, whatever it was.
var oneHopLess = delta([]byte{1, 0}, []byte{0, 0})

// Forwarding is one direction of a session that the kernel is to carry: what comes
// From To leaves with the source As towards Next: ESP, or sealed datagrams between PoPs.
type Forwarding struct {
	From, To, As, Next netip.AddrPort
	SPI                [2]uint32 // of its ESP; 0: none
	Sealed             bool      // instead: whatever a PoP may send another
	Credit             [2]Credit // that its bytes use up
}

// MinSealed is how many bytes a datagram between PoPs has at least: a header and a tag.
const MinSealed = 32

// IsSealed reports whether a datagram can be one that PoPs send one another, sealed or to
// agree on keys, as the program finds it.
func IsSealed(b []byte) bool {
	return len(b) >= MinSealed && b[0] >= typeInitiation && b[0] <= typeData
}

// possible reports whether the program can do it: IPv4 alone.
func (f *Forwarding) possible() bool {
	for _, a := range [...]netip.AddrPort{f.From, f.To, f.As, f.Next} {
		if !a.Addr().Unmap().Is4() {
			return false
		}
	}
	return true
}

func (f *Forwarding) key() (k flow4) {
	k.set(f.From, f.To)
	return k
}

func (f *Forwarding) value(slot uint32) (v flowValue) {
	var now flow4
	old := f.key()
	now.set(f.As, f.Next)
	v = flowValue{source: now.source, target: now.target, ports: now.ports, flags: flowForward, slot: slot, credit: f.Credit}
	if f.Sealed {
		v.flags |= flowSealed
	}
	addresses := delta(old.bytes()[:8], now.bytes()[:8])
	v.ipDelta = add16(addresses, oneHopLess)
	v.udpDelta = delta(old.bytes(), now.bytes())
	for i, spi := range f.SPI {
		binary.BigEndian.PutUint32(v.spi[i][:], spi)
	}
	return v
}

func add16(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s>>16 + s&0xffff)
}

// Forward has the kernel carry a direction of a session, and returns the slot of its
// counts, which begin at zero; Change sets its SPIs anew. It fails where the kernel
// has no room, or cannot do it; then nothing has changed.
func (k *Kernel) Forward(f Forwarding) (slot uint32, err error) {
	if !f.possible() {
		return 0, fmt.Errorf("forward %v to %v: IPv4 alone is forwarded in the kernel", f.From, f.Next)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.freeSlots)
	if n == 0 {
		return 0, fmt.Errorf("forward %v to %v: %d flows are forwarded already", f.From, f.Next, maxSlots)
	}
	slot = k.freeSlots[n-1]
	k.slots[slot] = slotValue{}
	key, value := f.key(), f.value(slot)
	if err := k.flows4.Put(key.bytes(), value.bytes()); err != nil {
		return 0, fmt.Errorf("forward %v to %v: %w", f.From, f.Next, err)
	}
	k.freeSlots = k.freeSlots[:n-1]
	k.forwarded++
	return slot, nil
}

// Change gives a direction that is forwarded other SPIs. newest are the numbers they
// are at.
func (k *Kernel) Change(slot uint32, f Forwarding, newest [2]uint32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, value := f.key(), f.value(slot)
	for i, n := range newest {
		atomic.StoreUint32(&k.slots[slot].newest[i], n)
	}
	if err := k.flows4.Put(key.bytes(), value.bytes()); err != nil {
		return fmt.Errorf("forward %v to %v: %w", f.From, f.Next, err)
	}
	return nil
}

// Recall ends it, and returns what Carried would have at the very last. known tells that
// what comes From To is still a client's.
func (k *Kernel) Recall(slot uint32, f Forwarding, known bool) (packets, bytes uint64, newest [2]uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := f.key()
	if known {
		v := k.knownAt(f.To)
		err = k.flows4.Put(key.bytes(), v.bytes())
	} else if err = k.flows4.Delete(key.bytes()); isAbsent(err) {
		err = nil
	}
	packets, bytes, newest = k.Carried(slot)
	k.freeSlots = append(k.freeSlots, slot)
	k.forwarded--
	if err != nil {
		err = fmt.Errorf("carry what comes from %v: %w", f.From, err)
	}
	return packets, bytes, newest, err
}

// Carried tells what a slot has counted since Forward: packets, bytes of UDP payload,
// and the highest number of each SPI.
func (k *Kernel) Carried(slot uint32) (packets, bytes uint64, newest [2]uint32) {
	s := &k.slots[slot]
	return atomic.LoadUint64(&s.packets), atomic.LoadUint64(&s.bytes),
		[2]uint32{atomic.LoadUint32(&s.newest[0]), atomic.LoadUint32(&s.newest[1])}
}

// Forwarded is how many directions of sessions the kernel carries now.
func (k *Kernel) Forwarded() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.forwarded
}

func isAbsent(err error) bool { return isErr(err, ebpf.ErrKeyNotExist) }

// forwarding carries a packet of a flow, R8, on; what it does not, goes on at "look4".
// Nothing of the packet changes before it is sure that it leaves.
func forwarding(m *maps) asm.Instructions {
	var p asm.Instructions
	add := func(list ...asm.Instruction) { p = append(p, list...) }
	label := func(name string) { add(asm.Mov.Reg(asm.R0, asm.R6).WithSymbol(name)) }
	add(
		asm.LoadMem(asm.R4, asm.RFP, stState, asm.DWord),
		asm.And.Imm(asm.R4, stateForward),
		asm.JEq.Imm(asm.R4, 0, "look4"),
		asm.LoadMem(asm.R4, asm.R7, offTTL, asm.Byte),
		asm.JLE.Imm(asm.R4, 1, "look4"),

		// What PoPs send one another (IsSealed)
		asm.LoadMem(asm.R4, asm.R8, flowFlags, asm.Word),
		asm.And.Imm(asm.R4, flowSealed),
		asm.JEq.Imm(asm.R4, 0, "esp"),
		asm.LoadMem(asm.R4, asm.RFP, stLen, asm.DWord),
		asm.JLT.Imm(asm.R4, MinSealed, "look4"),
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R9),
		asm.Add.Imm(asm.R4, 8),
		asm.JGT.Reg(asm.R4, asm.R3, "look4"),
		asm.LoadMem(asm.R4, asm.R9, 0, asm.Byte),
		asm.JLT.Imm(asm.R4, typeInitiation, "look4"),
		asm.JGT.Imm(asm.R4, typeData, "look4"),
		asm.StoreImm(asm.RFP, stSeq, 0, asm.Word),
		asm.StoreImm(asm.RFP, stSeq+4, 0, asm.Word),
		asm.Ja.Label("ours"),
	)
	label("esp")
	add(
		// ESP that it has, by the SPI
		asm.LoadMem(asm.R4, asm.RFP, stLen, asm.DWord),
		asm.JLT.Imm(asm.R4, 12, "look4"),
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R9),
		asm.Add.Imm(asm.R4, 8),
		asm.JGT.Reg(asm.R4, asm.R3, "look4"),
		asm.LoadMem(asm.R4, asm.R9, 0, asm.Word),
		asm.JEq.Imm(asm.R4, 0, "look4"),
		asm.LoadMem(asm.R5, asm.R9, 4, asm.Word),
		asm.HostTo(asm.BE, asm.R5, asm.Word),
		asm.StoreMem(asm.RFP, stSeq, asm.R5, asm.Word),
		asm.StoreImm(asm.RFP, stSeq+4, 0, asm.Word),
		asm.LoadMem(asm.R5, asm.R8, flowSPI, asm.Word),
		asm.JEq.Reg(asm.R4, asm.R5, "ours"),
		asm.StoreImm(asm.RFP, stSeq+4, 1, asm.Word),
		asm.LoadMem(asm.R5, asm.R8, flowSPI+4, asm.Word),
		asm.JNE.Reg(asm.R4, asm.R5, "look4"),
	)
	label("ours")
	add(
		asm.LoadMem(asm.R4, asm.R8, flowSlot, asm.Word),
		asm.StoreMem(asm.RFP, stKey, asm.R4, asm.Word),
	)
	add(lookUp(m.counts.FD(), stKey)...)
	add(
		asm.JEq.Imm(asm.R0, 0, "look4"),
		asm.StoreMem(asm.RFP, stSlot, asm.R0, asm.DWord),
	)
	p = append(p, solvent(m)...)
	add(
		// where to: as lately,
		asm.FnJiffies64.Call(),
		asm.RSh.Imm(asm.R0, waySpan),
		asm.StoreMem(asm.RFP, stNow, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.RFP, stSlot, asm.DWord),
		asm.LoadMem(asm.R4, asm.R1, slotSpan, asm.DWord),
		asm.JNE.Reg(asm.R4, asm.R0, "route"),
		asm.LoadMem(asm.R4, asm.R7, offTotal, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.LoadMem(asm.R5, asm.R1, slotLongest, asm.Half),
		asm.JGT.Reg(asm.R4, asm.R5, "route"),
		asm.LoadMem(asm.R4, asm.R7, offIP+1, asm.Byte),
		asm.LoadMem(asm.R5, asm.R1, slotTOS, asm.Byte),
		asm.JEq.Reg(asm.R4, asm.R5, "way"),
	)
	// or as the kernel's routes and neighbours say
	label("route")
	add(asm.Mov.Imm(asm.R5, 0))
	for i := int16(0); i < fibSize; i += 8 {
		add(asm.StoreMem(asm.RFP, stFib+i, asm.R5, asm.DWord))
	}
	add(
		asm.StoreImm(asm.RFP, stFib, 2, asm.Byte), // AF_INET
		asm.StoreImm(asm.RFP, stFib+fibProto, protoUDP, asm.Byte),
		asm.LoadMem(asm.R4, asm.R8, flowPorts, asm.Half),
		asm.StoreMem(asm.RFP, stFib+fibPorts, asm.R4, asm.Half),
		asm.LoadMem(asm.R4, asm.R8, flowPorts+2, asm.Half),
		asm.StoreMem(asm.RFP, stFib+fibPorts+2, asm.R4, asm.Half),
		asm.LoadMem(asm.R4, asm.R7, offTotal, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.StoreMem(asm.RFP, stFib+fibLen, asm.R4, asm.Half),
		asm.LoadMem(asm.R4, asm.R6, 12, asm.Word), // ingress_ifindex
		asm.StoreMem(asm.RFP, stFib+fibDevice, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R7, offIP+1, asm.Byte),
		asm.StoreMem(asm.RFP, stFib+fibTOS, asm.R4, asm.Byte),
		asm.LoadMem(asm.R4, asm.R8, flowSource, asm.Word),
		asm.StoreMem(asm.RFP, stFib+fibSrc, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R8, flowTarget, asm.Word),
		asm.StoreMem(asm.RFP, stFib+fibDst, asm.R4, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stFib),
		asm.Mov.Imm(asm.R3, fibSize),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnFibLookup.Call(),
		asm.JNE.Imm(asm.R0, 0, "look4"), // no route, no neighbour, too large
		asm.LoadMem(asm.R1, asm.RFP, stSlot, asm.DWord),
		asm.StoreMem(asm.R1, slotSpan, asm.R0, asm.DWord), // not while it changes
	)
	for i := int16(0); i < 6; i += 2 {
		add(
			asm.LoadMem(asm.R4, asm.RFP, stFib+fibTo+i, asm.Half),
			asm.StoreMem(asm.R1, slotTo+i, asm.R4, asm.Half),
			asm.LoadMem(asm.R4, asm.RFP, stFib+fibFrom+i, asm.Half),
			asm.StoreMem(asm.R1, slotFrom+i, asm.R4, asm.Half),
		)
	}
	add(
		asm.LoadMem(asm.R4, asm.RFP, stFib+fibDevice, asm.Word),
		asm.StoreMem(asm.R1, slotDevice, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R7, offTotal, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.StoreMem(asm.R1, slotLongest, asm.R4, asm.Half),
		asm.LoadMem(asm.R4, asm.R7, offIP+1, asm.Byte),
		asm.StoreMem(asm.R1, slotTOS, asm.R4, asm.Byte),
		asm.LoadMem(asm.R4, asm.RFP, stNow, asm.DWord),
		asm.StoreMem(asm.R1, slotSpan, asm.R4, asm.DWord),
	)
	label("way")
	add(
		asm.LoadMem(asm.R1, asm.RFP, stSlot, asm.DWord),
		asm.LoadMem(asm.R2, asm.R1, slotDevice, asm.Word),
		asm.LoadMapPtr(asm.R1, m.devices.FD()),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.JNE.Imm(asm.R0, xdpRedirect, "look4"), // not one of our devices

		// From here on it leaves: addresses of the link,
		asm.LoadMem(asm.R1, asm.RFP, stSlot, asm.DWord),
	)
	for i := int16(0); i < 12; i += 4 {
		add(asm.LoadMem(asm.R4, asm.R1, slotTo+i, asm.Word), asm.StoreMem(asm.R7, i, asm.R4, asm.Word))
	}
	add(
		// one hop less,
		asm.LoadMem(asm.R4, asm.R7, offTTL, asm.Byte),
		asm.Sub.Imm(asm.R4, 1),
		asm.StoreMem(asm.R7, offTTL, asm.R4, asm.Byte),
	)
	// fold adds a sum's upper half to its lower, twice, so that 16 bits are left.
	fold := func(sum, spare asm.Register) {
		for range 2 {
			add(
				asm.Mov.Reg(spare, sum),
				asm.RSh.Imm(spare, 16),
				asm.And.Imm(sum, 0xffff),
				asm.Add.Reg(sum, spare),
			)
		}
	}
	// changed adds what R5 has to the checksum's complement (RFC 1624).
	changed := func() {
		add(asm.Xor.Imm(asm.R4, 0xffff), asm.Add.Reg(asm.R4, asm.R5))
		fold(asm.R4, asm.R5)
		add(asm.Xor.Imm(asm.R4, 0xffff))
	}
	add(
		asm.LoadMem(asm.R4, asm.R7, offIPSum, asm.Half),
		asm.LoadMem(asm.R5, asm.R8, flowIPDelta, asm.Half),
	)
	changed()
	add(
		asm.StoreMem(asm.R7, offIPSum, asm.R4, asm.Half),

		// the datagram's checksum: none stays none, and one that a device was to complete
		// becomes none (RFC 3948 section 2.1 wants none for ESP),
		asm.LoadMem(asm.R4, asm.R7, offUDP4+6, asm.Half),
		asm.JEq.Imm(asm.R4, 0, "summed"),
		asm.Mov.Imm(asm.R5, swap(protoUDP)),
		asm.LoadMem(asm.R1, asm.R7, offUDP4+4, asm.Half),
		asm.Add.Reg(asm.R5, asm.R1),
	)
	for i := int16(0); i < 8; i += 2 {
		add(asm.LoadMem(asm.R1, asm.R7, offSrc4+i, asm.Half), asm.Add.Reg(asm.R5, asm.R1))
	}
	fold(asm.R5, asm.R1)
	add(
		asm.JNE.Reg(asm.R5, asm.R4, "whole"),
		asm.Mov.Imm(asm.R4, 0),
		asm.Ja.Label("sum"),
	)
	label("whole")
	add(asm.LoadMem(asm.R5, asm.R8, flowUDPDelta, asm.Half))
	changed()
	add(
		asm.JNE.Imm(asm.R4, 0, "sum"),
		asm.Mov.Imm(asm.R4, 0xffff),
	)
	label("sum")
	add(asm.StoreMem(asm.R7, offUDP4+6, asm.R4, asm.Half))

	label("summed")
	add(
		// addresses and ports,
		asm.LoadMem(asm.R4, asm.R8, flowSource, asm.Word),
		asm.StoreMem(asm.R7, offSrc4, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R8, flowTarget, asm.Word),
		asm.StoreMem(asm.R7, offDst4, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R8, flowPorts, asm.Word),
		asm.StoreMem(asm.R7, offUDP4, asm.R4, asm.Word),

		// and what is counted.
		asm.LoadMem(asm.R1, asm.RFP, stSlot, asm.DWord),
		asm.Mov.Imm(asm.R4, 1),
		asm.AddAtomic.Mem(asm.R1, asm.R4, asm.DWord, slotPackets),
		asm.LoadMem(asm.R4, asm.RFP, stLen, asm.DWord),
		asm.AddAtomic.Mem(asm.R1, asm.R4, asm.DWord, slotBytes),
		asm.LoadMem(asm.R4, asm.RFP, stSeq+4, asm.Word),
		asm.JEq.Imm(asm.R4, 0, "newest"),
		asm.Add.Imm(asm.R1, 4),
	)
	label("newest")
	add(
		asm.LoadMem(asm.R4, asm.RFP, stSeq, asm.Word),
		asm.LoadMem(asm.R5, asm.R1, slotNewest, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R4),
		asm.Sub.Reg32(asm.R2, asm.R5),
		asm.JSLE.Imm32(asm.R2, 0, "sent"),
		asm.StoreMem(asm.R1, slotNewest, asm.R4, asm.Word),
	)
	label("sent")
	p = append(p, pay()...)
	add(
		asm.Mov.Imm(asm.R0, xdpRedirect),
		asm.Return(),
	)
	return p
}
