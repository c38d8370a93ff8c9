package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Kind is what an address is for, which decides what is dropped before a socket
// sees it.
type Kind uint8

const (
	Plain    Kind = iota // nothing is
	Overlay              // what no PoP of ours can have sent
	Listener             // clients that may not use it, and too many that nobody knows
	Between              // what comes from others than the two that are known (Know, Forward)
)

// Reason is why a packet was dropped on the device.
type Reason uint8

const (
	NotAllowed   Reason = iota // the listener's list of clients does not have it
	Denied                     // the listener's list of those refused has it
	Flood                      // too many packets of clients that are not known
	NotOverlay                 // neither a handshake nor data
	UnknownIndex               // data for keys that we do not have
	Handshake                  // an answer that nobody waits for, or more initiations than a second may have
	Stranger                   // from neither of the two that have the address to themselves
	Reasons
)

// How many packets of clients that are not known (no session of theirs is confirmed) an
// address of a listener gets in a span of 8.4 ms from each core: of IKE, and others; and how many
// initiations of strangers an overlay address. That is 4,000, 7,600 and 2,900 a second.
const (
	budgetShift        = 23
	IKEPerSpan         = 34
	OthersPerSpan      = 64
	InitiationsPerSpan = 24

	budgetIKE, budgetOther = 1, 0
)

// Sizes of maps. Where one is full, packets go the way they would without us.
const (
	maxDoors = 1 << 16 // addresses with port
	maxIDs   = 1 << 12 // of them with counts and budgets of their own; all others share the first
	maxList  = 1 << 20 // prefixes in all lists
	maxFlows = 1 << 18 // clients that are known, and directions of sessions
	maxSlots = 1 << 17 // directions of sessions that are forwarded
	maxIndex = 1 << 16 // keys of segments
	maxLoans = 1 << 14 // credits

	// maxQueues is how many receive queues of a device are looked for.
	maxQueues = 64
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

// Offsets in a door in the map: its id, kind, which lists it has, and their number.
const (
	doorID, doorKind, doorJudge, doorList, doorSize = 0, 4, 5, 8, 12

	judgeAllow, judgeDeny = 1, 2
	listIPv6, listDeny    = 1, 2 // in a list's number
	listStep              = 4
)

// tallySize is a count of packets and bytes.
const tallySize = 16

// What is switched on.
const (
	stateDoors   = 1 << iota // packets for doors are taken, and judged
	stateForward             // flows are forwarded
	stateBudgets             // clients that are not known are bounded
)

const (
	typeInitiation = 1 // as package handshake has them
	typeResponse   = 2
	typeData       = 4 // as package seal does
)

// maps is what all devices' programs share.
type maps struct {
	state, doors, lists, budgets, tallies *ebpf.Map
	indices, flows4, flows6               *ebpf.Map
	counts, credits, devices              *ebpf.Map
}

// Count is packets and bytes of UDP payload.
type Count struct{ Packets, Bytes uint64 }

// Kernel is what the programs on a PoP's devices do: it opens devices, and says what is
// taken, dropped and forwarded. Any goroutine may use it.
type Kernel struct {
	maps
	workers int

	mu        sync.Mutex
	on        bool
	full      bool // more clients are known than there is room for: none are bounded
	isOpen    map[netip.AddrPort]*opened
	freeIDs   []uint32
	nextList  uint32
	indexUses map[uint32]int
	memory    []byte
	slots     []slotValue
	freeSlots []uint32
	forwarded int
	till      []byte
	loans     []int64 // what is left of each credit
	freeLoans []uint32
}

// opened is a door.
type opened struct {
	uses        int // sockets that it was opened for
	id          uint32
	kind        Kind
	judge       uint8
	list        uint32
	allow, deny []netip.Prefix
	told        [Reasons]Count // what Tallies has given out
}

func isErr(err, is error) bool { return errors.Is(err, is) }

// New makes what the programs share, for so many workers. The error says what the kernel lacks.
func New(workers int) (k *Kernel, err error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("XDP: lift the limit on locked memory: %w", err)
	}
	k = &Kernel{workers: max(workers, 1), isOpen: map[netip.AddrPort]*opened{}, indexUses: map[uint32]int{}, nextList: listStep}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.Close())
		}
	}()
	const noPrealloc, mmapable = unix.BPF_F_NO_PREALLOC, unix.BPF_F_MMAPABLE
	for _, m := range [...]struct {
		at   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&k.state, ebpf.MapSpec{Name: "causeway_state", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}},
		{&k.doors, ebpf.MapSpec{Name: "causeway_doors", Type: ebpf.Hash, KeySize: uint32(len(doorKey{})), ValueSize: doorSize, MaxEntries: maxDoors, Flags: noPrealloc}},
		{&k.lists, ebpf.MapSpec{Name: "causeway_lists", Type: ebpf.LPMTrie, KeySize: 24, ValueSize: 4, MaxEntries: maxList, Flags: noPrealloc}},
		{&k.budgets, ebpf.MapSpec{Name: "causeway_budget", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: maxIDs}},
		{&k.tallies, ebpf.MapSpec{Name: "causeway_drops", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: uint32(Reasons) * tallySize, MaxEntries: maxIDs}},
		{&k.indices, ebpf.MapSpec{Name: "causeway_index", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: maxIndex, Flags: noPrealloc}},
		{&k.flows4, ebpf.MapSpec{Name: "causeway_flows4", Type: ebpf.Hash, KeySize: 12, ValueSize: flowSize, MaxEntries: maxFlows, Flags: noPrealloc}},
		{&k.flows6, ebpf.MapSpec{Name: "causeway_flows6", Type: ebpf.Hash, KeySize: 36, ValueSize: 4, MaxEntries: maxFlows, Flags: noPrealloc}},
		{&k.counts, ebpf.MapSpec{Name: "causeway_counts", Type: ebpf.Array, KeySize: 4, ValueSize: slotSize, MaxEntries: maxSlots, Flags: mmapable}},
		{&k.credits, ebpf.MapSpec{Name: "causeway_credit", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: maxLoans, Flags: mmapable}},
		{&k.devices, ebpf.MapSpec{Name: "causeway_ports", Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: maxQueues}},
	} {
		if *m.at, err = ebpf.NewMap(&m.spec); err != nil {
			return k, fmt.Errorf("XDP: make the map %s: %w", m.spec.Name, err)
		}
	}
	if k.memory, err = unix.Mmap(k.counts.FD(), 0, maxSlots*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return k, fmt.Errorf("XDP: map the counts of flows: %w", err)
	}
	k.slots = unsafe.Slice((*slotValue)(unsafe.Pointer(&k.memory[0])), maxSlots)
	for i := range uint32(maxSlots) {
		k.freeSlots = append(k.freeSlots, maxSlots-1-i)
	}
	if k.till, err = unix.Mmap(k.credits.FD(), 0, maxLoans*8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return k, fmt.Errorf("XDP: map the credits of flows: %w", err)
	}
	k.loans = unsafe.Slice((*int64)(unsafe.Pointer(&k.till[0])), maxLoans)
	for id := uint32(maxLoans - 1); id > 0; id-- {
		k.freeLoans = append(k.freeLoans, id)
	}
	for id := uint32(maxIDs - 1); id > 0; id-- {
		k.freeIDs = append(k.freeIDs, id)
	}
	return k, k.Switch(true)
}

// Close takes the maps away. Close the Ports first.
func (k *Kernel) Close() error {
	var err error
	if k.memory != nil {
		err = unix.Munmap(k.memory)
		k.memory, k.slots = nil, nil
	}
	if k.till != nil {
		err = errors.Join(err, unix.Munmap(k.till))
		k.till, k.loans = nil, nil
	}
	for _, m := range [...]*ebpf.Map{k.state, k.doors, k.lists, k.budgets, k.tallies, k.indices, k.flows4, k.flows6, k.counts, k.credits, k.devices} {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}
	k.maps = maps{}
	return err
}

// Switch turns everything on or off: off, every packet goes to the kernel.
func (k *Kernel) Switch(on bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.on = on
	return k.putState()
}

// On reports what Switch was last told.
func (k *Kernel) On() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.on
}

func (k *Kernel) putState() error {
	state := uint32(0)
	if k.on {
		state = stateDoors | stateForward | stateBudgets
	}
	if k.full {
		state &^= stateBudgets
	}
	if err := k.state.Put(uint32(0), state); err != nil {
		return fmt.Errorf("XDP: switch: %w", err)
	}
	return nil
}

// OpenDoor begins to take what is for an address and port, ShutDoor ends it: from
// then on it goes to the kernel. Each ShutDoor undoes one OpenDoor. Nothing is dropped before Judge.
func (k *Kernel) OpenDoor(a netip.AddrPort) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.isOpen[a]
	if d == nil {
		d = &opened{}
		if n := len(k.freeIDs); n > 0 {
			d.id, k.freeIDs = k.freeIDs[n-1], k.freeIDs[:n-1]
		}
		if err := k.putDoor(a, d); err != nil {
			if d.id != 0 {
				k.freeIDs = append(k.freeIDs, d.id)
			}
			return fmt.Errorf("take packets for %v: %w", a, err)
		}
		if sums, err := k.tallied(d.id); err == nil {
			d.told = sums // of one that had the id before
		}
		k.isOpen[a] = d
	}
	d.uses++
	return nil
}

func (k *Kernel) putDoor(a netip.AddrPort, d *opened) error {
	var v [doorSize]byte
	binary.NativeEndian.PutUint32(v[doorID:], d.id)
	v[doorKind], v[doorJudge] = byte(d.kind), d.judge
	binary.NativeEndian.PutUint32(v[doorList:], d.list)
	key := keyOf(a)
	return k.doors.Put(key[:], v[:])
}

// ShutDoor: see OpenDoor. What Tallies has not given out of the door is lost.
func (k *Kernel) ShutDoor(a netip.AddrPort) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.isOpen[a]
	if d == nil {
		return nil
	}
	if d.uses--; d.uses > 0 {
		return nil
	}
	delete(k.isOpen, a)
	key := keyOf(a)
	err := k.doors.Delete(key[:])
	k.unlist(d.list, d.allow, d.deny)
	if d.id != 0 {
		k.freeIDs = append(k.freeIDs, d.id)
	}
	if err != nil {
		return fmt.Errorf("leave packets for %v to the kernel: %w", a, err)
	}
	return nil
}

// listKey is a prefix in a list.
func listKey(list uint32, p netip.Prefix) (k [24]byte) {
	if p.Addr().Is4() {
		ip := p.Addr().As4()
		binary.NativeEndian.PutUint32(k[:], uint32(32+p.Bits()))
		copy(k[8:], ip[:])
	} else {
		ip := p.Addr().As16()
		list |= listIPv6
		binary.NativeEndian.PutUint32(k[:], uint32(32+p.Bits()))
		copy(k[8:], ip[:])
	}
	binary.NativeEndian.PutUint32(k[4:], list)
	return k
}

func (k *Kernel) unlist(list uint32, allow, deny []netip.Prefix) {
	for _, p := range allow {
		key := listKey(list, p)
		_ = k.lists.Delete(key[:]) // one that a list names twice is gone already
	}
	for _, p := range deny {
		key := listKey(list|listDeny, p)
		_ = k.lists.Delete(key[:])
	}
}

// Judge says what is dropped at an open door: at one of kind Listener what comes from
// those in deny, and, unless allow is empty, from others than those in it. The new lists are complete before they
// hold, and hold at once; where there is no room for them, user space judges alone, as the error says.
func (k *Kernel) Judge(a netip.AddrPort, kind Kind, allow, deny []netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.isOpen[a]
	if d == nil || d.kind == kind && slices.Equal(d.allow, allow) && slices.Equal(d.deny, deny) {
		return nil
	}
	old := *d
	k.nextList += listStep
	d.kind, d.list, d.judge, d.allow, d.deny = kind, k.nextList, 0, allow, deny
	err := k.list(d)
	if err != nil {
		k.unlist(d.list, allow, deny)
		d.list, d.judge, d.allow, d.deny = 0, 0, nil, nil
	}
	err = errors.Join(err, k.putDoor(a, d))
	k.unlist(old.list, old.allow, old.deny)
	if err != nil {
		return fmt.Errorf("judge what comes to %v before the stack: %w", a, err)
	}
	return nil
}

func (k *Kernel) list(d *opened) error {
	for _, p := range d.allow {
		key := listKey(d.list, p)
		d.judge |= judgeAllow
		if err := k.lists.Put(key[:], uint32(1)); err != nil {
			return err
		}
	}
	for _, p := range d.deny {
		key := listKey(d.list|listDeny, p)
		d.judge |= judgeDeny
		if err := k.lists.Put(key[:], uint32(1)); err != nil {
			return err
		}
	}
	return nil
}

// tallied sums up what a door's id has dropped on all cores.
func (k *Kernel) tallied(id uint32) (sums [Reasons]Count, err error) {
	var perCPU [][]byte
	if err := k.tallies.Lookup(id, &perCPU); err != nil {
		return sums, fmt.Errorf("XDP: read what was dropped: %w", err)
	}
	for _, b := range perCPU {
		for r := range sums {
			sums[r].Packets += binary.NativeEndian.Uint64(b[r*tallySize:])
			sums[r].Bytes += binary.NativeEndian.Uint64(b[r*tallySize+8:])
		}
	}
	return sums, nil
}

// Tallies calls f with what was dropped for each door and reason since it last did.
// Doors beyond 4,095 share their counts: one of them is told all.
func (k *Kernel) Tallies(f func(a netip.AddrPort, r Reason, n Count)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var failed error
	var shared *opened
	for a, d := range k.isOpen {
		if d.id == 0 {
			if shared != nil {
				d.told = shared.told
				continue
			}
			shared = d
		}
		sums, err := k.tallied(d.id)
		if err != nil {
			failed = err
			continue
		}
		for r := range sums {
			if n := (Count{sums[r].Packets - d.told[r].Packets, sums[r].Bytes - d.told[r].Bytes}); n.Packets > 0 {
				f(a, Reason(r), n)
			}
		}
		d.told = sums
	}
	return failed
}

// Index says that data for a receiver index is expected at overlay addresses, or no
// longer is. Several may expect the same.
func (k *Kernel) Index(index uint32, expected bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], index)
	if expected {
		k.indexUses[index]++
		if err := k.indices.Put(key[:], uint32(1)); err != nil {
			return fmt.Errorf("expect data before the stack: %w", err)
		}
		return nil
	}
	if k.indexUses[index]--; k.indexUses[index] > 0 {
		return nil
	}
	delete(k.indexUses, index)
	if err := k.indices.Delete(key[:]); err != nil && !isAbsent(err) {
		return fmt.Errorf("expect data no longer: %w", err)
	}
	return nil
}

// Know says that who sends from remote to local is one of ours, whom no budget bounds
// and no list is asked about, or no longer is. When there is no room for all that are known,
// nobody is bounded any more.
func (k *Kernel) Know(remote, local netip.AddrPort, known bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	m, key, value := k.flows4, []byte(nil), []byte(nil)
	if remote.Addr().Unmap().Is4() && local.Addr().Unmap().Is4() {
		var f flow4
		f.set(remote, local)
		v := k.knownAt(local)
		key, value = f.bytes(), v.bytes()
	} else {
		m, value = k.flows6, make([]byte, 4)
		r, l := remote.Addr().As16(), local.Addr().As16()
		key = append(append(key, r[:]...), l[:]...)
		key = binary.BigEndian.AppendUint16(key, remote.Port())
		key = binary.BigEndian.AppendUint16(key, local.Port())
	}
	if known {
		err := m.Put(key, value)
		if err != nil && !k.full {
			k.full = true
			err = errors.Join(err, k.putState())
		}
		if err != nil {
			return fmt.Errorf("know %v before the stack: %w", remote, err)
		}
		return nil
	}
	if err := m.Delete(key); err != nil && !isAbsent(err) {
		return fmt.Errorf("know %v no longer: %w", remote, err)
	}
	return nil
}

// knownAt is the flow of a client that is known at an address.
func (k *Kernel) knownAt(local netip.AddrPort) (v flowValue) {
	if d := k.isOpen[local]; d != nil && d.kind == Listener {
		v.flags = flowTaken
	}
	return v
}
