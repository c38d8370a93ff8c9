package dataplane

import (
	"time"

	"causeway/internal/mono"
)

// Sessions that the disk did not take cost nothing but their coming back after a
// restart; somebody ought to know before that.

// keepsCount is a session.Store that counts what it could not keep.
type keepsCount interface{ Missed() uint64 }

// keptEvery is how often what the store could not keep is said at most.
const keptEvery = time.Minute

// missed is how many times a session could not be written to disk, or read.
func (e *Engine) missed() uint64 {
	if s, ok := e.cfg.Store.(keepsCount); ok {
		return s.Missed()
	}
	return 0
}

// sayMissed logs that sessions are not kept, when more are not than when it was last said.
func (e *Engine) sayMissed(now mono.Time) {
	n := e.missed()
	if n == e.missedSaid || now.Sub(e.missedAt) < keptEvery && e.missedSaid > 0 {
		return
	}
	e.cfg.Log.Warn("sessions could not be kept on disk, and will not come back after a restart", "records", n-e.missedSaid,
		"fix", "make room in the state folder; more than 1,048,576 sessions a worker have no place there")
	e.missedSaid, e.missedAt = n, now
}
