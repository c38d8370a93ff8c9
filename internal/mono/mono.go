// Package mono is the time the data plane reckons in: an 8-byte count of
// nanoseconds on a monotonic clock whose origin means nothing.
//
// Algorithms never read a clock. They take a Time as an argument, which is why
// the same code runs in a PoP, in the simulator and in a benchmark's virtual
// time. Only Clock, used by the loops that own sockets, asks the system.
package mono

import "time"

// Time is an instant in nanoseconds since an arbitrary origin. The zero Time
// means "never" wherever a deadline may be absent; clocks therefore start above it.
type Time int64

// Add returns t shifted by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns how long after u the instant t is; negative when it is before.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Before reports whether t is earlier than u.
func (t Time) Before(u Time) bool { return t < u }

// After reports whether t is later than u.
func (t Time) After(u Time) bool { return t > u }

// IsZero reports whether t is the absent instant.
func (t Time) IsZero() bool { return t == 0 }

// Earliest returns the earlier of two deadlines, where zero means "none".
func Earliest(t, u Time) Time {
	switch {
	case t == 0:
		return u
	case u == 0, t < u:
		return t
	}
	return u
}

// Clock reads the system's monotonic clock. The zero Clock is not ready; use NewClock.
type Clock struct{ start time.Time }

// NewClock returns a clock that reads one hour now, so that subtracting a
// history's length from the first instant never reaches zero.
func NewClock() Clock { return Clock{start: time.Now().Add(-time.Hour)} }

// Now returns the current instant.
func (c Clock) Now() Time { return Time(time.Since(c.start)) }
