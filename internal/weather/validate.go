package weather

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FieldError names a field that holds what it must not.
type FieldError struct {
	Field   string // as in the file, from the profile down: "loss.burst.bad"
	Found   string
	Allowed string
}

func (e FieldError) Error() string {
	return fmt.Sprintf("%s: found %s, want %s", e.Field, e.Found, e.Allowed)
}

// FieldErrors is everything wrong with one profile or schedule, never empty.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "; ")
}

// MaxDelay bounds each part of a delay: what is longer is a mistyped unit.
const MaxDelay = 60 * time.Second

// Validate returns nil or FieldErrors with every field that is wrong.
func (p Profile) Validate() error {
	var c checker
	c.span("delay", p.Delay, 0, MaxDelay)
	c.span("jitter", p.Jitter, 0, MaxDelay)
	c.number("jitter_correlation", p.JitterCorrelation, 0, 0.999)
	c.span("jitter_every", p.JitterEvery, 0, MaxDelay)
	if p.JitterEvery > 0 && p.JitterEvery < time.Millisecond {
		c.wrong("jitter_every", p.JitterEvery.String(), "0 (every packet) or 1ms and more")
	}
	p.Spike.check(&c)
	p.Loss.check(&c)
	p.checkRates(&c)
	c.number("reorder.probability", p.Reorder.Probability, 0, 1)
	c.span("reorder.extra", p.Reorder.Extra, 0, MaxDelay)
	if p.Reorder.Probability > 0 && p.Reorder.Extra == 0 {
		c.wrong("reorder.extra", "0", "the extra delay of reordered packets, above 0")
	}
	c.number("duplicate", p.Duplicate, 0, 1)
	if p.MTU != 0 && (p.MTU < 68 || p.MTU > 65535) {
		c.wrong("mtu", strconv.Itoa(p.MTU), "0 (no limit) or 68 to 65535 bytes")
	}
	return c.err()
}

func (s Spike) check(c *checker) {
	c.number("spike.probability", s.Probability, 0, 1)
	if s.Probability == 0 {
		return
	}
	c.span("spike.scale", s.Scale, time.Microsecond, MaxDelay)
	c.number("spike.shape", s.Shape, 0.1, 100)
	c.span("spike.max", s.Max, max(s.Scale, time.Microsecond), MaxDelay)
}

func (l Loss) check(c *checker) {
	c.number("loss.random", l.Random, 0, 1)
	if l.Burst == nil {
		return
	}
	g := *l.Burst
	const shortest, longest = time.Microsecond, 1000000 * time.Hour
	c.span("loss.burst.good", g.Good, shortest, longest)
	c.span("loss.burst.bad", g.Bad, shortest, longest)
	c.number("loss.burst.loss_good", g.LossGood, 0, 1)
	c.number("loss.burst.loss_bad", g.LossBad, 0, 1)
	if g.LossBad <= g.LossGood {
		c.wrong("loss.burst.loss_bad", fmt.Sprint(g.LossBad), fmt.Sprintf("more than loss_good (%v)", g.LossGood))
	}
	c.number("loss.burst.correlation", g.Correlation, 0, 1)
	if g.Correlation > 0 && g.Shared == "" {
		c.wrong("loss.burst.shared", "nothing", "the name of the shared process that correlation speaks of")
	}
}

func (p Profile) checkRates(c *checker) {
	c.rate("rate", p.Rate)
	c.rate("policer.rate", p.Policer.Rate)
	if p.Policer.Rate > 0 && p.Policer.Burst < 1500 {
		c.wrong("policer.burst", strconv.Itoa(p.Policer.Burst), "a bucket of at least one packet, 1500 bytes")
	}
	c.span("queue.delay", p.Queue.Delay, 0, MaxDelay)
	if p.Queue.Bytes < 0 || p.Queue.Bytes > 0 && p.Queue.Bytes < 1500 {
		c.wrong("queue.bytes", strconv.Itoa(p.Queue.Bytes), "0 (no limit) or at least one packet, 1500 bytes")
	}
	if p.Rate == 0 && p.Queue != (Queue{}) {
		c.wrong("queue", "a limit without rate", "a rate, since nothing waits on a link without one")
	}
}

// checker collects field errors; its methods judge and change nothing else.
type checker struct {
	prefix string
	found  FieldErrors
}

func (c *checker) wrong(field, found, allowed string) {
	c.found = append(c.found, FieldError{c.prefix + field, found, allowed})
}

func (c *checker) span(field string, v, lo, hi time.Duration) {
	if v < lo || v > hi {
		c.wrong(field, v.String(), fmt.Sprintf("%v to %v", lo, hi))
	}
}

func (c *checker) number(field string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		c.wrong(field, fmt.Sprint(v), fmt.Sprintf("%v to %v", lo, hi))
	}
}

func (c *checker) rate(field string, r Rate) {
	if r < 0 || r > maxRate || r > 0 && r < Kbit {
		c.wrong(field, r.String(), "0 (no limit) or 1kbit to 1000gbit")
	}
}

func (c *checker) err() error {
	if len(c.found) == 0 {
		return nil
	}
	return c.found
}
