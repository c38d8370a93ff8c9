package handshake

import "time"

// Schedule tells when to repeat an initiation that is not answered. The zero
// value is at the first sending.
type Schedule struct{ sent int }

// Next returns how long after the previous sending (at first: after now, which
// is zero) to send. random is any 64 random bits; they spread PoPs that started together.
func (s *Schedule) Next(random uint64) time.Duration { return 0 }

// Sent is how often Next was called since the zero value or Reset.
func (s *Schedule) Sent() int { return s.sent }

// Reset starts over, as for a fresh Initiation after a wire came back.
func (s *Schedule) Reset() { *s = Schedule{} }
