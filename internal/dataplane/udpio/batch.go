package udpio

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Message is one received datagram.
type Message struct {
	Data []byte         // borrowed until the next Read with the same Batch (see ReadMore); may be changed in place
	From netip.AddrPort // never IPv4-mapped
	TOS  uint8          // DSCP and ECN: IPv4's TOS, IPv6's traffic class
}

// Batch is room for what one Read returns. It may be used with one Conn after
// another, by one goroutine.
type Batch struct {
	// Messages is what the last Read got.
	Messages []Message
	// Want is about how many bytes a Read shall bring at most; 0 is as many as fit.
	Want int
	// More tells that the last Read took as much as it asked for: there may be more.
	More bool

	slots []slot
	heads []mmsghdr
	kept  int // slots whose datagrams live on
	used  int // heads that were changed
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	n uint32 // bytes received or sent
}

// slot is where the kernel puts one receive.
type slot struct {
	iovec   unix.Iovec
	control control
	from    rawAddr
	data    []byte
}

// slotSize holds the largest receive: joined datagrams, too, fit an IP packet.
const slotSize = 65535

// slotStride is what lies between the beginnings of two slots: 64 KiB, and some
// cache lines more, lest all slots' first bytes fall into the same cache sets.
const slotStride = 64<<10 + 5*64

// defaultBatch is the size of a Batch that asks for none: enough to spread the
// cost of a system call, small enough to stay in the cache.
const defaultBatch = 64

// NewBatch returns room for size receives of 64 KiB each (touched only as far
// as datagrams reach), every one of which may be many joined datagrams. 0 means 64.
func NewBatch(size int) *Batch {
	if size <= 0 {
		size = defaultBatch
	}
	b := &Batch{
		Messages: make([]Message, 0, 4*size),
		slots:    make([]slot, size),
		heads:    make([]mmsghdr, size),
		used:     size,
	}
	room := make([]byte, size*slotStride)
	for i := range b.slots {
		s, h := &b.slots[i], &b.heads[i]
		s.data = room[i*slotStride:][:slotSize:slotSize]
		s.iovec.Base = &s.data[0]
		s.iovec.SetLen(slotSize)
		h.Name = &s.from[0]
		h.Iov = &s.iovec
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&s.control))
	}
	b.Clear()
	return b
}

// Clear takes all memory back: nothing that was read may be used any more.
func (b *Batch) Clear() {
	for i := range b.heads[:b.used] {
		h := &b.heads[i]
		h.Namelen = uint32(len(b.slots[i].from))
		h.SetControllen(len(b.slots[i].control) * 8)
	}
	b.kept, b.used = 0, 0
	b.Messages, b.More = b.Messages[:0], false
}

// Full tells that there is no room for ReadMore.
func (b *Batch) Full() bool { return b.kept == len(b.heads) }

// take makes Messages of the next n heads and tells how many bytes they have, and how
// many receives were cut short.
func (b *Batch) take(n int) (bytes, truncated int) {
	first := b.kept
	b.kept += n
	b.used = b.kept
	for i := range n {
		h, s := &b.heads[first+i], &b.slots[first+i]
		bytes += int(h.n)
		if h.Flags&unix.MSG_TRUNC != 0 {
			truncated++
			continue
		}
		tos, segment := readControl(&s.control, int(h.Controllen))
		b.split(s.data[:h.n], segment, s.from.addrPort(), tos)
	}
	return bytes, truncated
}

// split adds the datagrams that data is made of, all of size segment but for
// the last, which may be shorter. A segment of 0 means a single datagram.
func (b *Batch) split(data []byte, segment int, from netip.AddrPort, tos uint8) {
	for segment > 0 && len(data) > segment {
		b.Messages = append(b.Messages, Message{data[:segment:segment], from, tos})
		data = data[segment:]
	}
	b.Messages = append(b.Messages, Message{data[:len(data):len(data)], from, tos})
}
