package lab

import (
	"fmt"
	"math"
	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/trace"
)

// Judge compares a measurement with what the scenario expects. Events that
// could not be done count as expectations that failed.
func (l *Lab) Judge(m *Measurement) []report.Check {
	var all []report.Check
	for _, d := range m.Done {
		if d.Err != nil {
			all = append(all, report.Check{Expected: "the script: " + d.What + " " + d.Where, Found: d.Err.Error()})
		}
	}
	all = append(all, judgeControl(m.Control)...)
	for _, e := range l.Scenario.Expect {
		j := judge{of: e.Tunnel}
		if r := m.Traces[e.Tunnel]; r != nil {
			j.probes(e, report.NewSide(probesOf(r.Target)), r)
			j.near(e, l.Scenario, m, r)
		} else {
			j.say(false, "probes", "none")
		}
		j.sas(e, m.Before[e.Tunnel], m.After[e.Tunnel])
		j.tally(e, m.Tally[e.Tunnel])
		j.fragments(e, m.Whole[e.Tunnel])
		j.iperf(e, m.Iperf)
		j.back(e, m)
		j.reconnects(e, m)
		j.unnoticed(e, m)
		all = append(all, j.found...)
	}
	return all
}

// judge collects the verdicts about one tunnel.
type judge struct {
	of    string
	found []report.Check
}

func (j *judge) say(ok bool, expected string, found string, args ...any) {
	j.found = append(j.found, report.Check{Expected: j.of + ": " + expected, Found: fmt.Sprintf(found, args...), OK: ok})
}

func (j *judge) probes(e scenario.Expect, s report.Side, r *trace.Result) {
	if e.Loss != nil {
		limit := 1.0
		if e.Loss.Max != nil {
			limit = *e.Loss.Max
		}
		j.say(s.Loss >= e.Loss.Min && s.Loss <= limit, fmt.Sprintf("loss from %.3g %% to %.3g %%", 100*e.Loss.Min, 100*limit),
			"%.3g %% (%d of %d)", 100*s.Loss, s.Sent-s.Received, s.Sent)
	}
	if e.MaxLost != nil {
		j.say(s.Sent-s.Received <= *e.MaxLost, fmt.Sprintf("at most %d probes lost", *e.MaxLost), "%d of %d", s.Sent-s.Received, s.Sent)
	}
	if e.P50 != nil {
		p50 := medianOf(r.Target)
		ok := p50 > 0 && p50 >= e.P50.Min && (e.P50.Max == 0 || p50 <= e.P50.Max)
		j.say(ok, fmt.Sprintf("median round trip from %v to %v", e.P50.Min, e.P50.Max), "%v", p50)
	}
	if e.MaxGap > 0 {
		gap := longestGap(r.Target)
		j.say(gap <= e.MaxGap, fmt.Sprintf("never silent for more than %v", e.MaxGap), "silent for %v at most", gap.Round(time.Millisecond))
	}
}

func (j *judge) tally(e scenario.Expect, t gateway.Tally) {
	if n := t.IKERekeys + t.ChildRekeys; e.Rekeys > 0 {
		j.say(n >= e.Rekeys, fmt.Sprintf("at least %d rekeys", e.Rekeys), "%d of the IKE SA and %d of CHILD SAs", t.IKERekeys, t.ChildRekeys)
	}
	if e.Negotiations != nil {
		j.say(t.Negotiations <= *e.Negotiations, fmt.Sprintf("built anew at most %d times", *e.Negotiations), "%d times", t.Negotiations)
	}
}

func (j *judge) fragments(e scenario.Expect, t gateway.Tally) {
	if e.IKEFragments > 0 {
		j.say(t.Fragments >= e.IKEFragments, fmt.Sprintf("IKE messages in %d fragments of IKE or more", e.IKEFragments), "%d", t.Fragments)
	}
	if e.IKELargest > 0 {
		j.say(t.Largest >= e.IKELargest, fmt.Sprintf("IKE packets of %d bytes or more", e.IKELargest), "%d", t.Largest)
	}
}

// reconnects judges how long each call of a tunnel anew took.
func (j *judge) reconnects(e scenario.Expect, m *Measurement) {
	if e.ReconnectWithin == 0 {
		return
	}
	var slowest time.Duration
	n, good := 0, 0
	for _, d := range m.Done {
		if d.Reconnected != e.Tunnel {
			continue
		}
		n++
		if d.Err == nil && d.Up <= e.ReconnectWithin {
			good++
		}
		slowest = max(slowest, d.Up)
	}
	j.say(n > 0 && good == n, fmt.Sprintf("up within %v each time it is called anew", e.ReconnectWithin), "%d of %d, the slowest after %v", good, n, slowest.Round(time.Millisecond))
}

// back judges how soon a PoP that was started again carried traffic.
func (j *judge) back(e scenario.Expect, m *Measurement) {
	if e.BackWithin == 0 {
		return
	}
	for _, d := range m.Done {
		if d.Started == "" {
			continue
		}
		took, ok := backAfter(m, e.Tunnel, d.At)
		found := "never again"
		if ok {
			found = fmt.Sprintf("after %d ms", took.Milliseconds())
		}
		j.say(ok && took <= e.BackWithin, fmt.Sprintf("traffic within %v of the start of PoP %s", e.BackWithin, d.Started), "%s", found)
	}
}

// unnoticed judges that the tunnel did not feel what was done to the controller.
func (j *judge) unnoticed(e scenario.Expect, m *Measurement) {
	if !e.ControlUnnoticed || m.Traces[e.Tunnel] == nil {
		return
	}
	const after = time.Second
	for _, d := range m.Done {
		if !d.Control {
			continue
		}
		sent, lost := 0, 0
		for _, s := range m.Traces[e.Tunnel].Target.Samples {
			if s.At >= d.At && s.At < d.At+d.Took+after {
				sent++
				if !s.Answered() {
					lost++
				}
			}
		}
		what, _, _ := strings.Cut(d.Where, " --")
		j.say(sent > 0 && lost == 0, fmt.Sprintf("nothing is lost when the script %s %s", d.What, what), "%d of %d probes", lost, sent)
	}
}

// longestGap is the longest time between two probes that were answered, or
// between the run's ends and one; a run without losses has a gap of one interval.
func longestGap(row trace.Row) time.Duration {
	var gap, last time.Duration
	for _, s := range row.Samples {
		if s.Answered() {
			gap = max(gap, s.At-last)
			last = s.At
		}
	}
	if n := len(row.Samples); n > 0 {
		gap = max(gap, row.Samples[n-1].At-last)
	}
	return gap
}

// near judges a tunnel by its own path. Losses are counts of chance, and the
// path's own are played with the same weather but not the same packets; so the
// allowance grows by three standard deviations of their difference.
func (j *judge) near(e scenario.Expect, s *scenario.Scenario, m *Measurement, r *trace.Result) {
	if e.NearPath == nil {
		return
	}
	truth, ok := truthOf(s, e.Tunnel, m.Plan)
	if !ok {
		j.say(false, "near to its path", "the path's own numbers are not known")
		return
	}
	side := report.NewSide(probesOf(r.Target))
	n := float64(max(1, side.Sent))
	chance := 3 * math.Sqrt(2*max(truth.loss*(1-truth.loss), 1/n)/n)
	j.say(side.Loss-truth.loss <= e.NearPath.Loss+chance,
		fmt.Sprintf("at most %.2f %% more loss than the path (and %.2f %% of chance)", 100*e.NearPath.Loss, 100*chance),
		"%.2f %%, the path %.2f %%", 100*side.Loss, 100*truth.loss)
	if p50 := medianOf(r.Target); e.NearPath.Delay > 0 && p50 > 0 {
		const grain = 10 * time.Microsecond
		j.say(p50-truth.p50-m.Gateways <= e.NearPath.Delay, fmt.Sprintf("at most %v more median delay than the path and the gateways", e.NearPath.Delay),
			"%v; the path takes %v, the gateways %v", p50.Round(grain), truth.p50.Round(grain), m.Gateways.Round(grain))
	}
}

func (j *judge) sas(e scenario.Expect, before, after gateway.SA) {
	if !e.SameSAs && !e.NewSAs {
		return
	}
	b, hadOne := before.Installed()
	a, hasOne := after.Installed()
	if !hadOne || !hasOne {
		j.say(false, "the tunnel is up before and after", "before %v, after %v", hadOne, hasOne)
		return
	}
	sameIKE, sameESP := before.InitiatorSPI == after.InitiatorSPI, b.SPIIn == a.SPIIn && b.SPIOut == a.SPIOut
	if e.SameSAs {
		j.say(sameIKE && sameESP, "the same IKE and ESP SAs at the end", "IKE same: %v, ESP same: %v", sameIKE, sameESP)
	} else {
		j.say(!sameIKE && !sameESP, "other IKE and ESP SAs at the end", "IKE same: %v, ESP same: %v", sameIKE, sameESP)
	}
}

func (j *judge) iperf(e scenario.Expect, runs []IperfResult) {
	for _, r := range runs {
		if r.Tunnel != e.Tunnel {
			continue
		}
		if e.IperfLoss != nil && r.Run.Protocol == "udp" {
			j.say(r.Err == nil && r.Sent > 0 && r.Loss <= *e.IperfLoss, fmt.Sprintf("%s: at most %.3g %% lost", iperfName(r.Run), 100**e.IperfLoss),
				"%.3g %% of %d datagrams%s", 100*r.Loss, r.Sent, errText(r.Err))
		}
		if e.IperfRate != nil && r.Run.Protocol == "tcp" {
			j.say(r.Err == nil && r.Mbit*1e6 >= float64(*e.IperfRate), fmt.Sprintf("%s: at least %v", iperfName(r.Run), *e.IperfRate),
				"%.2f Mbit/s%s", r.Mbit, errText(r.Err))
		}
	}
}
