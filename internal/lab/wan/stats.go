package wan

import (
	"fmt"
	"time"
)

// Stats is what the emulator counted since the clock was started or the counts were
// reset, and how well it kept time. In JSON durations are nanoseconds.
type Stats struct {
	Since    time.Duration `json:"since"`    // how long this counting has run
	Elapsed  time.Duration `json:"elapsed"`  // since the clock's t0
	Realtime bool          `json:"realtime"` // whether the loop has real-time priority
	Links    []LinkStats   `json:"links"`
	Nodes    []NodeStats   `json:"nodes"`
	Lateness Lateness      `json:"lateness"`

	// Valid is false when the machine was too busy for what was measured
	// meanwhile to count; Reason then says why.
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"`
}

// LinkStats counts one direction of one link, in packets but for the Bytes.
type LinkStats struct {
	From           string            `json:"from"`
	To             string            `json:"to"`
	Offered        uint64            `json:"offered"`
	OfferedBytes   uint64            `json:"offered_bytes"`
	Delivered      uint64            `json:"delivered"` // duplicates among them
	DeliveredBytes uint64            `json:"delivered_bytes"`
	Duplicated     uint64            `json:"duplicated"`
	Dropped        map[string]uint64 `json:"dropped"` // by weather.DropReason, those that occurred
	TTLExpired     uint64            `json:"ttl_expired"`
	Fragmented     uint64            `json:"fragmented"` // packets cut to fit the MTU
}

// NodeStats counts what a node sent that no link carried, and what the
// emulator itself lost, which the weather did not ask for.
type NodeStats struct {
	Name      string `json:"name"`
	NoRoute   uint64 `json:"no_route"`  // to addresses without a link
	Foreign   uint64 `json:"foreign"`   // from addresses that are not the node's, or to multicast
	Malformed uint64 `json:"malformed"` // no IP packets
	Overflow  uint64 `json:"overflow"`  // no buffer was free
	Unread    uint64 `json:"unread"`    // dropped before the emulator came to read them
	Unwritten uint64 `json:"unwritten"` // not taken by the node's device
}

// Lateness says how far behind their due times packets were released, and the
// loop itself woke.
type Lateness struct {
	Packets uint64        `json:"packets"`
	P50     time.Duration `json:"p50"`
	P99     time.Duration `json:"p99"`
	P999    time.Duration `json:"p999"`
	Max     time.Duration `json:"max"`

	Stalls     uint64        `json:"stalls"`      // times the loop did not run for more than StallLimit
	Stalled    time.Duration `json:"stalled"`     // their sum
	LongestGap time.Duration `json:"longest_gap"` // the loop's longest absence beyond what it asked for
}

// A run counts while these hold. A loop with real-time priority on an idle
// machine has a p99 near 0.1 ms and no absence above 6 ms (measured on a 2-core virtual
// machine); foreign work that takes its core makes it miss 20 to 250 ms at a
// time, with nothing between. So 15 ms tells the two apart, and 1 ms at p99 is the
// least that would be seen in a table of milliseconds. One absence in a
// long run moves no percentile and hardly an average; what spoils a report is
// their share of it, so a tenth of a percent of the time is allowed: none in a run
// of up to 15 s, three of 20 ms in a minute.
const (
	LatenessLimit   = time.Millisecond
	StallLimit      = 15 * time.Millisecond
	StallShareLimit = 0.001
)

// judge sets Valid and Reason from the rest.
func (s *Stats) judge() {
	l := &s.Lateness
	var unasked uint64
	for _, n := range s.Nodes {
		unasked += n.Overflow + n.Unread + n.Unwritten
	}
	switch {
	case l.P99 > LatenessLimit:
		s.Reason = fmt.Sprintf("one packet in a hundred was released %v late or more, allowed is %v", l.P99.Round(10*time.Microsecond), LatenessLimit)
	case float64(l.Stalled) > StallShareLimit*float64(s.Since):
		s.Reason = fmt.Sprintf("the emulator was held up %d times for %v altogether in %v, the longest %v", l.Stalls,
			l.Stalled.Round(time.Millisecond), s.Since.Round(time.Second), l.LongestGap.Round(time.Millisecond))
	case unasked > 0:
		s.Reason = fmt.Sprintf("the emulator lost %d packets that the weather did not", unasked)
	}
	s.Valid = s.Reason == ""
	if !s.Valid {
		s.Reason = "the machine was too busy: " + s.Reason
	}
}
