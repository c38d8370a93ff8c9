// Package trace measures a path as a person with mtr would: an ICMP echo every
// interval to a host, and one more for each router on the way with a TTL that
// ends there, so that every hop gets a row of loss and delay.
//
// Unlike mtr it keeps every sample, so that others can draw delay over time,
// give percentiles and say how long the losses ran (package report does). It
// measures; it neither counts, prints nor judges.
//
// The target's own row is probed with a full TTL. Hop rows come from probes of
// their own, spread over the interval, as mtr spreads them.
package trace

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Config says what to probe. Source and Target are needed; both are IPv4.
type Config struct {
	Source   netip.Addr    // address to send from
	Target   netip.Addr    // host whose loss and delay are wanted
	Interval time.Duration // between two probes of one row; default 1 s
	Count    int           // probes per row; 0 means until ctx ends
	Timeout  time.Duration // an answer later than this is a loss; default 3 s
	MaxHops  int           // highest TTL tried for hop rows; 0 means no hop rows
	Size     int           // ICMP payload, bytes; default 56, as ping's
	// In runs a function in the network namespace to probe from; nil means
	// the caller's own. Only the socket is opened in there.
	In func(func() error) error
	// Progress, when set, is called about twice a second from the prober's
	// goroutine; it must return quickly.
	Progress func(Live)
}

// Live is a glimpse of a run that goes on.
type Live struct {
	Sent, Received int           // of the target's row; probes still on their way count as neither
	Last           time.Duration // newest answer's round trip
}

// Result is everything one run saw.
type Result struct {
	Start  time.Time
	Target Row
	Hops   []Row // routers before the target, nearest first; a silent one has no address
}

// Row is one hop and its samples in the order they were sent.
type Row struct {
	TTL     int
	Host    netip.Addr // who answered; invalid when nobody did
	Samples []Sample
	// Duplicates counts answers beyond the first to one probe; Late those that
	// came after the timeout; SendErrors probes the kernel refused to send,
	// which count as lost.
	// Reordered counts answers to a probe sent before one already answered.
	Duplicates, Late, SendErrors, Reordered int

	newest int // 1 + index of the latest sample answered
}

// Sample is one probe.
type Sample struct {
	At  time.Duration // when it was sent, since Result.Start
	RTT time.Duration // round trip; Lost when nobody answered in time
}

// Lost is the RTT of a probe that was not answered in time.
const Lost = time.Duration(-1)

// Answered reports whether the probe came back in time.
func (s Sample) Answered() bool { return s.RTT >= 0 }

// withDefaults returns c with zero fields filled.
func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	if c.Size == 0 {
		c.Size = 56
	}
	if c.In == nil {
		c.In = func(f func() error) error { return f() }
	}
	return c
}

// check judges a filled configuration.
func (c Config) check() error {
	switch {
	case !c.Source.Is4() || !c.Target.Is4():
		return fmt.Errorf("probe from %v to %v: both must be IPv4 addresses", c.Source, c.Target)
	case c.Interval < time.Millisecond:
		return fmt.Errorf("probe interval is %v; at least 1ms is allowed", c.Interval)
	case c.MaxHops < 0 || c.MaxHops > 30:
		return fmt.Errorf("probe for %d hops; 0 to 30 are allowed", c.MaxHops)
	case c.Size < 16 || c.Size > maxPayload:
		return fmt.Errorf("probe of %d payload bytes; 16 to %d are allowed", c.Size, maxPayload)
	}
	return nil
}

// Run probes until Count probes per row have been answered or timed out, or
// ctx ends; what was measured until then is returned in both cases. The error
// is about not being able to probe at all.
func Run(ctx context.Context, c Config) (*Result, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	p, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("probe %v from %v: %w", c.Target, c.Source, err)
	}
	return p.run(ctx), nil
}
