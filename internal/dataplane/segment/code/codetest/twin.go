package codetest

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

// twin is the slow, obviously right receiver: it keeps every equation whole and, when
// asked, does plain Gaussian elimination on all of them. Numbers count from 0 in it.
type twin struct {
	first     uint32
	known     map[int][]byte // symbols that arrived as themselves
	equations []equation
}

// equation says that the framed symbols, each times its coefficient, add up to the
// payload.
type equation struct {
	coef    map[int]byte
	payload []byte
}

func newTwin(first uint32) *twin { return &twin{first: first, known: map[int][]byte{}} }

func (w *twin) source(seq uint32, symbol []byte) { w.known[int(seq-w.first)] = symbol }

// repair adds the repair id over used. The coefficients are found by asking the codec
// itself: its encoder repairs symbols of which each is 1 in a byte of its own.
func (w *twin) repair(c code.Codec, used code.Span, id uint16, payload []byte) {
	e := equation{coef: map[int]byte{}, payload: append([]byte(nil), payload...)}
	for seq, f := range coefficients(c, used, id) {
		e.coef[int(seq-w.first)] = f
	}
	w.equations = append(w.equations, e)
}

// coefficients returns what the codec multiplies each symbol of span by in repair id.
func coefficients(c code.Codec, span code.Span, id uint16) map[uint32]byte {
	enc := c.NewEncoder(code.Config{First: span.First})
	for i := range span.Width() {
		unit := make([]byte, code.MaxSpan)
		unit[i] = 1
		enc.Add(span.First+uint32(i), unit)
	}
	dst := make([]byte, code.LengthSize+code.MaxSpan)
	used, _ := enc.Repair(dst, span, id)
	if used != span {
		panic("codetest: the codec cut down a span that it had made")
	}
	coef := map[uint32]byte{}
	for seq := range span.Each {
		coef[seq] = dst[code.LengthSize+seq-span.First]
	}
	return coef
}

// solve returns all symbols, arrived or not, that what arrived determines.
func (w *twin) solve() map[int][]byte {
	solved := map[int][]byte{}
	for i, s := range w.known {
		solved[i] = s
	}
	// The matrix: a row per equation, a column per unknown, the payload beside it.
	column := map[int]int{}
	var number []int
	for _, e := range w.equations {
		for i := range e.coef {
			if _, known := w.known[i]; !known {
				if _, ok := column[i]; !ok {
					column[i] = len(number)
					number = append(number, i)
				}
			}
		}
	}
	longest := 0
	for _, e := range w.equations {
		longest = max(longest, len(e.payload))
	}
	var rows, payloads [][]byte
	for _, e := range w.equations {
		row, payload := make([]byte, len(number)), make([]byte, longest)
		copy(payload, e.payload)
		for i, f := range e.coef {
			if s, known := w.known[i]; known {
				addScaled(payload, frame(s), f)
			} else {
				row[column[i]] = f
			}
		}
		rows, payloads = append(rows, row), append(payloads, payload)
	}
	rank := 0
	for c := range number {
		p := rank
		for p < len(rows) && rows[p][c] == 0 {
			p++
		}
		if p == len(rows) {
			continue
		}
		rows[p], rows[rank], payloads[p], payloads[rank] = rows[rank], rows[p], payloads[rank], payloads[p]
		inv := gf.Inv(rows[rank][c])
		gf.Scale(inv, rows[rank])
		gf.Scale(inv, payloads[rank])
		for r := range rows {
			if f := rows[r][c]; r != rank && f != 0 {
				addScaled(rows[r], rows[rank], f)
				addScaled(payloads[r], payloads[rank], f)
			}
		}
		rank++
	}
	for r := range rank {
		only := -1
		for c, f := range rows[r] {
			if f != 0 && only >= 0 {
				only = -2
				break
			} else if f != 0 {
				only = c
			}
		}
		if only >= 0 {
			n := int(payloads[r][0])<<8 | int(payloads[r][1])
			solved[number[only]] = payloads[r][code.LengthSize : code.LengthSize+n]
		}
	}
	return solved
}

// frame returns the symbol with its length before it.
func frame(symbol []byte) []byte {
	return append([]byte{byte(len(symbol) >> 8), byte(len(symbol))}, symbol...)
}

// addScaled adds f·b to a, element by element.
func addScaled(a, b []byte, f byte) {
	for i, v := range b {
		a[i] ^= gf.Mul(f, v)
	}
}
