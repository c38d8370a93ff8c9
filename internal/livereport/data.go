package livereport

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"causeway/internal/history"
	labreport "causeway/internal/lab/report"
	"causeway/internal/report"
)

// data fills in the report.
func (s *sides) data(o Options, others []string) labreport.Data {
	from, to := s.period(o)
	d := labreport.Data{
		Title:   fmt.Sprintf("%s: before and after Causeway", o.Accelerator),
		About:   fmt.Sprintf("Between the PoPs %s and %s, asked once a second on both ways in the same seconds.", s.ingress, s.egress),
		Started: from, DurationS: to.Sub(from).Seconds(), IntervalMs: 1000, Valid: true, Together: true,
		Live: &labreport.Live{
			Accelerator: o.Accelerator, Ingress: s.ingress, Egress: s.egress, From: from, To: to,
			PointS: math.Max(pointOf(&s.plain).Seconds(), pointOf(&s.accelerated).Seconds()),
		},
	}
	d.Direct, d.Accelerated = side(&s.plain, from), side(&s.accelerated, from)
	address := ""
	for _, p := range s.report.Paths {
		if p.To == s.egress && p.Address.IsValid() {
			address = p.Address.String()
		}
	}
	if d.Direct.Sent > 0 {
		d.Direct.Hops = append(s.hops, hopRow(&s.plain, s.egress, address))
	}
	if d.Accelerated.Sent > 0 {
		d.Accelerated.Hops = append(s.chainRows(), hopRow(&s.accelerated, s.wayNow(), s.egress))
	}
	s.overlay(&d)
	s.notes(&d, others)
	s.settings(&d, o, address)
	return d
}

// period is what of the time asked for something is kept of.
func (s *sides) period(o Options) (from, to time.Time) {
	from, to = o.To, o.From
	for _, series := range []*history.Series{&s.plain, &s.accelerated} {
		if n := len(series.Times); n > 0 {
			if first := time.Unix(series.Times[0], 0).Add(series.Step - pointOf(series)); first.Before(from) {
				from = first
			}
			if last := time.Unix(series.Times[n-1], 0).Add(series.Step); last.After(to) {
				to = last
			}
		}
	}
	if to.After(o.To) {
		to = o.To
	}
	return from, to
}

// pointOf is how long a point of the series stands for: its slot, or where a slot
// holds what was asked in a longer time, that.
func pointOf(s *history.Series) time.Duration {
	sent := slices.DeleteFunc(slices.Clone(s.Column("sent")), func(n float64) bool { return !(n > 0) })
	if len(sent) == 0 {
		return s.Step
	}
	slices.Sort(sent)
	return max(s.Step, time.Duration(sent[len(sent)/2])*time.Second)
}

// pingsDrawn is how many pings of a point that stands for many are drawn.
const pingsDrawn = 10

// side is one way's numbers. Where points are single pings, everything is known
// of them; where they stand for many, the counts and means are.
func side(s *history.Series, from time.Time) labreport.Side {
	var probes []labreport.Probe
	sent, lost, rtt := s.Column("sent"), s.Column("lost"), s.Column("rtt_ms")
	point := pointOf(s)
	for i, at := range s.Times {
		if !(sent[i] > 0) {
			continue
		}
		shown := math.Min(sent[i], pingsDrawn)
		gone := math.Round(lost[i] / sent[i] * shown)
		for k := range int(shown) {
			// What a controller was told at an instant was asked in the seconds before.
			t := time.Unix(at, 0).Add(s.Step-point).Sub(from) + point*time.Duration(k)/time.Duration(shown)
			// Spread evenly: of which ping it was, nothing is known.
			if math.Floor(float64(k+1)*gone/shown) > math.Floor(float64(k)*gone/shown) || math.IsNaN(rtt[i]) {
				probes = append(probes, labreport.Unanswered(t))
			} else {
				probes = append(probes, labreport.Answered(t, time.Duration(rtt[i]*float64(time.Millisecond))))
			}
		}
	}
	out := labreport.NewSide(probes)
	if point <= time.Second {
		return out
	}
	out.Sent, out.LossRuns = int(total(sent)), nil
	out.Received = out.Sent - int(total(lost))
	if out.Sent > 0 {
		out.Loss = 1 - float64(out.Received)/float64(out.Sent)
	}
	if w := weighed(s); len(w.values) > 0 {
		out.RTT = &labreport.RTT{Min: w.best, Avg: w.mean(), P50: w.percentile(.5), P95: w.percentile(.95), P99: w.percentile(.99), Max: w.worst, Stdev: w.deviation()}
	}
	return out
}

func hopRow(s *history.Series, host, name string) labreport.Hop {
	h := labreport.Hop{Host: host, Name: name, Sent: int(total(s.Column("sent")))}
	h.Received = h.Sent - int(total(s.Column("lost")))
	if h.Sent > 0 {
		h.Loss = 1 - float64(h.Received)/float64(h.Sent)
	}
	if w := weighed(s); len(w.values) > 0 {
		h.Last, h.Avg, h.Best, h.Worst, h.Stdev = w.last, w.mean(), w.best, w.worst, w.deviation()
		h.P50, h.P95, h.P99 = w.percentile(.5), w.percentile(.95), w.percentile(.99)
	}
	return h
}

// way is the relays of the route in use.
func (s *sides) way() []string {
	for _, r := range s.report.Routes {
		if r.To == s.egress {
			return r.Relays()
		}
	}
	return nil
}

func (s *sides) wayNow() string {
	return strings.Join(s.wayPoPs(), " → ")
}

// overlay is what the ingress says of the way in use now.
func (s *sides) overlay(d *labreport.Data) {
	all := s.wayPoPs()
	d.Overlay.Client, d.Overlay.Endpoint = "clients", "endpoint"
	for i, name := range all {
		role := labreport.RoleRelay
		switch i {
		case 0:
			role = labreport.RoleIngress
		case len(all) - 1:
			role = labreport.RoleEgress
		}
		d.Overlay.PoPs = append(d.Overlay.PoPs, labreport.PoP{Name: name, Role: role})
	}
	d.Overlay.Routes = []labreport.Route{{PoPs: all, Share: 1}}
	d.Overlay.Segments = s.segments
}

// segmentOf is what came from the peer: that is what this end knows.
func segmentOf(here string, s report.Segment) labreport.Segment {
	in := s.Repair.ToHere
	out := labreport.Segment{
		From: s.Peer, To: here, Wires: len(s.Wires), Carried: in.Arrived + in.Mended + in.Expired, Lost: in.Expired - min(in.Late, in.Expired),
		RawLoss: in.RawLoss, Residual: in.ResidualLoss, OverheadPackets: s.Repair.ToPeer.Overhead, OverheadBytes: s.Repair.ToPeer.OverheadBytes,
		Recovered: labreport.Recovered{Total: in.Mended, Coded: in.Mended - min(in.Mended, in.Resent+in.ByCopy), Resent: in.Resent, Copies: in.ByCopy},
	}
	if s.RTT > 0 {
		rtt := s.RTT
		out.RTTMs = &rtt
	}
	return out
}

func (s *sides) notes(d *labreport.Data, others []string) {
	note := func(format string, args ...any) { d.Live.Notes = append(d.Live.Notes, fmt.Sprintf(format, args...)) }
	note("Measured between the PoPs. The stretches from a client to its PoP and from a PoP to the endpoint are the same before and after, and not in it.")
	note("Before is an ICMP echo a second from %s to the address of %s, outside the overlay; after is an echo a second through the overlay, repaired as the listener's packets are.", s.ingress, s.egress)
	if d.Live.PointS > 1 {
		note("Of this period a mean and a count are kept for each %.0f s: percentiles are of the means, and how losses ran is not known. The PoP itself keeps every ping for eight days.", d.Live.PointS)
	}
	if d.Direct.Sent == 0 {
		note("The plain path was not asked: the PoP lacks the capability CAP_NET_RAW, or --probe-paths says so, or it has no segment to %s.", s.egress)
	}
	if missing := d.DurationS - float64(max(d.Direct.Sent, d.Accelerated.Sent)); missing > 0.02*d.DurationS+5 {
		note("In %.0f s of the period nothing was asked; the PoP did not run, or had no such listener.", missing)
	}
	if len(d.Overlay.Segments) > 0 {
		note("What the segments lost and repaired is what their PoPs say now, since they started.")
	}
	if len(s.links) > 0 {
		note("Rows of PoPs on the accelerated way are means that the PoPs kept of the segments of the way in use now, there and back; for them, sent counts such means. The last row is the pings through all of it.")
	}
	if n := len(s.wayPoPs()) - 1; len(s.links) < n {
		note("Of the %d segments of the way, %d are known here; a controller knows all.", n, len(s.links))
	}
	if len(others) > 0 {
		note("There are further ways that this accelerator goes: %s; choose with --ingress and --egress.", strings.Join(others, ", "))
	}
}

func (s *sides) settings(d *labreport.Data, o Options, address string) {
	set := func(name, value string) {
		if value != "" {
			d.Settings = append(d.Settings, labreport.Setting{Group: "Measurement", Name: name, Value: value})
		}
	}
	set("accelerator", o.Accelerator)
	set("listeners", strings.Join(s.listeners, ", "))
	set("from", stamp(d.Live.From))
	set("to", stamp(d.Live.To))
	set("ingress", s.ingress)
	set("egress", s.egress)
	set("address asked", address)
	set("way in use now", s.wayNow())
	if s.report.Build.Version != "" {
		set("PoP's version", s.report.Build.Version)
	}
	if o.Version != "" {
		d.Environment.Versions = []labreport.Version{{Name: "causeway", Version: o.Version}}
	}
}
