// Package admission decides which IKE negotiations may cross to an endpoint, so
// that strangers cannot use up what it keeps for half-open ones: gateways refuse
// everybody at an address that has too many, and behind a PoP everybody has
// the same address.
//
// It keeps account of the negotiations with one endpoint (Gate), of who is no
// stranger (Known), and makes the cookies that prove that a stranger receives at its
// address (Cookies). It sends nothing and knows no sessions.
package admission

import (
	"net/netip"
	"time"

	"causeway/internal/mono"
)

// Bounds of a Gate. strongSwan refuses an address with five half-open negotiations
// and gives one up after 30 seconds; so fewer than five are let through that may
// never be finished.
const (
	PerStranger = 2  // half-open, of one address that has never finished one
	PerKnown    = 4  // of one that has; anyone may forge its address
	Young       = 32 // of all strangers, while nothing is wrong
	Pressed     = 4  // of all strangers, while half-open ones pile up
	askFrom     = 3  // from how many on strangers are asked for cookies, where that can be done
	staleMost   = 2  // how many may be stale before that is pressure

	unanswered = 5 * time.Second  // the endpoint is silent, and most likely has nothing of it
	staleAfter = 2 * time.Second  // who means it has gone on by then
	giveUp     = 30 * time.Second // the endpoint has, too
	retry      = 10 * time.Second // how soon one that was refused with a reason tries again
	pressure   = time.Minute      // how long it lasts after its last sign

	openMost  = 256  // negotiations followed at once
	knownMost = 4096 // addresses
)

// Ask says when strangers are asked for cookies.
type Ask uint8

const (
	Never     Ask = iota
	IfPressed     // while half-open negotiations pile up
	Always
)

// Verdict is what is to become of a first message.
type Verdict uint8

const (
	Admit     Verdict = iota
	Challenge         // ask for a cookie
	Refuse            // let it fall; it comes again by itself
)

// Gate is the negotiations of one listener's clients with one endpoint that have
// begun and are not finished. It allocates only when it has more of them than ever.
// The zero Gate is ready.
type Gate struct {
	// Lanes is among how many Gates the endpoint is shared, each with sources of its
	// own: each has its part of what all strangers may have. 0 is 1.
	Lanes int

	open []halfOpen

	PressedSince mono.Time // zero: it is not pressed
	pressedUntil mono.Time

	Admitted, Challenged, Refused uint64
}

type halfOpen struct {
	source   netip.Addr
	spi      uint64
	since    mono.Time // of the first message, of the endpoint's answer, of its refusal: the last of them
	known    bool
	verified bool // by a cookie of ours
	answered bool // by the endpoint, which keeps something of it now
	refused  bool // by the endpoint, with a reason: it keeps nothing, and another try may come
}

// Source is whose budget a client's address draws on: itself, or its /64.
func Source(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// Begin judges the first message of a negotiation from a source (see Source).
// known says that the source is no stranger, verified that the message brought a cookie of ours.
func (g *Gate) Begin(now mono.Time, source netip.Addr, spi uint64, known, verified bool, ask Ask) Verdict {
	v := g.judge(now, source, spi, known, verified, ask)
	switch v {
	case Admit:
		g.Admitted++
	case Challenge:
		g.Challenged++
	case Refuse:
		g.Refused++
	}
	return v
}

func (g *Gate) judge(now mono.Time, source netip.Addr, spi uint64, known, verified bool, ask Ask) Verdict {
	g.expire(now)
	own, strangers, stale := 0, 0, 0
	for i := range g.open {
		o := &g.open[i]
		if o.source == source {
			if o.spi == spi { // it comes again
				if o.refused {
					o.refused, o.since = false, now
				}
				return Admit
			}
			if !o.refused {
				own++
			}
		}
		if !o.known && !o.refused {
			strangers++
			if o.answered && now.Sub(o.since) >= staleAfter {
				stale++
			}
		}
	}
	if stale > g.part(staleMost) {
		g.press(now)
	}
	if known {
		switch {
		case own >= PerStranger && !verified && ask != Never:
			return Challenge
		case own >= PerKnown || len(g.open) >= openMost:
			return Refuse
		}
		return g.enter(halfOpen{source: source, spi: spi, since: now, known: true, verified: verified})
	}
	pressed := g.Pressed(now)
	switch {
	case verified || ask == Never:
	case ask == Always:
		return Challenge
	case pressed || strangers >= g.part(askFrom):
		g.press(now)
		return Challenge
	}
	limit := g.part(Young)
	if pressed {
		limit = g.part(Pressed)
	}
	if own >= PerStranger || strangers >= limit || len(g.open) >= openMost {
		g.press(now)
		return Refuse
	}
	return g.enter(halfOpen{source: source, spi: spi, since: now, verified: verified})
}

// part is this Gate's of what all may have together, and at least one.
func (g *Gate) part(bound int) int { return max(1, bound/max(1, g.Lanes)) }

func (g *Gate) enter(o halfOpen) Verdict {
	g.open = append(g.open, o)
	return Admit
}

func (g *Gate) expire(now mono.Time) {
	for i := 0; i < len(g.open); i++ {
		o := &g.open[i]
		patience := unanswered
		switch {
		case o.refused:
			patience = retry
		case o.answered:
			patience = giveUp
		}
		if now.Sub(o.since) >= patience {
			g.remove(i)
			i--
		}
	}
}

func (g *Gate) remove(i int) {
	last := len(g.open) - 1
	g.open[i] = g.open[last]
	g.open = g.open[:last]
}

// Answered notes that the endpoint has accepted a first message, and keeps
// something of it from now on. It reports whether that message brought a cookie of ours.
func (g *Gate) Answered(now mono.Time, source netip.Addr, spi uint64) (verified bool) {
	for i := range g.open {
		if o := &g.open[i]; o.spi == spi && o.source == source {
			if !o.answered {
				o.answered, o.refused, o.since = true, false, now
			}
			return o.verified
		}
	}
	return false
}

// Done notes that the endpoint no longer counts a negotiation as half-open.
func (g *Gate) Done(source netip.Addr, spi uint64) {
	for i := range g.open {
		if o := &g.open[i]; o.spi == spi && o.source == source {
			g.remove(i)
			return
		}
	}
}

// Turned notes that the endpoint has refused a negotiation, kept nothing of it,
// and may be tried again: COOKIE, INVALID_KE_PAYLOAD.
func (g *Gate) Turned(now mono.Time, source netip.Addr, spi uint64) {
	for i := range g.open {
		if o := &g.open[i]; o.spi == spi && o.source == source {
			o.refused, o.answered, o.since = true, false, now
			return
		}
	}
}

func (g *Gate) press(now mono.Time) {
	if !g.Pressed(now) {
		g.PressedSince = now
	}
	g.pressedUntil = now.Add(pressure)
}

// Pressed reports whether half-open negotiations pile up, or did of late.
func (g *Gate) Pressed(now mono.Time) bool { return g.PressedSince != 0 && now < g.pressedUntil }

// Len is how many negotiations are half-open now.
func (g *Gate) Len(now mono.Time) (open int) {
	g.expire(now)
	for i := range g.open {
		if !g.open[i].refused {
			open++
		}
	}
	return open
}
