package livereport

import (
	"context"
	"fmt"
	"math"
	"slices"

	"causeway/internal/history"
	labreport "causeway/internal/lab/report"
)

// link is one segment of the way in use: what both its ends kept of it. Either
// series may be empty: a PoP alone knows only its own.
type link struct {
	from, to    string
	there, back history.Series // as to keeps what came from from, and the other way round
}

// readChain reads the segments of the way in use, as far as they are known.
func (s *sides) readChain(ctx context.Context, from Source, keys []history.Key, o Options) error {
	all := s.wayPoPs()
	for i := range all[:len(all)-1] {
		l := link{from: all[i], to: all[i+1]}
		for _, end := range []struct {
			key  history.Key
			into *history.Series
		}{{history.Key{PoP: l.to, Kind: "segment", Name: l.from}, &l.there}, {history.Key{PoP: l.from, Kind: "segment", Name: l.to}, &l.back}} {
			if !slices.Contains(keys, end.key) {
				continue
			}
			got, err := from.Series(ctx, history.Query{Key: end.key, From: o.From, To: o.To})
			if err != nil {
				return err
			}
			*end.into = got
		}
		if len(l.there.Times)+len(l.back.Times) == 0 {
			break // what is beyond cannot be told either
		}
		s.links = append(s.links, l)
	}
	for i, name := range all {
		r := s.report
		if i > 0 {
			var err error
			if r, err = from.Report(ctx, name); err != nil {
				continue // it is away, or this is a PoP that knows of itself alone
			}
		}
		for _, seg := range r.Segments {
			if seg.Through == "" && (i > 0 && seg.Peer == all[i-1] || i < len(all)-1 && seg.Peer == all[i+1]) {
				s.segments = append(s.segments, segmentOf(name, seg))
			}
		}
	}
	return nil
}

// wayPoPs are the PoPs of the way in use, both ends included.
func (s *sides) wayPoPs() []string {
	return append(append([]string{s.ingress}, s.way()...), s.egress)
}

// chainRows are the PoPs along the way as mtr has routers: how long there and back
// takes and what is lost, from the ingress to each of them. Loss is what is left
// after repair; what the segment before it lost on the way stands in the name.
func (s *sides) chainRows() []labreport.Hop {
	var rows []labreport.Hop
	var sums map[int64]float64 // round trips to the PoP, by instant, where all segments up to it are known
	kept := 1.0
	for _, l := range s.links {
		raw, residual := bothWays(&l, "raw_loss"), bothWays(&l, "residual_loss")
		kept *= 1 - residual
		times := l.rtts()
		if sums == nil {
			sums = times
		} else {
			for at := range sums {
				if rtt, known := times[at]; known {
					sums[at] += rtt
				} else {
					delete(sums, at)
				}
			}
		}
		h := hopOfSums(sums)
		h.Host, h.Name = l.to, fmt.Sprintf("segment from %s: %.3g %% lost, %.3g %% after repair", l.from, raw*100, residual*100)
		h.Loss = 1 - kept
		rows = append(rows, h)
	}
	return rows
}

// bothWays is what is lost there and back, on average.
func bothWays(l *link, column string) float64 {
	return 1 - (1-mean(l.there.Column(column)))*(1-mean(l.back.Column(column)))
}

func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// rtts are the segment's round trips by instant, of the end that kept more.
func (l *link) rtts() map[int64]float64 {
	s := &l.back
	if len(l.there.Times) > len(s.Times) {
		s = &l.there
	}
	found := map[int64]float64{}
	for i, rtt := range s.Column("rtt_ms") {
		if !math.IsNaN(rtt) {
			found[s.Times[i]] = rtt
		}
	}
	return found
}

// hopOfSums is a row of round trips, one for each instant.
func hopOfSums(sums map[int64]float64) labreport.Hop {
	w := weights{best: math.Inf(1)}
	last := int64(math.MinInt64)
	for at, rtt := range sums {
		w.values = append(w.values, weight{rtt, 1})
		w.best, w.worst = math.Min(w.best, rtt), math.Max(w.worst, rtt)
		if at > last {
			last, w.last = at, rtt
		}
	}
	h := labreport.Hop{Sent: len(sums), Received: len(sums)}
	if len(sums) == 0 {
		return h
	}
	slices.SortFunc(w.values, func(a, b weight) int {
		if a.value < b.value {
			return -1
		}
		return 1
	})
	w.sorted = w.values
	h.Last, h.Avg, h.Best, h.Worst, h.Stdev = w.last, w.mean(), w.best, w.worst, w.deviation()
	h.P50, h.P95, h.P99 = w.percentile(.5), w.percentile(.95), w.percentile(.99)
	return h
}
