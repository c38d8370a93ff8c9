package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// A file begins with a head of 512 bytes:
//
//	0..7     "CWHIST1\n"
//	8..11    checksum (CRC-32C) of bytes 12..511
//	12..13   columns
//	14..15   tiers
//	16..     of each tier: step in seconds (4 bytes), slots (4)
//	  ..     of each of PoP, kind and name: length (2), bytes
//	  ..     of each column: fold (1), length (1), bytes
//	  ..511  zero
//
// Then the tiers, the finest first, each as many slots of
//
//	0..3     start of the slot, in seconds since 1970; 0: never written
//	4..      of each column, a float32; NaN where there is no value
//	  ..     checksum (CRC-32C) of what is before it and of the tier's number
//
// Slot number (start / step) mod slots is the only one that a start can be in.
// Numbers are little-endian.
const (
	headSize = 512
	magic    = "CWHIST1\n"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what a file says of itself.
type head struct {
	key     Key
	columns []Column
	tiers   []Tier
}

func headOf(k Key) head {
	kind := Kinds[k.Kind]
	return head{key: k, columns: kind.Columns, tiers: kind.Tiers}
}

// record is the size of a slot.
func (h *head) record() int64 { return int64(8 + 4*len(h.columns)) }

// size is that of the whole file.
func (h *head) size() int64 {
	n := int64(headSize)
	for _, t := range h.tiers {
		n += int64(t.Slots) * h.record()
	}
	return n
}

// offset is where a slot is.
func (h *head) offset(tier int, slot int64) int64 {
	n := int64(headSize)
	for _, t := range h.tiers[:tier] {
		n += int64(t.Slots) * h.record()
	}
	return n + slot*h.record()
}

// equal reports whether files with these heads are laid out alike.
func (h *head) equal(o *head) bool {
	if h.key != o.key || len(h.columns) != len(o.columns) || len(h.tiers) != len(o.tiers) {
		return false
	}
	for i := range h.columns {
		if h.columns[i] != o.columns[i] {
			return false
		}
	}
	for i := range h.tiers {
		if h.tiers[i] != o.tiers[i] {
			return false
		}
	}
	return true
}

func (h *head) encode() []byte {
	b := make([]byte, 12, headSize)
	copy(b, magic)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(h.columns)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(h.tiers)))
	for _, t := range h.tiers {
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Step/time.Second))
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Slots))
	}
	for _, s := range []string{h.key.PoP, h.key.Kind, h.key.Name} {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	for _, c := range h.columns {
		b = append(b, byte(c.Fold), byte(len(c.Name)))
		b = append(b, c.Name...)
	}
	b = append(b, make([]byte, max(0, headSize-len(b)))...)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:headSize], castagnoli))
	return b[:headSize]
}

// Bounds of what a head may say.
const (
	maxColumns = 32
	maxTiers   = 8
	maxSlots   = 1 << 24
)

var errHead = errors.New("the head is damaged")

// parseHead reads a head.
func parseHead(b []byte) (h head, err error) {
	if len(b) < headSize || string(b[:8]) != magic {
		return h, fmt.Errorf("%w: it is no file of history", errHead)
	}
	b = b[:headSize]
	if crc32.Checksum(b[12:], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return h, fmt.Errorf("%w: its checksum is wrong", errHead)
	}
	r := reader{b: b[12:]}
	columns, tiers := int(r.uint16()), int(r.uint16())
	if columns == 0 || columns > maxColumns || tiers == 0 || tiers > maxTiers {
		return h, fmt.Errorf("%w: %d columns and %d tiers", errHead, columns, tiers)
	}
	for range tiers {
		t := Tier{Step: time.Duration(r.uint32()) * time.Second, Slots: int(r.uint32())}
		if t.Step <= 0 || t.Slots <= 0 || t.Slots > maxSlots || t.Step > 24*time.Hour {
			return h, fmt.Errorf("%w: a tier of %d slots of %v", errHead, t.Slots, t.Step)
		}
		h.tiers = append(h.tiers, t)
	}
	h.key = Key{PoP: r.text(int(r.uint16())), Kind: r.text(int(r.uint16())), Name: r.text(int(r.uint16()))}
	for range columns {
		fold := Fold(r.byte())
		h.columns = append(h.columns, Column{Fold: fold, Name: r.text(int(r.byte()))})
	}
	if r.short {
		return h, fmt.Errorf("%w: it ends too early", errHead)
	}
	return h, nil
}

// reader takes values off b; short is set when there were too few bytes.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short, r.b = true, nil
		return make([]byte, min(n, headSize))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

func (r *reader) text(n int) string {
	if n > headSize {
		r.short = true
		return ""
	}
	return string(r.take(n))
}

// putSlot appends a slot to b.
func putSlot(b []byte, tier int, at int64, row []float64) []byte {
	from := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	for _, v := range row {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	}
	return binary.LittleEndian.AppendUint32(b, sumOf(b[from:], tier))
}

// parseSlot reads one slot, b being just that, into row. ok is false for one
// that was never written, is torn, or holds another instant than at.
func parseSlot(b []byte, tier int, at int64, row []float64) bool {
	end := len(b) - 4
	if end < 4 || len(row)*4 != end-4 || int64(binary.LittleEndian.Uint32(b)) != at || at == 0 || sumOf(b[:end], tier) != binary.LittleEndian.Uint32(b[end:]) {
		return false
	}
	for i := range row {
		row[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4+4*i:])))
	}
	return true
}

func sumOf(b []byte, tier int) uint32 {
	return crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, []byte{byte(tier)})
}
