package limit

import (
	"time"

	"causeway/internal/mono"
)

// Meter tells how many bits a second have passed of late: those of the last
// second, of which the older part is taken to have come evenly. The zero Meter
// is ready.
type Meter struct {
	since     mono.Time // when the current span began
	now, last float64   // bytes in the current span and in the one before
}

const meterSpan = time.Second

// Add counts n bytes that passed.
func (m *Meter) Add(now mono.Time, n int) {
	m.roll(now)
	m.now += float64(n)
}

// Take takes n bytes back that did not pass after all.
func (m *Meter) Take(n int) { m.now = max(0, m.now-float64(n)) }

// Rate returns bit/s.
func (m *Meter) Rate(now mono.Time) float64 {
	m.roll(now)
	left := 1 - float64(now.Sub(m.since))/float64(meterSpan)
	return 8 * (m.now + m.last*min(max(left, 0), 1)) / meterSpan.Seconds()
}

func (m *Meter) roll(now mono.Time) {
	switch gone := now.Sub(m.since); {
	case gone < meterSpan:
	case gone < 2*meterSpan:
		m.since, m.last, m.now = m.since.Add(meterSpan), m.now, 0
	default:
		m.since, m.last, m.now = now, 0, 0
	}
}
