package repair

// Outstanding reports whether anything that the peer sent is known to be missing
// here and may still come: by repair, or over a slower wire. It is asked per
// packet, by who decides whether waiting for an earlier one makes sense.
func (e *Endpoint) Outstanding() bool {
	for _, r := range e.rx {
		if r != nil && r.missing > 0 {
			return true
		}
	}
	return len(e.usable) > 1
}
