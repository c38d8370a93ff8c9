package code

// Verdict says what a decoder made of one symbol or repair.
type Verdict uint8

// The verdicts. Fresh, Duplicate and Redundant are everyday life; the others are
// reasons for dropping, worth a counter each.
const (
	// Fresh: it told the decoder something new.
	Fresh Verdict = iota
	// Duplicate: a source symbol that is known already, received or recovered.
	Duplicate
	// Redundant: a repair that follows from what is known.
	Redundant
	// Expired: a source symbol that was given up. The decoder remembers it, since
	// it can still help others, but it is too late to pass it on.
	Expired
	// Stale: it lies, or a repair that needs an unknown symbol lies, before the
	// history.
	Stale
	// Malformed: its span is empty, its length impossible, or its span not one the
	// code makes.
	Malformed
	// Contradiction: it, or a symbol worked out with it, cannot be true beside what
	// is known; the equations concerned were thrown away. Also counted once for each
	// worked-out symbol that was refused.
	Contradiction

	verdicts
)

var verdictNames = [verdicts]string{"fresh", "duplicate", "redundant", "expired", "stale", "malformed", "contradiction"}

// String returns the verdict's name, as used for the reason of a drop in metrics.
func (v Verdict) String() string {
	if v < verdicts {
		return verdictNames[v]
	}
	return "unknown"
}

// Tally counts verdicts, and what was recovered.
type Tally struct {
	Source    [verdicts]uint64 // verdicts on source symbols
	Repair    [verdicts]uint64 // verdicts on repairs
	Recovered uint64           // symbols delivered
	Refused   uint64           // symbols worked out that contradicted themselves
	Discarded uint64           // equations thrown away for a contradiction
	Spent     uint64           // equations spent on expired or forgotten unknowns
}
