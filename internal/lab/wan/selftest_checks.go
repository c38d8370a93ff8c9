package wan

import (
	"fmt"
	"math"
	"slices"
	"time"

	"causeway/internal/mono"
	"causeway/internal/weather"
)

// DelayCheck compares how long packets took with a constant delay.
type DelayCheck struct {
	PPS    int           `json:"pps"`
	Delay  time.Duration `json:"delay"`
	Sent   int           `json:"sent"`
	Came   int           `json:"came"`
	P1     time.Duration `json:"p1"`  // of the error, which is negative for what came early
	P50    time.Duration `json:"p50"` // likewise
	P99    time.Duration `json:"p99"` // of its size, either way
	Max    time.Duration `json:"max"` // of its size
	Target time.Duration `json:"target_p99"`
	Passed bool          `json:"passed"`
}

// DelayTarget is what the 99th percentile of the delay error's size must keep.
const DelayTarget = 500 * time.Microsecond

// delay is tried again when it misses its target, since that may be another
// program's doing and the emulator not have noticed.
func (s *selftest) delay(pps int) error {
	const delay = 20 * time.Millisecond
	count := pps * s.scale
	c := DelayCheck{PPS: pps, Delay: delay, Sent: count, Target: DelayTarget}
	for try := 1; try <= tries && !c.Passed; try++ {
		got, err := s.step(weather.Profile{Delay: delay}, count, 200, pps)
		if err != nil {
			return err
		}
		errs, sizes := got.errors(delay)
		if c.Came = len(errs); c.Came > 0 {
			c.P1, c.P50, c.P99, c.Max = quantile(errs, 0.01), quantile(errs, 0.5), quantile(sizes, 0.99), sizes[len(sizes)-1]
		}
		c.Passed = c.Came == count && c.P99 <= c.Target
	}
	word := s.mark(c.Passed)
	s.result.Delay = append(s.result.Delay, c)
	fmt.Fprintf(s.out, "%6d packets/s  %-9s  %-9v  %-9v  %-9v  %-9v  %s\n", pps, fmt.Sprintf("%d/%d", c.Came, c.Sent), round(c.P1), round(c.P50), round(c.P99), round(c.Max), word)
	return nil
}

// errors returns the sorted differences from delay of what came, and their sorted sizes.
func (r *probes) errors(delay time.Duration) (errs, sizes []time.Duration) {
	for i, at := range r.cameAt {
		if at != 0 {
			e := time.Duration(at-r.sentAt[i]) - delay
			errs, sizes = append(errs, e), append(sizes, max(e, -e))
		}
	}
	slices.Sort(errs)
	slices.Sort(sizes)
	return errs, sizes
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func round(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// LossCheck compares the number of packets lost with what the model's law allows.
type LossCheck struct {
	Model    string  `json:"model"`
	Sent     int     `json:"sent"`
	Lost     int     `json:"lost"`
	Expected float64 `json:"expected"` // mean number
	Low      int     `json:"low"`      // the bounds are passed by one seed in a thousand
	High     int     `json:"high"`
	Passed   bool    `json:"passed"`
}

var lossModels = []string{
	"none",
	"bernoulli:0.01",
	"bernoulli:0.2",
	"bernoulli:0.5",
	"gilbert:mean=0.2,bad=20ms,in=0.9",
	"bernoulli:0.01+gilbert:mean=0.05,bad=5ms,in=1",
}

const lossPPS = 4000

func (s *selftest) loss(model string) error {
	p, err := weather.ParseLoss(model, nil)
	if err != nil {
		return err
	}
	count := lossPPS * s.scale * 2 / 3
	got, err := s.step(p, count, 200, lossPPS)
	if err != nil {
		return err
	}
	c := LossCheck{Model: model, Sent: count}
	for _, lost := range got.lost() {
		if lost {
			c.Lost++
		}
	}
	mean, sigma := lossLaw(p, count, time.Second/lossPPS)
	const width = 3.2905 // standard deviations either side that hold 99.9 % of a normal law
	c.Expected = mean
	c.Low, c.High = int(math.Floor(mean-width*sigma)), int(math.Ceil(mean+width*sigma))
	c.Passed = c.Lost >= c.Low && c.Lost <= c.High
	word := s.mark(c.Passed)
	s.result.Loss = append(s.result.Loss, c)
	fmt.Fprintf(s.out, "%-46s %-9d  %-9d  %-9.0f  %-16s  %s\n", model, c.Sent, c.Lost, c.Expected, fmt.Sprintf("%d–%d", max(c.Low, 0), c.High), word)
	return nil
}

// lossLaw returns the mean and standard deviation of the number lost of n packets a
// gap apart. Packets k gaps apart are lost together as often as bursts make them:
// the burst state's correlation falls by e^(-t/τ), 1/τ = 1/good + 1/bad.
func lossLaw(p weather.Profile, n int, gap time.Duration) (mean, sigma float64) {
	m := p.MeanLoss()
	variance := float64(n) * m * (1 - m)
	if g := p.Loss.Burst; g != nil {
		bad := float64(g.Bad) / float64(g.Bad+g.Good)
		depth := (1 - p.Loss.Random) * (g.LossBad - g.LossGood)
		at0 := depth * depth * bad * (1 - bad)
		fall := math.Exp(-float64(gap) * (1/float64(g.Good) + 1/float64(g.Bad)))
		for k, c := 1, at0*fall; k < n && c > at0*1e-9; k, c = k+1, c*fall {
			variance += 2 * float64(n-k) * c
		}
	}
	return float64(n) * m, math.Sqrt(variance)
}

// RateCheck compares the rate at which packets left a full queue with the link's.
type RateCheck struct {
	Rate     weather.Rate  `json:"rate"`
	Measured float64       `json:"measured"` // bits per second
	Wait     time.Duration `json:"wait_p99"` // delay, which the queue bounds
	Passed   bool          `json:"passed"`
}

func (s *selftest) rate(rate weather.Rate) error {
	const size, limit = 1200, 50 * time.Millisecond
	pps := int(float64(rate) * 1.5 / 8 / size)
	got, err := s.step(weather.Profile{Rate: rate, Queue: weather.Queue{Delay: limit}}, pps*s.scale, size, pps)
	if err != nil {
		return err
	}
	c := RateCheck{Rate: rate}
	// The queue is full once it has overflowed; count from a third of the train on.
	var first, last int64
	var waits []time.Duration
	for i := len(got.cameAt) / 3; i < len(got.cameAt); i++ {
		at := got.cameAt[i]
		if at == 0 {
			continue
		}
		if first == 0 {
			first = at
		}
		last = at
		waits = append(waits, time.Duration(at-got.sentAt[i]))
	}
	if last > first {
		c.Measured = float64(len(waits)-1) * size * 8e9 / float64(last-first)
		slices.Sort(waits)
		c.Wait = quantile(waits, 0.99)
	}
	off := c.Measured/float64(rate) - 1
	own := time.Duration(size * 8e9 / float64(rate))
	c.Passed = math.Abs(off) <= 0.01 && c.Wait <= limit+own+2*time.Millisecond
	word := s.mark(c.Passed)
	s.result.Rate = append(s.result.Rate, c)
	fmt.Fprintf(s.out, "%-15s  %-15s  %+.2f %%   %s\n", rate, fmt.Sprintf("%.3f Mbit/s", c.Measured/1e6), 100*off, word)
	return nil
}

// RepeatCheck compares each packet's fate with the one reckoned from the seed, without
// an emulator, for the time it was sent; what agrees with that agrees between runs.
type RepeatCheck struct {
	Model     string `json:"model"`
	Packets   int    `json:"packets"`
	Different int    `json:"different"` // met another fate than reckoned
	// Edge is how many were sent so near to a burst's beginning or end (DelayTarget) that
	// either fate is right; they are not among the different ones.
	Edge    int  `json:"edge"`
	Allowed int  `json:"allowed"` // an eighth of Edge, for times wrong by more than that
	Passed  bool `json:"passed"`
}

func (s *selftest) repeat(model string) error {
	p, err := weather.ParseLoss(model, nil)
	if err != nil {
		return err
	}
	count := lossPPS * s.scale / 3
	got, err := s.step(p, count, 200, lossPPS)
	if err != nil {
		return err
	}
	c := s.compare(p, got)
	c.Model, c.Packets = model, count
	c.Allowed = (c.Edge + 7) / 8
	c.Passed = c.Different <= c.Allowed
	word := s.mark(c.Passed)
	s.result.Repeat = append(s.result.Repeat, c)
	fmt.Fprintf(s.out, "%-45s %-9d  %-10d  %-9d  %s\n", model, c.Packets, c.Different, c.Edge, word)
	return nil
}

// compare reckons each packet's fate for when it was sent, a little earlier and
// a little later.
func (s *selftest) compare(p weather.Profile, got *probes) (c RepeatCheck) {
	var twins [3]*weather.Link
	for i := range twins {
		twins[i] = weather.NewNamed(p, s.seed, "a>b")
		twins[i].Start(mono.Time(time.Second))
	}
	for i, lost := range got.lost() {
		since := mono.Time(time.Second).Add(time.Duration(got.sentAt[i] - s.t0.UnixNano()))
		early := twins[0].Offer(since.Add(-DelayTarget), 200).N == 0
		now := twins[1].Offer(since, 200).N == 0
		late := twins[2].Offer(since.Add(DelayTarget), 200).N == 0
		switch {
		case early != now || late != now:
			c.Edge++
		case lost != now:
			c.Different++
		}
	}
	return c
}
