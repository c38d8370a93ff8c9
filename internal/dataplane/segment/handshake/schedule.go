package handshake

import "time"

// Schedule tells when to repeat an initiation that is not answered. The zero
// value is at the first sending.
//
// At first every 100 ms and faster, because at 50 % loss both ways only a
// quarter of the tries is answered: some thirty tries in three seconds leave
// less than one handshake in a thousand unanswered, on a path of 200 ms. A
// datagram of 180 bytes ten times a second troubles nobody. After three seconds
// the peer is more likely down than unlucky, and the gaps grow to one second.
type Schedule struct{ sent int }

// gaps come before the first sendings.
var gaps = [...]time.Duration{
	0, 40 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond, 80 * time.Millisecond,
}

const (
	eagerGap   = 100 * time.Millisecond // then, up to eagerSends
	eagerSends = 32                     // about 3 s
	patientGap = time.Second            // the longest
)

// Next returns how long after the previous sending (at first: after now, which
// is zero) to send. random is any 64 random bits; they move each gap but the
// first by up to a fifth, so that PoPs that started together spread.
func (s *Schedule) Next(random uint64) time.Duration {
	gap := eagerGap
	switch n := s.sent; {
	case n < len(gaps):
		gap = gaps[n]
	case n >= eagerSends:
		for ; n >= eagerSends && gap < patientGap; n-- {
			gap += gap / 4
		}
		gap = min(gap, patientGap)
	}
	s.sent++
	fifth := int64(gap / 5)
	return gap - time.Duration(fifth) + time.Duration(float64(2*fifth)*(float64(random>>11)/(1<<53)))
}

// Sent is how often Next was called since the zero value or Reset.
func (s *Schedule) Sent() int { return s.sent }

// Reset starts over, as for a fresh Initiation or after a wire came back.
func (s *Schedule) Reset() { *s = Schedule{} }
