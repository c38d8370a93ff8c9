// Package livereport makes the before/after report of a real accelerator, for any
// period of which something is kept: before is what probes of the plain Internet
// path between two of its PoPs saw, after is what probes through the overlay saw
// in the same seconds (package pathwatch asks, package history keeps).
//
// It reads what a Source has and fills the data of lab/report, which has every
// rendering. It measures nothing by itself.
package livereport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/history"
	labreport "causeway/internal/lab/report"
	"causeway/internal/pathwatch"
	"causeway/internal/report"
)

// Source is where history and reports are read from: a PoP, or a controller.
type Source interface {
	Keys(ctx context.Context) ([]history.Key, error)
	Series(ctx context.Context, q history.Query) (history.Series, error)
	Report(ctx context.Context, pop string) (report.PoP, error)
}

// Options say what to report about.
type Options struct {
	Accelerator     string // or the name of a listener
	From, To        time.Time
	Ingress, Egress string // PoPs; empty: those with the most probes
	Version         string // of this program
}

// Errors that callers turn into advice.
var (
	ErrUnknown = errors.New("no PoP tells of it")
	ErrNothing = errors.New("nothing was kept")
)

// pair is an accelerator's two ends.
type pair struct {
	ingress, egress string
	listeners       []string
	report          report.PoP // of the ingress
}

// Make makes the report.
func Make(ctx context.Context, s Source, o Options) (labreport.Data, error) {
	keys, err := s.Keys(ctx)
	if err != nil {
		return labreport.Data{}, err
	}
	pairs, err := pairsOf(ctx, s, keys, o)
	if err != nil {
		return labreport.Data{}, err
	}
	var best *sides
	var others []string
	for _, p := range pairs {
		got, err := read(ctx, s, keys, p, o)
		if err != nil {
			return labreport.Data{}, err
		}
		if best == nil || got.weight() > best.weight() {
			best, got = got, best
		}
		if got != nil {
			others = append(others, got.ingress+" – "+got.egress)
		}
	}
	if best.weight() == 0 {
		return labreport.Data{}, fmt.Errorf("accelerator %s from %s to %s: %w", o.Accelerator, stamp(o.From), stamp(o.To), ErrNothing)
	}
	return best.data(o, others), nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// pairsOf finds the accelerator's ends in the reports of the PoPs that have it.
func pairsOf(ctx context.Context, s Source, keys []history.Key, o Options) ([]pair, error) {
	pops := map[string]bool{}
	for _, k := range keys {
		pops[k.PoP] = true
	}
	found := map[[2]string]*pair{}
	names := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(pops)) {
		if o.Ingress != "" && name != o.Ingress {
			continue
		}
		p, err := s.Report(ctx, name)
		if err != nil {
			continue // it is away; others may have what is wanted
		}
		for _, l := range p.Listeners {
			if l.Accelerator != "" {
				names[l.Accelerator] = true
			}
			if l.Accelerator != o.Accelerator && l.Name != o.Accelerator {
				continue
			}
			for _, g := range l.Groups {
				if g.Egress == p.Name || o.Egress != "" && g.Egress != o.Egress {
					continue
				}
				key := [2]string{p.Name, g.Egress}
				if found[key] == nil {
					found[key] = &pair{ingress: p.Name, egress: g.Egress, report: p}
				}
				if !slices.Contains(found[key].listeners, l.Name) {
					found[key].listeners = append(found[key].listeners, l.Name)
				}
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("accelerator %s: %w; there are: %s", o.Accelerator, ErrUnknown, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	var out []pair
	for _, p := range found {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b pair) int { return cmp.Or(cmp.Compare(a.ingress, b.ingress), cmp.Compare(a.egress, b.egress)) })
	return out, nil
}

// sides is what was read of a pair.
type sides struct {
	pair
	plain, accelerated history.Series
	hops               []labreport.Hop
	links              []link              // of the way in use, from the ingress on
	segments           []labreport.Segment // of the way in use, as its PoPs tell of them
}

func (s *sides) weight() float64 {
	return total(s.plain.Column("sent")) + total(s.accelerated.Column("sent"))
}

func read(ctx context.Context, from Source, keys []history.Key, p pair, o Options) (*sides, error) {
	s := &sides{pair: p}
	for kind, into := range map[string]*history.Series{"plain": &s.plain, "accelerated": &s.accelerated} {
		key := history.Key{PoP: p.ingress, Kind: kind, Name: p.egress}
		if !slices.Contains(keys, key) {
			continue
		}
		got, err := from.Series(ctx, history.Query{Key: key, From: o.From, To: o.To})
		if err != nil {
			return nil, err
		}
		*into = got
	}
	if err := s.readHops(ctx, from, keys, o); err != nil {
		return nil, err
	}
	return s, s.readChain(ctx, from, keys, o)
}

// readHops reads the routers of the plain path.
func (s *sides) readHops(ctx context.Context, from Source, keys []history.Key, o Options) error {
	type router struct {
		ttl int
		labreport.Hop
	}
	best := map[int]router{}
	for _, k := range keys {
		to, ttl, host, ok := pathwatch.ParseHopName(k.Name)
		if k.Kind != "hop" || k.PoP != s.ingress || !ok || to != s.egress {
			continue
		}
		series, err := from.Series(ctx, history.Query{Key: k, From: o.From, To: o.To})
		if err != nil {
			return err
		}
		if h := hopOf(host, &series); h.Received > best[ttl].Received {
			best[ttl] = router{ttl, h}
		}
	}
	last := 0
	for _, ttl := range slices.Sorted(maps.Keys(best)) {
		for last++; last < ttl; last++ {
			s.hops = append(s.hops, labreport.Hop{}) // nobody answered at that distance
		}
		s.hops = append(s.hops, best[ttl].Hop)
	}
	return nil
}

func hopOf(host netip.Addr, s *history.Series) labreport.Hop {
	h := labreport.Hop{Host: host.String(), Sent: int(total(s.Column("sent")))}
	h.Received = h.Sent - int(total(s.Column("lost")))
	w := weighed(s)
	if len(w.values) == 0 {
		return h
	}
	h.Loss = 1 - float64(h.Received)/float64(h.Sent)
	h.Last, h.Avg, h.Best, h.Worst, h.Stdev = w.last, w.mean(), w.best, w.worst, w.deviation()
	h.P50, h.P95, h.P99 = w.percentile(.5), w.percentile(.95), w.percentile(.99)
	return h
}

func total(values []float64) (n float64) {
	for _, v := range values {
		if !math.IsNaN(v) {
			n += v
		}
	}
	return n
}
