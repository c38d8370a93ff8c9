package lab

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
)

// RunOptions say how to run a scenario from beginning to end.
type RunOptions struct {
	Options
	Out      string        // directory for reports; default out/lab
	Duration time.Duration // of the probes; 0: the scenario's
	Interval time.Duration // 0: the scenario's
	Count    int           // probes; 0: what fits into the duration
	Quick    bool          // the scenario's short duration, and no iperf3
	Seed     uint64        // 0: the scenario's
}

// Outcome is what a run came to.
type Outcome struct {
	Data  report.Data
	Files report.Paths
	// Interrupted is set when ctx ended the run early; what was seen until then
	// is reported all the same.
	Interrupted bool
}

// OK reports whether every expectation held.
func (o Outcome) OK() bool {
	for _, v := range o.Data.Checks {
		if !v.OK {
			return false
		}
	}
	return true
}

// PlanFor is how a run probes: what was asked for, else what the scenario says.
func PlanFor(s *scenario.Scenario, o RunOptions) (Plan, error) {
	p := Plan{Interval: s.Measure.Interval, Count: o.Count}
	duration := s.Measure.Duration
	if o.Quick {
		duration = s.Measure.Quick
	}
	if o.Interval != 0 {
		p.Interval = o.Interval
	}
	if o.Duration != 0 {
		duration = o.Duration
	}
	switch {
	case p.Interval < 10*time.Millisecond:
		return p, fail(usage, "interval is %v; at least 10ms is allowed", p.Interval)
	case o.Count < 0:
		return p, fail(usage, "count is %d; at least 1 is allowed", o.Count)
	case o.Count > 0 && o.Duration != 0 && o.Interval != 0:
		return p, fail(usage, "%s", "count, duration and interval were all given; any two of them make the third")
	case o.Count > 0 && o.Duration != 0: // the interval follows
		p.Interval = o.Duration / time.Duration(o.Count)
		if p.Interval < 10*time.Millisecond {
			return p, fail(usage, "%d probes in %v are one every %v; at least 10ms is allowed", o.Count, o.Duration, p.Interval)
		}
	case o.Count == 0:
		p.Count = int(duration / p.Interval)
	}
	if p.Count < 1 {
		return p, fail(usage, "no probe fits: %v every %v", duration, p.Interval)
	}
	return p, nil
}

// Run builds a lab, measures in it, writes the reports, and takes it down again
// (unless it is to be kept). A guard process does the last even when this one is killed.
func Run(ctx context.Context, s *scenario.Scenario, o RunOptions) (out Outcome, err error) {
	if o.Seed != 0 {
		s.Seed = o.Seed
	}
	if o.Quick {
		s.Measure.Iperf = nil
	}
	plan, err := PlanFor(s, o)
	if err != nil {
		return out, err
	}
	o.Progress.Step("scenario %s: %s", s.Name, s.Title)
	l, err := Up(ctx, s, o.Options)
	if err != nil {
		return out, err
	}
	if !o.Kept {
		defer func() {
			o.Progress.Step("taking the lab down")
			err = errors.Join(err, l.Down())
		}()
	} else {
		defer l.Close()
	}
	m, err := l.Measure(ctx, plan)
	if err != nil {
		return out, err
	}
	out.Data, out.Interrupted = l.Data(m), m.Stopped != nil
	out.Data.Checks = l.Judge(m)
	out.Files, err = report.Write(l.reportDir(o.Out, m.Start), out.Data)
	return out, err
}

func (l *Lab) reportDir(out string, start time.Time) string {
	if out == "" {
		out = filepath.Join("out", "lab")
	}
	return filepath.Join(out, l.Scenario.Name+"-"+start.Format("20060102-150405"))
}
