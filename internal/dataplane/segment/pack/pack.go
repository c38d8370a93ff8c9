// Package pack puts frames into datagrams and takes them out again: small
// frames of one batch share a datagram, a frame larger than what is left
// continues in the next. So full 1,500-byte outer packets and reassembled IP
// fragments cross a 1,500-byte path untouched. What protects a datagram, seals
// it and sends it is the business of others.
//
// A datagram body is a run of items:
//
//	0..1   part (2 bits) | length (14 bits)
//	       part 0: a whole frame; 1: a piece; 2: the last piece
//	2..3   pieces only: id of the frame
//	4..6   pieces only: offset of the piece in the frame
//	  ..   length bytes
//
// Pieces carry their offset, so datagrams may arrive in any order.
package pack

import "encoding/binary"

const (
	wholeHeader = 2
	pieceHeader = 7

	partWhole = 0
	partPiece = 1
	partLast  = 2

	maxItem = 1<<14 - 1
	// minPiece is the least room worth starting a piece in: less than this and
	// the datagram goes out short instead. It is small, since a short datagram
	// costs more than its header: the kernel sends only equal ones joined.
	minPiece = 8
)

// MaxFrame is the largest frame that can be carried: the largest UDP payload
// and the longest header before it.
const MaxFrame = 65507 + 512

// Packer fills datagram bodies. Set Emit and ID before use; the body passed to it is
// borrowed for the call. Not safe for concurrent use.
type Packer struct {
	Emit func(body []byte)
	// ID counts the frames that were split. All Packers whose bodies go to one
	// Unpacker must share it, or their pieces would be joined to one another's.
	ID *uint16

	// Room, if set, says where to make the next body, of up to n bytes: an empty slice that
	// is the Packer's until it has been emitted. It may be nil: then the Packer's own memory will do.
	Room func(n int) []byte

	limit int    // most bytes in a body
	buf   []byte // the body in the making; nil before its first byte
	own   []byte
	lent  bool // buf is from Room
}

// SetLimit sets the most bytes of a body, at least 256; it holds from the next
// body on.
func (p *Packer) SetLimit(n int) { p.limit = max(n, 256) }

// Add appends the frame made of head and payload, emitting bodies as they fill.
// Both are copied. It reports false, and does nothing, when the frame is
// larger than MaxFrame.
func (p *Packer) Add(head, payload []byte) bool {
	n := len(head) + len(payload)
	if n > MaxFrame {
		return false
	}
	if n > maxItem || !p.fits(n) && n+wholeHeader > p.limit {
		p.addPieces(head, payload)
		return true
	}
	if !p.fits(n) {
		if p.limit-len(p.buf) >= pieceHeader+minPiece {
			p.addPieces(head, payload)
			return true
		}
		p.Flush()
	}
	if p.buf == nil {
		p.begin()
	}
	p.buf = binary.BigEndian.AppendUint16(p.buf, uint16(partWhole<<14|n))
	p.buf = append(append(p.buf, head...), payload...)
	return true
}

// Flush emits what has been added, if anything.
func (p *Packer) Flush() {
	if len(p.buf) == 0 {
		return
	}
	p.Emit(p.buf)
	if !p.lent {
		p.own = p.buf
	}
	p.buf = nil
}

// begin finds memory for a body.
func (p *Packer) begin() {
	if p.Room != nil {
		p.buf = p.Room(p.limit)
	}
	if p.lent = p.buf != nil; !p.lent {
		p.buf = p.own[:0]
	}
}

func (p *Packer) fits(n int) bool { return len(p.buf)+wholeHeader+n <= p.limit }

func (p *Packer) addPieces(head, payload []byte) {
	*p.ID++
	total := len(head) + len(payload)
	for offset := 0; offset < total; {
		room := p.limit - len(p.buf) - pieceHeader
		if room < minPiece {
			p.Flush()
			continue
		}
		n, part := min(room, maxItem), uint16(partPiece)
		if n >= total-offset {
			n, part = total-offset, partLast
		}
		if p.buf == nil {
			p.begin()
		}
		p.buf = binary.BigEndian.AppendUint16(p.buf, part<<14|uint16(n))
		p.buf = binary.BigEndian.AppendUint16(p.buf, *p.ID)
		p.buf = append(p.buf, byte(offset>>16), byte(offset>>8), byte(offset))
		if offset < len(head) {
			h := head[offset:min(len(head), offset+n)]
			p.buf = append(p.buf, h...)
			p.buf = append(p.buf, payload[:n-len(h)]...)
		} else {
			p.buf = append(p.buf, payload[offset-len(head):offset-len(head)+n]...)
		}
		offset += n
	}
}
