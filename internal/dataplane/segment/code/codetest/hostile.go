package codetest

import (
	"encoding/binary"
	"testing"

	"causeway/internal/dataplane/segment/code"
)

// Hostile lets data say what a peer sends and what the repair layer asks: sources and
// repairs with any numbers, spans, lengths and contents, unknowns that expire, windows
// that are dropped. Now and then check looks at the decoder. In the end an honest
// flow begins, which must come through as if nothing had been.
func (s Suite) Hostile(t *testing.T, data []byte, check func(code.Decoder)) {
	sent := map[uint32][]byte{}
	honest, recovered := false, 0
	d := s.Codec.NewDecoder(code.Config{First: 0xffffff00, History: code.MinHistory}, func(seq uint32, symbol []byte) {
		if honest {
			recovered++
			if string(sent[seq]) != string(symbol) {
				t.Fatalf("an honest symbol was recovered wrongly: %x", symbol)
			}
		}
	})
	in := reader{data: data}
	var missing []code.Unknown
	for steps := 0; len(in.data) > 0 && steps < 400; steps++ {
		before := len(missing)
		op := in.byte()
		seq := d.Next() + uint32(int32(int8(in.byte())))
		switch op % 8 {
		case 0, 1:
			d.Source(seq, in.bytes())
		case 2, 3, 4:
			span := code.Range(seq, 1+int(in.byte()))
			if op&0x80 != 0 {
				for i := range span.Bits {
					span.Bits[i] &= in.uint64()
				}
			}
			d.Repair(span, uint16(in.byte()), in.bytes())
		case 5:
			d.Expire(seq)
		case 6:
			if op&0x80 != 0 {
				d.ExpireBefore(seq)
			} else {
				d.Drop(seq)
			}
		case 7:
			if op&0x80 != 0 {
				seq += uint32(in.byte()) << (in.byte() % 24)
			}
			d.Advance(seq)
		}
		missing = d.Missing(missing[:0])
		if len(missing) > code.MinHistory || len(missing) > before+2*code.MinHistory {
			t.Fatalf("%d missing with a history of %d", len(missing), code.MinHistory)
		}
		if n := d.Deficit(d.Next()); n > len(missing) || n < 0 {
			t.Fatalf("deficit %d of %d missing", n, len(missing))
		}
		if steps%16 == 0 {
			check(d)
		}
	}
	check(d)

	honest = true
	start := (d.Next() + 128 + 31) &^ 31 // what is before may have been given up in advance
	d.ExpireBefore(start)
	enc := s.Codec.NewEncoder(code.Config{First: start})
	for i := range uint32(s.Pool) {
		sent[start+i] = []byte{byte(i), 1, 2, 3}
		enc.Add(start+i, sent[start+i])
	}
	payload := make([]byte, 100)
	for id := range s.Pool {
		used, n := enc.Repair(payload, code.Range(start, s.Pool), uint16(id))
		d.Repair(used, uint16(id), payload[:n])
		if id%32 == 16 {
			check(d)
		}
	}
	if recovered != s.Pool {
		t.Fatalf("after lies, %d of %d honest symbols were recovered", recovered, s.Pool)
	}
}

// reader takes a fuzzer's bytes apart; beyond the end all is zero.
type reader struct{ data []byte }

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) uint64() uint64 {
	var b [8]byte
	r.data = r.data[copy(b[:], r.data):]
	return binary.LittleEndian.Uint64(b[:])
}

// bytes returns a payload: short, with content, or long and nearly empty.
func (r *reader) bytes() []byte {
	n := int(r.byte())
	if n >= 250 {
		b := make([]byte, code.MaxSymbol-252+n) // up to 3 bytes too long for a symbol
		r.data = r.data[copy(b[:8], r.data):]
		return b
	}
	n = min(n%40, len(r.data))
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}
