package draw

import (
	"fmt"
	"image/color"
)

// Palette gives each Ink its colour.
type Palette map[Ink]color.NRGBA

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xff}
}

// Light and Dark are the palettes of the report. Text on Paper and on Card has
// a contrast of at least 4.5 to 1 in both (tested).
var (
	Light = Palette{
		Paper: rgb(0xf6f7f9), Card: rgb(0xffffff), Edge: rgb(0xdfe3e8), Grid: rgb(0xe9ecf0),
		Body: rgb(0x16202c), Muted: rgb(0x5b6673),
		Before: rgb(0x64748b), After: rgb(0x0b7f86), Loss: rgb(0xd92d20), Gain: rgb(0x0a7a4b),
		Mark: rgb(0xb45309), OnFill: rgb(0xffffff),
	}
	Dark = Palette{
		Paper: rgb(0x0f141a), Card: rgb(0x171e26), Edge: rgb(0x2b3541), Grid: rgb(0x232c37),
		Body: rgb(0xe8edf2), Muted: rgb(0x98a5b3),
		Before: rgb(0x94a3b8), After: rgb(0x2dd4bf), Loss: rgb(0xff6b5e), Gain: rgb(0x4ade80),
		Mark: rgb(0xfbbf24), OnFill: rgb(0x0f141a),
	}
)

// Hex is the colour as CSS writes it.
func (p Palette) Hex(i Ink) string {
	c := p[i]
	return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
}

// CSS names an ink as a custom property, for a page that defines them.
func CSS(i Ink) string { return "var(--" + string(i) + ")" }
