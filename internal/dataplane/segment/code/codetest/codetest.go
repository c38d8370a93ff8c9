// Package codetest is the suite that every erasure code passes: Run has the rules of
// code.Encoder and code.Decoder as tests, Hostile drives a decoder with a fuzzer's
// bytes, Bench measures. Where it matters what a receiver could have known, it asks
// the twin, which keeps everything and solves it by plain Gaussian elimination.
package codetest

import (
	"testing"

	"causeway/internal/dataplane/segment/code"
)

// Suite is a codec and what may be expected of it.
type Suite struct {
	Codec code.Codec

	// Pool is how many symbols, at multiples of Pool, one repair is always able to
	// cover, with any k repairs recovering any k losses.
	Pool int

	// Complete says that decoders recover everything that what arrived determines,
	// however it is spread over spans.
	Complete bool
}

// Run tests the codec.
func (s Suite) Run(t *testing.T) {
	t.Run("any k repairs over one span recover any k losses", s.testAnyK)
	t.Run("symbols of all lengths share a window", s.testLengths)
	t.Run("what is delivered, missing and wanting agrees with a slow twin", s.testTwin)
	t.Run("a small history never yields a wrong symbol", s.testSmallHistory)
	t.Run("expired unknowns do not stand in the way of later ones", s.testExpiry)
	t.Run("what is dropped leaves the equations of the others whole", s.testDropped)
	t.Run("an expired symbol that comes late still helps others", s.testLate)
	t.Run("the encoder holds what it says", s.testEncoder)
	t.Run("verdicts name what happened", s.testVerdicts)
	t.Run("a lying repair costs no more than itself and those mixed with it", s.testLies)
	t.Run("a jump ahead starts a new window", s.testJump)
	t.Run("steady traffic allocates nothing", s.testAllocations)
}
