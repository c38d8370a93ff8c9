// Package failover decides which of a connection's tunnels carry its traffic:
// when one counts as dead, when the other takes over, and when the first is
// trusted again. It is told what was seen and when, and knows no clock and no
// daemon.
package failover

import (
	"cmp"
	"time"

	"causeway/internal/mono"
)

// What a tunnel is judged by. charon asks a silent peer after a second, again
// half a second later, and once more after that: two questions without an answer
// are enough where another tunnel stands ready.
const (
	Questions = 2                       // that had to be repeated
	Silence   = 1500 * time.Millisecond // without a sign of life
	Stable    = 30 * time.Second        // default of Choice.Stable
	Settle    = 5 * time.Second         // within which of coming up the first is preferred at once
)

// Life is what is known of one tunnel's peer. The zero Life has heard nothing.
type Life struct {
	heard mono.Time
	asked int // questions that were repeated since
	since mono.Time
	died  bool // it was alive before, and then was not
}

// Hear records a sign of life: a packet that could be authenticated.
func (l *Life) Hear(now mono.Time) { l.heard, l.asked = now, 0 }

// Ask records that a question had to be repeated.
func (l *Life) Ask() { l.asked++ }

// Alive reports whether the tunnel can be relied on; up says that it has its
// security associations.
func (l *Life) Alive(now mono.Time, up bool) bool {
	alive := up && (l.asked < Questions || now.Sub(l.heard) < Silence)
	switch {
	case !alive:
		l.died = l.died || !l.since.IsZero()
		l.since = 0
	case l.since.IsZero():
		l.since = now
	}
	return alive
}

// Since is when Alive first said yes, without a no since; zero: it said no.
func (l *Life) Since() mono.Time { return l.since }

// Choice is which of a connection's tunnels is in use; the zero Choice is the first.
type Choice struct {
	Stable time.Duration // that a tunnel must have been well before traffic goes back to it; default 30 s
	active int
}

// Next returns the tunnel to use now, of those in life, the first of which is
// preferred. It leaves one that is dead at once for one that is not, and goes
// back to the first when that has been well for Stable. At the beginning, while
// the one in use has just come up itself, the first is not waited for that long,
// unless it has died since. With all of them dead it stays.
func (c *Choice) Next(now mono.Time, life []*Life) int {
	if c.active >= len(life) {
		c.active = 0
	}
	stable := cmp.Or(c.Stable, Stable)
	current := life[c.active].since
	for i, l := range life {
		if l.since.IsZero() || i == c.active {
			continue
		}
		better := i < c.active && (now.Sub(l.since) >= stable || !l.died && now.Sub(current) < Settle)
		if current.IsZero() || better {
			c.active = i
			break
		}
	}
	return c.active
}

// Active is what Next last returned.
func (c *Choice) Active() int { return c.active }
