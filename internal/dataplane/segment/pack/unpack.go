package pack

import "encoding/binary"

// slots bounds how many frames may be incomplete at once. A frame's slot is
// its id's low bits, so an incomplete frame is given up when 4,096 later
// split frames have begun.
const slots = 4096

// maxHeld bounds the bytes of incomplete frames.
const maxHeld = 32 << 20

// Unpacker takes frames out of bodies. The zero Unpacker is ready. Not safe
// for concurrent use.
type Unpacker struct {
	Malformed  uint64 // bodies whose items did not add up
	Incomplete uint64 // frames given up because a piece never came

	partial [slots]partial
	free    [][]byte // buffers of frames that were completed
	held    int
}

type partial struct {
	id    uint16
	live  bool
	have  int // bytes that arrived
	total int // 0 until the last piece is here
	buf   []byte
}

// Unpack calls deliver for every whole frame in body, and for every frame that
// body completes. A frame aliases body or the Unpacker's memory and is
// borrowed for the call; joined tells which: true means it does not alias body.
func (u *Unpacker) Unpack(body []byte, deliver func(frame []byte, joined bool)) {
	for len(body) > 0 {
		if len(body) < wholeHeader {
			u.Malformed++
			return
		}
		word := binary.BigEndian.Uint16(body)
		part, n := word>>14, int(word&maxItem)
		head := wholeHeader
		if part != partWhole {
			head = pieceHeader
		}
		if part > partLast || len(body) < head+n {
			u.Malformed++
			return
		}
		item := body[head : head+n]
		if part == partWhole {
			deliver(item, false)
		} else {
			id := binary.BigEndian.Uint16(body[2:])
			offset := int(body[4])<<16 | int(body[5])<<8 | int(body[6])
			u.piece(id, offset, item, part == partLast, deliver)
		}
		body = body[head+n:]
	}
}

func (u *Unpacker) piece(id uint16, offset int, b []byte, last bool, deliver func([]byte, bool)) {
	if offset+len(b) > MaxFrame {
		u.Malformed++
		return
	}
	p := &u.partial[id%slots]
	if p.live && p.id != id {
		u.drop(p)
		u.Incomplete++
	}
	if !p.live {
		if u.held >= maxHeld {
			u.Incomplete++
			return
		}
		*p = partial{id: id, live: true, buf: u.buffer()}
	}
	if need := offset + len(b); need > len(p.buf) {
		grown := need - len(p.buf)
		if need > cap(p.buf) {
			bigger := make([]byte, len(p.buf), max(need, 4096))
			copy(bigger, p.buf)
			p.buf = bigger
		}
		p.buf = p.buf[:need]
		u.held += grown
	}
	copy(p.buf[offset:], b)
	p.have += len(b)
	if last {
		p.total = offset + len(b)
	}
	if p.total == 0 || p.have < p.total {
		return
	}
	if p.have == p.total && len(p.buf) == p.total {
		deliver(p.buf, true)
	} else {
		u.Malformed++ // overlapping pieces, or one beyond the last
	}
	u.drop(p)
}

// Reset gives up what is incomplete: the Packers began anew.
func (u *Unpacker) Reset() {
	for i := range u.partial {
		if p := &u.partial[i]; p.live {
			u.drop(p)
			u.Incomplete++
		}
	}
}

func (u *Unpacker) buffer() []byte {
	if n := len(u.free); n > 0 {
		b := u.free[n-1]
		u.free = u.free[:n-1]
		return b[:0]
	}
	return nil
}

func (u *Unpacker) drop(p *partial) {
	u.held -= len(p.buf)
	if cap(p.buf) <= 16<<10 && len(u.free) < 64 {
		u.free = append(u.free, p.buf[:0])
	}
	*p = partial{}
}
