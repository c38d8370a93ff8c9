// Package blocks is an erasure code of overlapping blocks: the numbers are cut into
// blocks of 32 symbols, a new one beginning every 16, so that each symbol belongs to
// two; a repair is a parity of one block in a systematic Cauchy-Reed-Solomon code,
// and any k parities of a block recover any k of its losses. What one block recovers
// helps its neighbours.
//
// It is the alternative to package sliding, made of older art, weaker (a block pools
// fewer packets and must fill before its parities are worth much) and simpler. Blocks
// lie at multiples of 16, whatever the first number is.
//
// The implementation of code.Codec explains itself in the order encoder.go (which
// block a repair is for), window.go (which numbers are known, missing, wanted),
// decoder.go (taking what arrives and recovering), block.go (the algebra of one block).
package blocks

import "causeway/internal/dataplane/segment/code"

const (
	blockLen = 32           // symbols in a block
	stride   = blockLen / 2 // numbers between the beginnings of two blocks
)

// Codec makes encoders and decoders of overlapping blocks. The zero Codec is ready.
type Codec struct{}

var _ code.Codec = Codec{}

// Name implements code.Codec.
func (Codec) Name() string { return "blocks" }

// newest returns the first number of the newest of the two blocks that seq is in; the
// other begins a stride before.
func newest(seq uint32) uint32 { return seq / stride * stride }
