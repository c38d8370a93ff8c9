package repair

import (
	"encoding/binary"

	"causeway/internal/dataplane/segment/code"
)

// The first byte of a plaintext. Streams add their number to the last two.
const (
	KindFirst = 0x10
	KindLast  = 0x2f

	kindPlain   = 0x10 // a symbol sent once
	kindCopy    = 0x11 // a symbol protected by acknowledged copies
	kindReport  = 0x12 // what has arrived here, and other news
	kindBeat    = 0x13 // how far each stream has been sent
	kindCarrier = 0x14 // a report in front of another message
	kindSource  = 0x18 // + stream: a symbol of a coded stream
	kindRepair  = 0x20 // + stream: a repair
)

// Lengths of headers.
const (
	plainHeader   = 4 // kind, wire number, mode
	sourceHeader  = 6 // kind, wire number, sequence number (24 bits)
	copyHeader    = 7 // kind, wire number, mode, sequence number (16 bits), age
	repairFixed   = 5 // kind, wire number, id; then the span
	carrierHeader = 2 // kind, length of the report

	// MaxSourceOverhead is how much shorter than a wire's MTU symbols must be: by the
	// largest header of a repair of them, whose span is a bitmap. A symbol with a
	// stamp in front takes less.
	MaxSourceOverhead = repairFixed + maxSpanSize + code.LengthSize
	maxSpanSize       = 5 + code.MaxSpan/8
)

// streams are numbered 2 × mode + size class: modes do not share deadlines, and
// small packets do not pay for large ones' length.
const (
	streams = 2 * int(Off)
	// smallSymbol is the longest symbol of the small class: TCP acknowledgements,
	// voice, pings.
	smallSymbol = 256
)

func streamOf(m Mode, n int) int {
	if n > smallSymbol {
		return 2*int(m) + 1
	}
	return 2 * int(m)
}

// widen24 reads 24 bits as the number next to near.
func widen24(b []byte, near uint32) uint32 {
	low := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	return near + uint32(int32((low-near)<<8)>>8)
}

func widen16(low uint16, near uint32) uint32 {
	return near + uint32(int32(int16(low-uint16(near))))
}

// beat is a heartbeat: for each live stream the number after its newest symbol.
//
//	0      kind · 1..2 wire number · 3 number of entries n
//	4..    n × ( stream 1 · next 4 )
func appendBeat(b []byte, s []streamNext) []byte {
	b = append(b, byte(len(s)))
	for _, e := range s {
		b = append(b, e.stream)
		b = binary.BigEndian.AppendUint32(b, e.next)
	}
	return b
}

type streamNext struct {
	stream uint8
	next   uint32
}

func parseBeat(b []byte, dst []streamNext) ([]streamNext, bool) {
	if len(b) < 1 || int(b[0]) > streams || len(b) != 1+5*int(b[0]) {
		return nil, false
	}
	for e := b[1:]; len(e) > 0; e = e[5:] {
		if int(e[0]) >= streams {
			return nil, false
		}
		dst = append(dst, streamNext{e[0], binary.BigEndian.Uint32(e[1:])})
	}
	return dst, true
}
