// Package history keeps the bytes of a direction's newest symbols by number, in the
// form in which codes add them up: framed (their length before them) and padded
// with zeros to a multiple of 64 bytes. Which numbers are inside the window, and
// what a symbol that is absent means, is its users' business.
package history

import (
	"encoding/binary"
)

// lengthSize is the length of the length in front of a framed symbol.
const lengthSize = 2

// Ring holds up to one symbol per slot; number seq lives in slot seq mod slots. Not
// safe for concurrent use.
type Ring struct {
	Pool // lends the buffers; users may borrow from it too

	mask   uint32
	frames [][]byte // padded frames; nil when the slot is free
	sizes  []uint16 // the frames' lengths without padding; 0 when the slot is free
}

// NewRing returns a ring of that many slots, a power of two.
func NewRing(slots int) *Ring {
	return &Ring{mask: uint32(slots - 1), frames: make([][]byte, slots), sizes: make([]uint16, slots)}
}

// Grow makes a ring of twice as many slots of it, in which the symbols from oldest up to
// next stay where they are found. No others are held.
func (r *Ring) Grow(oldest, next uint32) {
	old := *r
	slots := 2 * len(r.frames)
	r.mask = uint32(slots - 1)
	r.frames, r.sizes = make([][]byte, slots), make([]uint16, slots)
	for seq := oldest; seq != next; seq++ {
		r.frames[seq&r.mask], r.sizes[seq&r.mask] = old.frames[seq&old.mask], old.sizes[seq&old.mask]
	}
}

// Slots returns the number of slots.
func (r *Ring) Slots() int { return len(r.frames) }

// Slot returns the slot of symbol seq.
func (r *Ring) Slot(seq uint32) int { return int(seq & r.mask) }

// Put stores a copy of symbol, framed and padded, in place of what its slot held.
func (r *Ring) Put(seq uint32, symbol []byte) {
	r.Release(seq)
	size := lengthSize + len(symbol)
	frame := r.Get(size)
	binary.BigEndian.PutUint16(frame, uint16(len(symbol)))
	copy(frame[lengthSize:], symbol)
	clear(frame[size:])
	r.frames[seq&r.mask], r.sizes[seq&r.mask] = frame, uint16(size)
}

// Release frees the slot of seq.
func (r *Ring) Release(seq uint32) {
	slot := seq & r.mask
	if r.sizes[slot] != 0 {
		r.Pool.Put(r.frames[slot])
		r.frames[slot], r.sizes[slot] = nil, 0
	}
}

// Size returns the length of the frame of seq without padding, 0 if the slot is
// free.
func (r *Ring) Size(seq uint32) int { return int(r.sizes[seq&r.mask]) }

// Frame returns the padded frame of seq, nil if the slot is free.
func (r *Ring) Frame(seq uint32) []byte { return r.frames[seq&r.mask] }

// Symbol returns the symbol in the slot of seq, nil if the slot is free. The bytes
// are the ring's.
func (r *Ring) Symbol(seq uint32) []byte {
	slot := seq & r.mask
	if r.sizes[slot] == 0 {
		return nil
	}
	return r.frames[slot][lengthSize:r.sizes[slot]]
}
