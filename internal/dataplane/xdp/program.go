package xdp

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
)

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

	offTotal = offIP + 2
	offTTL   = offIP + 8
	offIPSum = offIP + 10
	offSrc4  = offIP + 12
	offDst4  = offIP + 16
	offUDP4  = offIP + ip4Len
	payload4 = offUDP4 + udpLen
	offUDP6  = offIP + ip6Len
	payload6 = offUDP6 + udpLen
)

// The kernel's answers.
const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpRedirect = 4
)

// Where things are on the program's stack.
const (
	stDoor  = -24  // a doorKey
	stFlow  = -64  // a flow's key: source, destination, both ports
	stList  = -88  // a key of the client lists
	stLen   = -96  // bytes of payload
	stState = -104 // what is switched on
	stExtra = -112 // 1: past all judging; likewise 4 bytes on: 1 is IPv6
	stKey   = -120 // a number as a key
	stSeq   = -128 // of ESP; 4 bytes on: which of a flow's SPIs it has
	stSlot  = -136 // pointer to a flow's slot
	stFib   = -200 // struct bpf_fib_lookup
	stNow   = -208 // the span of time that it is
	stPays  = -224 // pointers to up to two credits that a flow uses up; 0: none
)

// Offsets in struct bpf_fib_lookup, and its length.
const (
	fibProto, fibPorts, fibLen, fibDevice, fibTOS = 1, 2, 6, 8, 12
	fibSrc, fibDst, fibFrom, fibTo, fibSize       = 16, 32, 52, 58, 64
)

// swap is a number of a packet's two bytes as this machine loads it.
func swap(v uint16) int32 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return int32(v>>8 | v<<8)
	}
	return int32(v)
}

// spread is what sources are multiplied with to spread them over workers; the same as for
// sockets (udpio.SourceOf).
const spread = 0x9e3779b1

// instructions are the program. R6 is its context, R7 the packet, R9 the UDP payload in it,
// R8 what was found (a flow, then a door).
//
// Only what the kernel itself would give to a socket without further ado is taken:
// no VLAN tags, no IP options or extension headers, no fragments. What lies about its
// length is given to a socket, where Parse refuses it.
func instructions(m *maps, socks int, workers int32) asm.Instructions {
	var p asm.Instructions
	add := func(list ...asm.Instruction) { p = append(p, list...) }
	label := func(name string) { add(asm.Mov.Reg(asm.R0, asm.R6).WithSymbol(name)) } // R0 is nobody's at labels
	find := func(mapFD int, off int32) { add(lookUp(mapFD, off)...) }

	// Is anything to be done at all?
	add(
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, stKey, 0, asm.Word),
		asm.StoreImm(asm.RFP, stKey+4, 0, asm.Word),
	)
	find(m.state.FD(), stKey)
	add(
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R4, asm.R0, 0, asm.Word),
		asm.JEq.Imm(asm.R4, 0, "pass"),
		asm.StoreMem(asm.RFP, stState, asm.R4, asm.DWord),
		asm.StoreImm(asm.RFP, stExtra, 0, asm.Word),
		asm.StoreImm(asm.RFP, stExtra+4, 0, asm.Word),
		asm.StoreImm(asm.RFP, stLen, 0, asm.Word),
		asm.StoreImm(asm.RFP, stLen+4, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R7),
		asm.Add.Imm(asm.R4, payload4),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R4, asm.R7, offType, asm.Half),
		asm.JEq.Imm(asm.R4, swap(typeIPv6), "ipv6"),
		asm.JNE.Imm(asm.R4, swap(typeIPv4), "pass"),

		asm.LoadMem(asm.R4, asm.R7, offIP, asm.Byte),
		asm.JNE.Imm(asm.R4, 0x45, "pass"),
		asm.LoadMem(asm.R4, asm.R7, offIP+6, asm.Half),
		asm.And.Imm(asm.R4, swap(0x3fff)), // more fragments, or not the first
		asm.JNE.Imm(asm.R4, 0, "pass"),
		asm.LoadMem(asm.R4, asm.R7, offIP+9, asm.Byte),
		asm.JNE.Imm(asm.R4, protoUDP, "pass"),

		// the flow's key
		asm.LoadMem(asm.R4, asm.R7, offSrc4, asm.Word),
		asm.StoreMem(asm.RFP, stFlow, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R7, offDst4, asm.Word),
		asm.StoreMem(asm.RFP, stFlow+4, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R7, offUDP4, asm.Word),
		asm.StoreMem(asm.RFP, stFlow+8, asm.R4, asm.Word),

		// lengths: of the datagram in the packet, of that in the frame
		asm.Mov.Reg(asm.R9, asm.R7),
		asm.Add.Imm(asm.R9, payload4),
		asm.LoadMem(asm.R4, asm.R7, offTotal, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.JLT.Imm(asm.R4, ip4Len+udpLen, "odd4"),
		asm.Mov.Reg(asm.R5, asm.R7),
		asm.Add.Imm(asm.R5, offIP),
		asm.Add.Reg(asm.R5, asm.R4),
		asm.JGT.Reg(asm.R5, asm.R3, "odd4"),
		asm.Sub.Imm(asm.R4, ip4Len),
		asm.LoadMem(asm.R5, asm.R7, offUDP4+4, asm.Half),
		asm.HostTo(asm.BE, asm.R5, asm.Half),
		asm.JLT.Imm(asm.R5, udpLen, "odd4"),
		asm.JGT.Reg(asm.R5, asm.R4, "odd4"),
		asm.Sub.Imm(asm.R5, udpLen),
		asm.StoreMem(asm.RFP, stLen, asm.R5, asm.DWord),
	)
	find(m.flows4.FD(), stFlow)
	add(
		asm.JEq.Imm(asm.R0, 0, "look4"),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.StoreImm(asm.RFP, stExtra, 1, asm.Word),
		asm.LoadMem(asm.R4, asm.R8, flowFlags, asm.Word),
		asm.JEq.Imm(asm.R4, 0, "look4"),
		asm.And.Imm(asm.R4, flowTaken),
		asm.JNE.Imm(asm.R4, 0, "taken"),
	)
	p = append(p, forwarding(m)...)

	// the keys of the door and the client lists
	label("odd4")
	add(asm.StoreImm(asm.RFP, stExtra, 1, asm.Word))
	label("look4")
	add(
		asm.StoreImm(asm.RFP, stDoor, 0, asm.Word),
		asm.StoreImm(asm.RFP, stDoor+4, 0, asm.Word),
		asm.StoreImm(asm.RFP, stDoor+8, 0, asm.Half),
		asm.StoreImm(asm.RFP, stDoor+10, 0xffff, asm.Half),
		asm.LoadMem(asm.R4, asm.RFP, stFlow+4, asm.Word),
		asm.StoreMem(asm.RFP, stDoor+12, asm.R4, asm.Word),
		asm.StoreImm(asm.RFP, stDoor+16, 0, asm.Word),
		asm.LoadMem(asm.R4, asm.RFP, stFlow+8+2, asm.Half),
		asm.StoreMem(asm.RFP, stDoor+16, asm.R4, asm.Half),
		asm.StoreImm(asm.RFP, stList, 64, asm.Word),
		asm.LoadMem(asm.R4, asm.RFP, stFlow, asm.Word),
		asm.StoreMem(asm.RFP, stList+8, asm.R4, asm.Word),
		asm.StoreImm(asm.RFP, stList+12, 0, asm.Word),
		asm.StoreImm(asm.RFP, stList+16, 0, asm.Word),
		asm.StoreImm(asm.RFP, stList+16+4, 0, asm.Word),
		asm.Ja.Label("look"),
	)

	label("ipv6")
	add(
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R7),
		asm.Add.Imm(asm.R4, payload6),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R4, asm.R7, offIP+6, asm.Byte),
		asm.JNE.Imm(asm.R4, protoUDP, "pass"),
		asm.StoreImm(asm.RFP, stExtra+4, 1, asm.Word),
		asm.StoreImm(asm.RFP, stList, 160, asm.Word),
	)
	for i := int16(0); i < 16; i += 4 {
		add(
			asm.LoadMem(asm.R4, asm.R7, offIP+8+i, asm.Word),
			asm.StoreMem(asm.RFP, stFlow+i, asm.R4, asm.Word),
			asm.StoreMem(asm.RFP, stList+8+i, asm.R4, asm.Word),
			asm.LoadMem(asm.R4, asm.R7, offIP+24+i, asm.Word),
			asm.StoreMem(asm.RFP, stFlow+16+i, asm.R4, asm.Word),
			asm.StoreMem(asm.RFP, stDoor+i, asm.R4, asm.Word),
		)
	}
	add(
		asm.LoadMem(asm.R4, asm.R7, offUDP6, asm.Word),
		asm.StoreMem(asm.RFP, stFlow+32, asm.R4, asm.Word),
		asm.LoadMem(asm.R4, asm.R7, offUDP6+2, asm.Half),
		asm.StoreImm(asm.RFP, stDoor+16, 0, asm.Word),
		asm.StoreMem(asm.RFP, stDoor+16, asm.R4, asm.Half),
		asm.Mov.Reg(asm.R9, asm.R7),
		asm.Add.Imm(asm.R9, payload6),
		asm.LoadMem(asm.R4, asm.R7, offIP+4, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.Mov.Reg(asm.R5, asm.R7),
		asm.Add.Imm(asm.R5, offUDP6),
		asm.Add.Reg(asm.R5, asm.R4),
		asm.JGT.Reg(asm.R5, asm.R3, "odd"),
		asm.LoadMem(asm.R5, asm.R7, offUDP6+4, asm.Half),
		asm.HostTo(asm.BE, asm.R5, asm.Half),
		asm.JLT.Imm(asm.R5, udpLen, "odd"),
		asm.JGT.Reg(asm.R5, asm.R4, "odd"),
		asm.Sub.Imm(asm.R5, udpLen),
		asm.StoreMem(asm.RFP, stLen, asm.R5, asm.DWord),
	)
	find(m.flows6.FD(), stFlow)
	add(
		asm.JEq.Imm(asm.R0, 0, "look"),
		asm.StoreImm(asm.RFP, stExtra, 1, asm.Word),
		asm.Ja.Label("look"),
	)
	label("odd")
	add(asm.StoreImm(asm.RFP, stExtra, 1, asm.Word))

	// Is it for us?
	label("look")
	find(m.doors.FD(), stDoor)
	add(
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.LoadMem(asm.R4, asm.RFP, stExtra, asm.Word),
		asm.JNE.Imm(asm.R4, 0, "queue"),
	)
	p = append(p, judging(m)...)

	// To the socket of the worker that it is for; of a flow that is taken no door is asked.
	label("taken")
	if workers > 1 {
		add(
			asm.LoadMem(asm.R4, asm.RFP, stFlow, asm.Word),
			asm.Ja.Label("spread"),
		)
	}
	label("queue")
	add(asm.Mov.Imm(asm.R4, 0))
	if workers > 1 {
		add(
			asm.LoadMem(asm.R5, asm.R8, doorKind, asm.Byte),
			asm.JEq.Imm(asm.R5, int32(Overlay), "lane"),
			asm.JEq.Imm(asm.R5, int32(Between), "lane"),
			asm.LoadMem(asm.R4, asm.RFP, stFlow, asm.Word),
			asm.LoadMem(asm.R5, asm.RFP, stExtra+4, asm.Word),
			asm.JEq.Imm(asm.R5, 0, "spread"),
		)
		for i := int16(4); i < 16; i += 4 {
			add(asm.LoadMem(asm.R5, asm.RFP, stFlow+i, asm.Word), asm.Xor.Reg(asm.R4, asm.R5))
		}
		const golden = spread - 1<<32 // as the instruction has it: signed
		label("spread")
		add(
			asm.HostTo(asm.BE, asm.R4, asm.Word),
			asm.Mul.Imm32(asm.R4, golden),
			asm.RSh.Imm32(asm.R4, 16),
			asm.Mod.Imm32(asm.R4, workers),
			asm.Ja.Label("give"),
		)
		label("lane")
		add(
			asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
			asm.Mov.Reg(asm.R9, asm.R7),
			asm.LoadMem(asm.R5, asm.RFP, stExtra+4, asm.Word),
			asm.JEq.Imm(asm.R5, 0, "four"),
			asm.Add.Imm(asm.R9, payload6-payload4),
		)
		label("four")
		add(
			asm.Add.Imm(asm.R9, payload4),
			asm.Mov.Reg(asm.R5, asm.R9),
			asm.Add.Imm(asm.R5, 2),
			asm.JGT.Reg(asm.R5, asm.R3, "give"),
			asm.LoadMem(asm.R4, asm.R9, 1, asm.Byte),
			asm.Mod.Imm32(asm.R4, workers),
		)
		label("give")
	}
	add(
		asm.LoadMem(asm.R2, asm.R6, 16, asm.Word), // rx_queue_index
		asm.Mul.Imm(asm.R2, workers),
		asm.Add.Reg(asm.R2, asm.R4),
		asm.LoadMapPtr(asm.R1, socks),
		asm.Mov.Imm(asm.R3, xdpPass), // when no socket waits
		asm.FnRedirectMap.Call(),
		asm.Return(),

		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return(),
	)
	return p
}

// lookUp has R0 point to what a map has under the key at off on the stack; 0: nothing.
func lookUp(mapFD int, off int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, off),
		asm.LoadMapPtr(asm.R1, mapFD),
		asm.FnMapLookupElem.Call(),
	}
}

// judging counts and drops what no socket is to see. R8 is the door.
func judging(m *maps) asm.Instructions {
	var p asm.Instructions
	add := func(list ...asm.Instruction) { p = append(p, list...) }
	label := func(name string) { add(asm.Mov.Reg(asm.R0, asm.R6).WithSymbol(name)) }
	look := func(mapFD int, off int32) { add(lookUp(mapFD, off)...) }
	drop := func(r Reason) {
		add(asm.Mov.Imm(asm.R9, int32(r)*tallySize), asm.Ja.Label("drop"))
	}
	add(
		asm.LoadMem(asm.R4, asm.R8, doorKind, asm.Byte),
		asm.JEq.Imm(asm.R4, int32(Overlay), "overlay"),
		asm.JEq.Imm(asm.R4, int32(Between), "stranger"),
		asm.JNE.Imm(asm.R4, int32(Listener), "queue"),

		// who may use a listener
		asm.LoadMem(asm.R4, asm.R8, doorJudge, asm.Byte),
		asm.And.Imm(asm.R4, judgeDeny),
		asm.JEq.Imm(asm.R4, 0, "allowed"),
		asm.LoadMem(asm.R4, asm.R8, doorList, asm.Word),
		asm.LoadMem(asm.R5, asm.RFP, stExtra+4, asm.Word),
		asm.Or.Reg(asm.R4, asm.R5),
		asm.Or.Imm(asm.R4, listDeny),
		asm.StoreMem(asm.RFP, stList+4, asm.R4, asm.Word),
	)
	look(m.lists.FD(), stList)
	add(asm.JEq.Imm(asm.R0, 0, "allowed"))
	drop(Denied)
	label("allowed")
	add(
		asm.LoadMem(asm.R4, asm.R8, doorJudge, asm.Byte),
		asm.And.Imm(asm.R4, judgeAllow),
		asm.JEq.Imm(asm.R4, 0, "budget"),
		asm.LoadMem(asm.R4, asm.R8, doorList, asm.Word),
		asm.LoadMem(asm.R5, asm.RFP, stExtra+4, asm.Word),
		asm.Or.Reg(asm.R4, asm.R5),
		asm.StoreMem(asm.RFP, stList+4, asm.R4, asm.Word),
	)
	look(m.lists.FD(), stList)
	add(asm.JNE.Imm(asm.R0, 0, "budget"))
	drop(NotAllowed)

	// so many packets of clients that are not known may come in a span, and so many
	// of IKE: a flood of the one does not keep out the other
	label("budget")
	add(
		asm.LoadMem(asm.R4, asm.RFP, stState, asm.DWord),
		asm.And.Imm(asm.R4, stateBudgets),
		asm.JEq.Imm(asm.R4, 0, "queue"),
		asm.StoreImm(asm.RFP, stSeq, budgetIKE, asm.Word),
		asm.LoadMem(asm.R4, asm.RFP, stDoor+16, asm.Half),
		asm.JEq.Imm(asm.R4, swap(500), "charge"),
		asm.StoreImm(asm.RFP, stSeq, budgetOther, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R9),
		asm.Add.Imm(asm.R4, 4),
		asm.JGT.Reg(asm.R4, asm.R3, "charge"),
		asm.LoadMem(asm.R4, asm.R9, 0, asm.Word), // the non-ESP marker
		asm.JNE.Imm(asm.R4, 0, "charge"),
		asm.StoreImm(asm.RFP, stSeq, budgetIKE, asm.Word),
	)
	// budget has R9 point to what the door has let in within the present span of time, and
	// goes on as then.
	budget := func(then string) {
		add(
			asm.LoadMem(asm.R4, asm.R8, doorID, asm.Word),
			asm.StoreMem(asm.RFP, stKey, asm.R4, asm.Word),
		)
		look(m.budgets.FD(), stKey)
		add(
			asm.JEq.Imm(asm.R0, 0, "queue"),
			asm.Mov.Reg(asm.R9, asm.R0),
			asm.FnKtimeGetNs.Call(),
			asm.RSh.Imm(asm.R0, budgetShift),
			asm.LoadMem(asm.R4, asm.R9, 0, asm.DWord),
			asm.JEq.Reg(asm.R4, asm.R0, then),
			asm.StoreMem(asm.R9, 0, asm.R0, asm.DWord),
			asm.StoreImm(asm.R9, 8, 0, asm.Word),
			asm.StoreImm(asm.R9, 8+4, 0, asm.Word),
		)
		label(then)
	}
	label("charge")
	budget("within")
	add(
		asm.LoadMem(asm.R4, asm.RFP, stSeq, asm.Word),
		asm.JEq.Imm(asm.R4, budgetIKE, "negotiation"),
		asm.LoadMem(asm.R4, asm.R9, 8, asm.Word),
		asm.JGE.Imm(asm.R4, OthersPerSpan, "flood"),
		asm.Add.Imm(asm.R4, 1),
		asm.StoreMem(asm.R9, 8, asm.R4, asm.Word),
		asm.Ja.Label("queue"),
	)
	label("negotiation")
	add(
		asm.LoadMem(asm.R4, asm.R9, 12, asm.Word),
		asm.JGE.Imm(asm.R4, IKEPerSpan, "flood"),
		asm.Add.Imm(asm.R4, 1),
		asm.StoreMem(asm.R9, 12, asm.R4, asm.Word),
		asm.Ja.Label("queue"),
	)
	label("flood")
	drop(Flood)

	// nobody has to do with it but two, who are known
	label("stranger")
	drop(Stranger)

	// what no PoP of ours can have sent
	label("overlay")
	add(
		asm.LoadMem(asm.R4, asm.RFP, stLen, asm.DWord),
		asm.JLT.Imm(asm.R4, 8, "alien"),
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R9),
		asm.Add.Imm(asm.R4, 8),
		asm.JGT.Reg(asm.R4, asm.R3, "alien"),
		asm.LoadMem(asm.R5, asm.R9, 4, asm.Word), // the receiver's index
		asm.StoreMem(asm.RFP, stKey, asm.R5, asm.Word),
		asm.LoadMem(asm.R4, asm.R9, 0, asm.Byte),
		asm.JEq.Imm(asm.R4, typeInitiation, "initiation"),
		asm.StoreMem(asm.RFP, stSeq, asm.R4, asm.Word),
		asm.JLT.Imm(asm.R4, typeResponse, "alien"),
		asm.JGT.Imm(asm.R4, typeData, "alien"),
	)
	look(m.indices.FD(), stKey)
	add(
		asm.JNE.Imm(asm.R0, 0, "queue"),
		asm.LoadMem(asm.R4, asm.RFP, stSeq, asm.Word),
		asm.JEq.Imm(asm.R4, typeData, "index"),
	)
	drop(Handshake)
	label("index")
	drop(UnknownIndex)
	label("alien")
	drop(NotOverlay)
	label("initiation")
	budget("knocks")
	add(
		asm.LoadMem(asm.R4, asm.R9, 8, asm.Word),
		asm.JGE.Imm(asm.R4, InitiationsPerSpan, "shut"),
		asm.Add.Imm(asm.R4, 1),
		asm.StoreMem(asm.R9, 8, asm.R4, asm.Word),
		asm.Ja.Label("queue"),
	)
	label("shut")
	drop(Handshake)

	label("drop")
	add(
		asm.LoadMem(asm.R4, asm.R8, doorID, asm.Word),
		asm.StoreMem(asm.RFP, stKey, asm.R4, asm.Word),
	)
	look(m.tallies.FD(), stKey)
	add(
		asm.JEq.Imm(asm.R0, 0, "gone"),
		asm.Add.Reg(asm.R0, asm.R9),
		asm.LoadMem(asm.R4, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R4, 1),
		asm.StoreMem(asm.R0, 0, asm.R4, asm.DWord),
		asm.LoadMem(asm.R4, asm.R0, 8, asm.DWord),
		asm.LoadMem(asm.R5, asm.RFP, stLen, asm.DWord),
		asm.Add.Reg(asm.R4, asm.R5),
		asm.StoreMem(asm.R0, 8, asm.R4, asm.DWord),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("gone"),
		asm.Return(),
	)
	return p
}

// license is what the kernel is told. The program in this file, and no other part of
// the project, may be had under the MIT license or the GPL, version 2, as well as under the
// project's own: the kernel's look-up of routes is for such programs only.
const license = "Dual MIT/GPL"
