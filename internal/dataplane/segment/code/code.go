// Package code describes the erasure code of a segment: what is remembered of
// the packets sent, how a repair packet is made from several of them, and how
// lost packets are worked out again from the repairs that arrived.
//
// It says what a code does, not which code it is and not when to use it. The
// codes are in the sub-packages: sliding (the default: a sliding window over
// GF(256)) and blocks (overlapping Cauchy-Reed-Solomon blocks). Both pass the
// suite in codetest. When a repair is sent, over which packets, on which wire,
// and when a packet is given up is decided by segment/repair.
//
// # The words
//
// A symbol is a byte string of 0 to MaxSymbol bytes with a 32-bit sequence
// number; numbers are compared in serial arithmetic (RFC 1982) and may wrap. A
// source symbol is one sent as it is. A repair is a sum of source symbols, each
// multiplied by a coefficient that both ends derive from its number and from the
// repair's id; the set of symbols in the sum is the repair's Span. To the
// receiver a symbol it never got is an unknown and a repair is an equation.
//
// # What is on the wire
//
// A datagram that carries a repair needs the span (Span.Append), the id (16 bit)
// and the payload:
//
//	payload = Σ  coefficient(number, id) · ( length16 ‖ symbol ‖ zeros )
//
// where length16 is big-endian and the zeros fill up to the longest symbol of the
// span, so symbols of any lengths share a window. A payload is therefore
// LengthSize bytes longer than the longest symbol it covers.
//
// # Rules for all implementations
//
// Encoders and decoders belong to one goroutine. They have no clock, socket, lock
// or logger; they allocate nothing per packet once their buffers have grown to
// the traffic. Whatever a peer sends costs a bounded amount of work and memory and
// never more than the packet that carried it.
package code

// MaxSymbol is the length in bytes of the longest symbol a code accepts: a jumbo
// frame's payload.
const MaxSymbol = 9000

// LengthSize is how many bytes a repair payload is longer than the longest symbol
// in its span.
const LengthSize = 2

// Config sizes one end. The zero Config is good for a few thousand packets a second.
type Config struct {
	// First is the number of the first symbol of this direction.
	First uint32

	// History is how many of the newest symbols are remembered at most, at either
	// end: what is older can be neither repaired nor used to repair. It ought to cover
	// rate × (delay budget + one-way delay). It is raised to a power of two between
	// MinHistory and MaxHistory; 0 means DefaultHistory. Memory follows the packets
	// really held, up to History × MaxSymbol.
	History int
}

// Limits of Config.History, in symbols. The largest is what 2 Gbit/s of 1,400-byte
// packets send in 370 ms.
const (
	MinHistory     = 256
	DefaultHistory = 4096
	MaxHistory     = 65536
)

// Slots returns the number of symbols to remember under c: its History, brought
// into range and to a power of two.
func (c Config) Slots() int {
	if c.History == 0 {
		return DefaultHistory
	}
	n := MinHistory
	for n < c.History && n < MaxHistory {
		n *= 2
	}
	return n
}

// FirstSlots is how many symbols there is room for to begin with; room grows with what
// is held.
func (c Config) FirstSlots() int { return min(c.Slots(), 1024) }

// Codec makes the two ends of one segment direction. Both ends must use the same
// codec (compare Name in the handshake).
type Codec interface {
	// Name is the codec's name in settings and handshakes: "sliding", "blocks".
	Name() string

	// NewEncoder returns the sending end.
	NewEncoder(c Config) Encoder

	// NewDecoder returns the receiving end. It calls deliver once for each symbol
	// it recovers that has not expired, from within Source and Repair; symbols that
	// come as themselves are not delivered (the caller has them). The symbol's bytes
	// are the decoder's and valid during the call only; deliver must not call the
	// decoder.
	NewDecoder(c Config, deliver func(seq uint32, symbol []byte)) Decoder
}

// Encoder is the sending end: it remembers symbols and makes repairs of them.
type Encoder interface {
	// Room returns an empty slice with room for n bytes, at most MaxSymbol, to make the
	// next symbol in: Add keeps a symbol that begins there instead of copying it. It is
	// lent until then, or until Room is called again.
	Room(n int) []byte

	// Add remembers a copy of the symbol numbered seq, which must be Next(). When
	// History symbols are held the oldest is forgotten. It reports false, and
	// changes nothing, when seq is not Next() or symbol is longer than MaxSymbol.
	Add(seq uint32, symbol []byte) bool

	// Drop forgets the symbols before upTo (acknowledged or expired). Symbols not
	// yet added are not affected.
	Drop(upTo uint32)

	// Oldest and Next bound what is held: the symbols Oldest() … Next()-1.
	Oldest() uint32
	Next() uint32

	// Symbol returns the held symbol seq for sending it again as it is, and whether
	// it is held. The bytes are the encoder's, read-only, valid until the next Add
	// or Drop.
	Symbol(seq uint32) ([]byte, bool)

	// Headed is Symbol with n bytes in front of it, at most 64, that the caller may write:
	// so a datagram of the symbol needs no copy of it. What is written is lost at the
	// next call.
	Headed(seq uint32, n int) ([]byte, bool)

	// Repair makes the repair with number id over the symbols of want, or over as
	// many of them as the code can put into one repair and the encoder still holds:
	// used says which, and is what must go on the wire. The payload is written to
	// dst; n is its length. A repair that is impossible (nothing of want is held,
	// dst is shorter than the payload) has n = 0.
	//
	// Ids should count up by one per repair of the direction, whatever the spans:
	// repairs with the same id over the same symbols are the same repair, and codes
	// are at their best among ids of one run of 128 (id/128 equal).
	Repair(dst []byte, want Span, id uint16) (used Span, n int)
}

// Decoder is the receiving end: it remembers the symbols that came and keeps the
// repairs as equations over those that did not, in reduced echelon form with the
// newest unknown of an equation as its pivot.
type Decoder interface {
	// Source takes the symbol seq as received; the bytes are copied. Only for Fresh
	// is the symbol one that the caller should pass on: every other verdict means
	// that it was passed on before (Duplicate), has expired (Expired), lies before
	// the history (Stale), or is refused (Malformed). Knowing it may solve others,
	// which are delivered before Source returns.
	Source(seq uint32, symbol []byte) Verdict

	// Repair takes a repair as received; the bytes are copied if they are kept.
	Repair(span Span, id uint16, payload []byte) Verdict

	// Advance says that the symbols before next have been sent (a heartbeat), so
	// that those not received are missing. Going back has no effect.
	Advance(next uint32)

	// Next is the number after the newest symbol known to have been sent.
	Next() uint32

	// Expire gives up the unknown seq: it will not be delivered any more, is no
	// longer Missing, and leaves the equations at the price of at most one of them.
	// If seq is known or not yet sent this has no effect.
	Expire(seq uint32)

	// ExpireBefore gives up all unknowns before upTo, sent or not.
	ExpireBefore(upTo uint32)

	// Drop forgets the symbols before upTo, known or not: repairs that include them
	// are useless afterwards. Called with what the sender can no longer have put
	// into repairs under way; without it the newest History symbols are kept.
	Drop(upTo uint32)

	// Has reports whether symbol seq is known, received or recovered, and held.
	Has(seq uint32) bool

	// Missing appends the unknowns that have not expired to dst, oldest first.
	Missing(dst []Unknown) []Unknown

	// Deficit returns how many independent equations are wanting to solve all the
	// Missing before upTo: their number less the pivots among them. Repairs whose
	// span reaches beyond upTo do not count unless elimination freed them of what
	// lies beyond. It is never less than what is wanting; a code that does not
	// eliminate across all its equations (blocks) may report more.
	Deficit(upTo uint32) int

	// Tally returns how many calls ended with each verdict.
	Tally() Tally
}

// Unknown is a symbol that was sent and has not arrived.
type Unknown struct {
	Seq uint32

	// Pivot says that an equation has this unknown as its newest: one equation that
	// counts for every prefix of the unknowns which includes it.
	Pivot bool
}

// Before reports whether number a comes before b in serial arithmetic.
func Before(a, b uint32) bool { return int32(a-b) < 0 }
