package weather

import (
	"fmt"
	"math"
	"time"
)

// Schedule is how a link changes over time: steps in order, their times counted
// from the link's origin. It is a pure function of time. The zero Schedule changes nothing.
type Schedule struct {
	Steps []Step `json:"steps" yaml:"steps"`
	// Repeat plays the steps again each time that much has passed, from the
	// unchanged profile; 0 plays them once.
	Repeat time.Duration `json:"repeat,omitzero" yaml:"repeat,omitempty"`
}

// Step changes some fields at a time, at once or as a ramp, or takes the link
// down for a while.
type Step struct {
	At time.Duration `json:"at" yaml:"at"`
	// Over is how long the change takes: numbers move in a straight line from what
	// they were, in steps of RampStep. 0 is at once.
	Over time.Duration `json:"over,omitzero" yaml:"over,omitempty"`
	// Outage takes the link down for that long. It stands alone or beside a change.
	Outage time.Duration `json:"outage,omitzero" yaml:"outage,omitempty"`

	Delay  *time.Duration `json:"delay,omitempty" yaml:"delay,omitempty"`
	Jitter *time.Duration `json:"jitter,omitempty" yaml:"jitter,omitempty"`
	// Loss is the mean loss: of the bursts if the link has bursts (their good
	// spells become longer or shorter), else of the random loss.
	Loss *float64 `json:"loss,omitempty" yaml:"loss,omitempty"`
	Rate *Rate    `json:"rate,omitempty" yaml:"rate,omitempty"`
	// The following change at once, at the step's time.
	MTU    *int  `json:"mtu,omitempty" yaml:"mtu,omitempty"`
	NoICMP *bool `json:"no_icmp,omitempty" yaml:"no_icmp,omitempty"`
	Down   *bool `json:"down,omitempty" yaml:"down,omitempty"`
	// Profile replaces everything, before the other fields of the step apply.
	Profile *Profile `json:"profile,omitempty" yaml:"profile,omitempty"`
}

// RampStep is how often a ramp moves.
const RampStep = 100 * time.Millisecond

// Swing returns a schedule in which the mean loss goes from low to high and back
// in each period, for ever: the evening.
func Swing(low, high float64, period time.Duration) Schedule {
	return Schedule{Repeat: period, Steps: []Step{
		{At: 0, Loss: &low},
		{At: 0, Over: period / 2, Loss: &high},
		{At: period / 2, Over: period - period/2, Loss: &low},
	}}
}

// At returns base as the schedule has changed it at t after the origin.
func (s Schedule) At(base Profile, t time.Duration) Profile {
	var g Gilbert
	return s.at(base, t, &g)
}

// at is At with the burst process, when there is one, written to g.
func (s Schedule) at(p Profile, t time.Duration, g *Gilbert) Profile {
	p = ownBurst(p, g)
	if s.Repeat > 0 && t >= 0 {
		t %= s.Repeat
	}
	for i := range s.Steps {
		if s.Steps[i].At > t {
			break
		}
		p = s.Steps[i].apply(p, t-s.Steps[i].At, g)
	}
	for i := range s.Steps {
		if since := t - s.Steps[i].At; since >= 0 && since < s.Steps[i].Outage {
			p.Down = true
		}
	}
	return p
}

func ownBurst(p Profile, g *Gilbert) Profile {
	if p.Loss.Burst != nil {
		*g = *p.Loss.Burst
		p.Loss.Burst = g
	}
	return p
}

// apply returns p as the step leaves it that long after its time.
func (s *Step) apply(p Profile, since time.Duration, g *Gilbert) Profile {
	if s.Profile != nil {
		p = ownBurst(*s.Profile, g)
	}
	part := 1.0
	if since < s.Over {
		part = float64(since/RampStep*RampStep) / float64(s.Over)
	}
	if s.Delay != nil {
		p.Delay = between(p.Delay, *s.Delay, part)
	}
	if s.Jitter != nil {
		p.Jitter = between(p.Jitter, *s.Jitter, part)
	}
	if s.Rate != nil {
		p.Rate = between(p.Rate, *s.Rate, part)
	}
	if s.Loss != nil && p.Loss.Burst != nil {
		g.setMeanLoss(between(g.MeanLoss(), *s.Loss, part))
	} else if s.Loss != nil {
		p.Loss.Random = between(p.Loss.Random, *s.Loss, part)
	}
	if s.MTU != nil {
		p.MTU = *s.MTU
	}
	if s.NoICMP != nil {
		p.NoICMP = *s.NoICMP
	}
	if s.Down != nil {
		p.Down = *s.Down
	}
	return p
}

func between[T ~int64 | ~float64](from, to T, part float64) T {
	return T(float64(from) + part*(float64(to)-float64(from)))
}

const noChange = time.Duration(math.MaxInt64)

// Next returns the first time after t at which the profile changes, or false
// when it stays as it is for good.
func (s Schedule) Next(t time.Duration) (time.Duration, bool) {
	var round time.Duration
	if s.Repeat > 0 && t >= 0 {
		round = t / s.Repeat * s.Repeat
		t -= round
	}
	next := noChange
	for i := range s.Steps {
		next = min(next, s.Steps[i].next(t))
	}
	if s.Repeat > 0 && len(s.Steps) > 0 {
		next = min(next, s.Repeat)
	}
	if next == noChange {
		return 0, false
	}
	return round + next, true
}

// next returns the step's first change after t.
func (s *Step) next(t time.Duration) time.Duration {
	if t < s.At {
		return s.At
	}
	next, since := noChange, t-s.At
	if since < s.Over {
		next = s.At + min((since/RampStep+1)*RampStep, s.Over)
	}
	if since < s.Outage {
		next = min(next, s.At+s.Outage)
	}
	return next
}

// script is a schedule on its way through time over a base profile.
type script struct {
	base     Profile
	schedule Schedule
	next     time.Duration
	burst    Gilbert // holds the burst of the profile handed out last
}

// at returns the profile at t and moves next on.
func (s *script) at(t time.Duration) Profile {
	s.next = noChange
	if next, ok := s.schedule.Next(t); ok {
		s.next = next
	}
	return s.schedule.at(s.base, t, &s.burst)
}

// Validate returns nil or FieldErrors with everything that is wrong with the
// schedule for a link with profile base.
func (s Schedule) Validate(base Profile) error {
	var c checker
	c.span("repeat", s.Repeat, 0, 1000*time.Hour)
	var ends time.Duration
	for i := range s.Steps {
		c.prefix = fmt.Sprintf("steps[%d].", i)
		s.Steps[i].check(&c, s.Repeat)
		if i > 0 && s.Steps[i].At < s.Steps[i-1].At {
			c.wrong("at", s.Steps[i].At.String(), "steps in order of time")
		}
		if s.Steps[i].At < ends {
			c.wrong("at", s.Steps[i].At.String(), fmt.Sprintf("%v or later, when the ramp before it has ended", ends))
		}
		ends = max(ends, s.Steps[i].At+s.Steps[i].Over)
	}
	if c.err() == nil {
		s.checkResults(&c, base)
	}
	return c.err()
}

func (s *Step) check(c *checker, repeat time.Duration) {
	c.span("at", s.At, 0, 1000*time.Hour)
	c.span("over", s.Over, 0, 1000*time.Hour)
	c.span("outage", s.Outage, 0, 1000*time.Hour)
	if repeat > 0 && s.At >= repeat {
		c.wrong("at", s.At.String(), fmt.Sprintf("less than repeat (%v)", repeat))
	}
	if s.Over > 0 && s.Delay == nil && s.Jitter == nil && s.Loss == nil && s.Rate == nil {
		c.wrong("over", s.Over.String(), "a ramp of delay, jitter, loss or rate")
	}
	if s.Loss != nil {
		c.number("loss", *s.Loss, 0, 1)
	}
	if *s == (Step{At: s.At}) {
		c.wrong("at", s.At.String(), "at least one change or an outage")
	}
}

// checkResults judges the profile that each step leads to.
func (s Schedule) checkResults(c *checker, base Profile) {
	var g Gilbert
	p := ownBurst(base, &g)
	for i := range s.Steps {
		step := &s.Steps[i]
		c.prefix = fmt.Sprintf("steps[%d].", i)
		before := p
		if step.Profile != nil {
			before = *step.Profile
		}
		if b := before.Loss.Burst; step.Loss != nil && b != nil && !(*step.Loss >= b.LossGood && *step.Loss < b.LossBad) {
			c.wrong("loss", fmt.Sprint(*step.Loss), fmt.Sprintf("from loss_good (%v) to below loss_bad (%v) of the link's bursts", b.LossGood, b.LossBad))
			continue
		}
		if step.Rate != nil && step.Over > 0 && before.Rate == 0 {
			c.wrong("rate", step.Rate.String(), "no ramp, since the link had no rate before")
		}
		p = step.apply(p, step.Over, &g)
		if errs, ok := p.Validate().(FieldErrors); ok {
			for _, e := range errs {
				c.wrong(e.Field, e.Found, e.Allowed)
			}
		}
	}
}
