package draw

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// font reads glyph outlines from a TrueType file: the tables head, maxp, hhea,
// hmtx, cmap (format 4), loca and glyf, as the OpenType specification has them.
// It reads the two Go fonts compiled into the program and no others, so it
// need not stand up to hostile files; there is no hinting and no kerning.
type font struct {
	unitsPerEm float64
	glyf, hmtx []byte
	loca       []uint32 // glyph → offset in glyf; one more than there are glyphs
	hmetrics   int
	cmap       []cmapRange
}

// cmapRange maps the characters from first to last.
type cmapRange struct {
	first, last uint16
	delta       uint16
	glyphs      []byte // when not nil: big-endian glyph numbers, by character − first
}

var (
	regular = sync.OnceValue(func() *font { return mustFont(goregular.TTF) })
	bold    = sync.OnceValue(func() *font { return mustFont(gobold.TTF) })
)

func fontFor(isBold bool) *font {
	if isBold {
		return bold()
	}
	return regular()
}

// TextWidth is how wide s is in the fonts of PNG; SVG may differ by a little.
func TextWidth(s string, size float64, isBold bool) float64 {
	f := fontFor(isBold)
	units := 0
	for _, r := range s {
		units += f.advance(f.glyph(r))
	}
	return float64(units) * size / f.unitsPerEm
}

var be = binary.BigEndian

func mustFont(ttf []byte) *font {
	tables := map[string][]byte{}
	for i := range int(be.Uint16(ttf[4:])) {
		record := ttf[12+16*i:]
		at, length := be.Uint32(record[8:]), be.Uint32(record[12:])
		tables[string(record[:4])] = ttf[at : at+length]
	}
	for _, name := range []string{"head", "maxp", "hhea", "hmtx", "cmap", "loca", "glyf"} {
		if tables[name] == nil {
			panic(fmt.Sprintf("draw: compiled-in font has no table %q", name))
		}
	}
	f := &font{
		unitsPerEm: float64(be.Uint16(tables["head"][18:])),
		glyf:       tables["glyf"],
		hmtx:       tables["hmtx"],
		hmetrics:   int(be.Uint16(tables["hhea"][34:])),
	}
	longOffsets := be.Uint16(tables["head"][50:]) == 1
	for i := range int(be.Uint16(tables["maxp"][4:])) + 1 {
		if longOffsets {
			f.loca = append(f.loca, be.Uint32(tables["loca"][4*i:]))
		} else {
			f.loca = append(f.loca, 2*uint32(be.Uint16(tables["loca"][2*i:])))
		}
	}
	f.cmap = readCmap(tables["cmap"])
	return f
}

func readCmap(cmap []byte) []cmapRange {
	for i := range int(be.Uint16(cmap[2:])) {
		sub := cmap[be.Uint32(cmap[4+8*i+4:]):]
		if be.Uint16(sub) != 4 {
			continue
		}
		n := int(be.Uint16(sub[6:])) / 2
		ends := sub[14:]
		starts := ends[2*n+2:]
		deltas := starts[2*n:]
		offsets := deltas[2*n:]
		ranges := make([]cmapRange, n)
		for j := range ranges {
			r := cmapRange{
				first: be.Uint16(starts[2*j:]),
				last:  be.Uint16(ends[2*j:]),
				delta: be.Uint16(deltas[2*j:]),
			}
			if o := int(be.Uint16(offsets[2*j:])); o != 0 {
				r.glyphs = offsets[2*j+o:]
			}
			ranges[j] = r
		}
		return ranges
	}
	panic("draw: compiled-in font has no cmap of format 4")
}

// glyph is the glyph of a character, 0 ("missing") where the font has none.
func (f *font) glyph(r rune) int {
	switch r {
	case '\u00a0', '\u2009', '\u202f':
		r = ' '
	}
	if r > 0xffff {
		return 0
	}
	c := uint16(r)
	for _, m := range f.cmap {
		if c < m.first || c > m.last {
			continue
		}
		if m.glyphs == nil {
			return int(c + m.delta)
		}
		if g := be.Uint16(m.glyphs[2*int(c-m.first):]); g != 0 {
			return int(g + m.delta)
		}
		return 0
	}
	return 0
}

func (f *font) advance(glyph int) int {
	return int(be.Uint16(f.hmtx[4*min(glyph, f.hmetrics-1):]))
}

// curvePoint is a point of an outline; one that is not on the curve pulls it.
type curvePoint struct {
	x, y float64 // font units, y upwards
	on   bool
}

// outline returns a glyph's closed contours.
func (f *font) outline(glyph int) [][]curvePoint {
	if glyph < 0 || glyph+1 >= len(f.loca) || f.loca[glyph] == f.loca[glyph+1] {
		return nil
	}
	data := f.glyf[f.loca[glyph]:f.loca[glyph+1]]
	if contours := int16(be.Uint16(data)); contours >= 0 {
		return simpleOutline(data[10:], int(contours))
	}
	return f.compositeOutline(data[10:])
}

func simpleOutline(data []byte, contours int) [][]curvePoint {
	ends := make([]int, contours)
	for i := range ends {
		ends[i] = int(be.Uint16(data[2*i:]))
	}
	data = data[2*contours:]
	data = data[2+int(be.Uint16(data)):] // hinting instructions
	n := 0
	if contours > 0 {
		n = ends[contours-1] + 1
	}
	const (
		onCurve = 1 << iota
		xShort
		yShort
		repeat
		xSame // or, with xShort, positive
		ySame
	)
	flags := make([]byte, 0, n)
	for len(flags) < n {
		flag := data[0]
		data = data[1:]
		flags = append(flags, flag)
		if flag&repeat != 0 {
			for range data[0] {
				flags = append(flags, flag)
			}
			data = data[1:]
		}
	}
	points := make([]curvePoint, n)
	axis := func(short, same byte, set func(*curvePoint, float64)) {
		at := 0
		for i, flag := range flags {
			switch {
			case flag&short != 0 && flag&same != 0:
				at += int(data[0])
				data = data[1:]
			case flag&short != 0:
				at -= int(data[0])
				data = data[1:]
			case flag&same == 0:
				at += int(int16(be.Uint16(data)))
				data = data[2:]
			}
			set(&points[i], float64(at))
		}
	}
	axis(xShort, xSame, func(p *curvePoint, v float64) { p.x = v })
	axis(yShort, ySame, func(p *curvePoint, v float64) { p.y = v })
	out := make([][]curvePoint, 0, contours)
	start := 0
	for _, end := range ends {
		for i := start; i <= end; i++ {
			points[i].on = flags[i]&onCurve != 0
		}
		out = append(out, points[start:end+1])
		start = end + 1
	}
	return out
}

// compositeOutline puts other glyphs together, moved but not scaled: the Go
// fonts need no more (tested for every character the report writes).
func (f *font) compositeOutline(data []byte) [][]curvePoint {
	const (
		words      = 1 << 0
		moved      = 1 << 1
		scaled     = 1<<3 | 1<<6 | 1<<7
		moreFollow = 1 << 5
	)
	var out [][]curvePoint
	for {
		flags, glyph := be.Uint16(data), int(be.Uint16(data[2:]))
		data = data[4:]
		var dx, dy float64
		if flags&words != 0 {
			dx, dy = float64(int16(be.Uint16(data))), float64(int16(be.Uint16(data[2:])))
			data = data[4:]
		} else {
			dx, dy = float64(int8(data[0])), float64(int8(data[1]))
			data = data[2:]
		}
		if flags&scaled != 0 || flags&moved == 0 {
			return nil
		}
		for _, contour := range f.outline(glyph) {
			shifted := make([]curvePoint, len(contour))
			for i, p := range contour {
				shifted[i] = curvePoint{p.x + dx, p.y + dy, p.on}
			}
			out = append(out, shifted)
		}
		if flags&moreFollow == 0 {
			return out
		}
	}
}
