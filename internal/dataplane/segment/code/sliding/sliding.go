// Package sliding is the systematic sliding-window erasure code over GF(256): any
// set of symbols at most 256 numbers wide can be summed into a repair, and every
// repair that arrives helps all the unknowns it covers at once, so windows need no
// boundaries and a repair helps from the moment it arrives.
//
// Up to 128 numbers wide a repair uses Cauchy coefficients, with which k repairs
// over the same window recover any k losses, always. Wider repairs, and repairs
// over different windows, do so but for about 1 case in 250, which costs one more.
// The implementation of code.Codec explains itself in the order encoder.go (making
// repairs), decoder.go (numbers and windows), equations.go (elimination), solve.go
// (working out payloads), leave.go (unknowns that leave unsolved).
package sliding

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

// Codec makes sliding-window encoders and decoders. The zero Codec is ready.
type Codec struct{}

var _ code.Codec = Codec{}

// Name implements code.Codec.
func (Codec) Name() string { return "sliding" }

// coefficient returns what symbol seq is multiplied by in repair id of a span of
// the given width.
func coefficient(width int, seq uint32, id uint16) byte {
	if width > gf.Run {
		return gf.Random(seq, id)
	}
	return gf.Cauchy(seq, id)
}
