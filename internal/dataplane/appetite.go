package dataplane

// An engine takes in so much at a time that what it sends goes joined, and no more than
// that: what waits to be sent ought to be in the processor's cache still, and packets
// behind a large batch wait for all of it.

const (
	// leastHeld is how many bytes are taken in before they are written out: a second-level
	// cache has four to eight times that, for what was read, what is made of it, and tables.
	leastHeld = 128 << 10
	// mostHeld is for when packets for many places come mixed: a larger batch has more for each.
	mostHeld = 512 << 10
	// wellJoined is how many datagrams in a message, on average, are enough: sending one
	// costs about as much as a microsecond, shared by so many.
	wellJoined = 8
	// judgedAfter is of how many messages the average is taken.
	judgedAfter = 64
)

// joins follows how many datagrams a message has on its way out.
type joins struct {
	sent, messages int // when it was last judged
	hold           int
}

// appetite is how many bytes to take in before the next Flush.
func (e *Engine) appetite() int {
	j := &e.joins
	if messages := e.sent.Messages - j.messages; messages >= judgedAfter {
		j.hold = j.hold * wellJoined * messages / max(e.sent.Sent-j.sent, 1)
		j.sent, j.messages = e.sent.Sent, e.sent.Messages
	}
	j.hold = min(max(j.hold, leastHeld), mostHeld)
	return j.hold
}
