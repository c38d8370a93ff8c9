package report

import (
	"fmt"
	"strings"
)

// fact is one line of the summary: the same thing before and after.
type fact struct {
	name                string
	direct, accelerated string
	change              string
	better              int  // +1 when the accelerated tunnel is better, −1 when worse
	detail              bool // belongs to the line above
}

// summary is what the run brought, line by line; every renderer shows it.
func summary(d Data) []fact {
	a, b := d.Direct, d.Accelerated
	facts := []fact{{
		name:   "Pings answered",
		direct: answeredWords(a), accelerated: answeredWords(b),
	}, lossFact(a, b)}
	if a.PathLoss != nil || b.PathLoss != nil {
		facts = append(facts, fact{name: "of the path itself", detail: true,
			direct: percentOf(a.PathLoss), accelerated: percentOf(b.PathLoss)})
	}
	for _, p := range []struct {
		name string
		of   func(*RTT) float64
	}{
		{"Delay, median", func(r *RTT) float64 { return r.P50 }},
		{"Delay, p95", func(r *RTT) float64 { return r.P95 }},
		{"Delay, p99", func(r *RTT) float64 { return r.P99 }},
		{"Delay, worst", func(r *RTT) float64 { return r.Max }},
	} {
		facts = append(facts, delayFact(p.name, a.RTT, b.RTT, p.of))
		if p.name == "Delay, median" && (a.PathRTTMs != nil || b.PathRTTMs != nil) {
			facts = append(facts, fact{name: "of the path itself", detail: true,
				direct: millisOf(a.PathRTTMs), accelerated: millisOf(b.PathRTTMs)})
		}
	}
	facts = append(facts, runsFact(a, b))
	if a.SetupMs != nil || b.SetupMs != nil {
		facts = append(facts, fact{name: "IPsec came up in",
			direct: millisOf(a.SetupMs), accelerated: millisOf(b.SetupMs)})
	}
	for _, pair := range throughputPairs(d.Throughput) {
		facts = append(facts, throughputFact(pair))
	}
	return facts
}

func answeredWords(s Side) string {
	if s.Sent == 0 {
		return none
	}
	return count(s.Received) + " of " + count(s.Sent)
}

func percentOf(share *float64) string {
	if share == nil {
		return none
	}
	return percent(*share)
}

func lossWords(s Side) string {
	if s.Sent == 0 {
		return none
	}
	return percent(s.Loss)
}

func lossFact(a, b Side) fact {
	f := fact{name: "Pings lost", direct: lossWords(a), accelerated: lossWords(b)}
	if a.Sent == 0 || b.Sent == 0 {
		return f
	}
	points := (b.Loss - a.Loss) * 100
	f.better = sign(-points)
	if points != 0 {
		f.change = signed(trimZeros(fmt.Sprintf("%.2f", abs(points))), points) + " points"
	}
	return f
}

func delayFact(name string, a, b *RTT, of func(*RTT) float64) fact {
	f := fact{name: name, direct: none, accelerated: none}
	if a != nil {
		f.direct = millis(of(a)) + " ms"
	}
	if b != nil {
		f.accelerated = millis(of(b)) + " ms"
	}
	if a == nil || b == nil {
		return f
	}
	diff := of(b) - of(a)
	f.change = signed(millis(abs(diff)), diff) + " ms"
	if of(a) > 0 {
		f.change += fmt.Sprintf(" (%s %%)", signed(fmt.Sprintf("%.0f", abs(diff)/of(a)*100), diff))
	}
	// Less than a millisecond either way is the same to anybody.
	if abs(diff) >= 1 {
		f.better = sign(-diff)
	}
	return f
}

func runsFact(a, b Side) fact {
	words := func(s Side) string {
		switch n := longestRun(s); {
		case s.Sent == 0:
			return none
		case n == 0:
			return "none"
		case n == 1:
			return "1 ping"
		default:
			return count(n) + " pings"
		}
	}
	f := fact{name: "Longest gap", direct: words(a), accelerated: words(b)}
	if a.Sent > 0 && b.Sent > 0 {
		f.better = sign(float64(longestRun(a) - longestRun(b)))
	}
	return f
}

// pair is the same iperf3 run through both tunnels; either may be missing.
type pair struct {
	name                string
	direct, accelerated *Throughput
}

// throughputPairs puts runs of the same name (and direction, where there is more
// than one) together, in the order they first appear.
func throughputPairs(runs []Throughput) []pair {
	var pairs []pair
	oneWay := oneDirection(runs) != ""
	at := map[string]int{}
	for i := range runs {
		r := &runs[i]
		name := plain(r.Name)
		if name == "" {
			name = strings.TrimSpace(strings.ToUpper(plain(r.Protocol) + " " + plain(r.CongestionControl)))
		}
		if r.Direction != "" && !oneWay {
			name += ", " + plain(r.Direction)
		}
		j, ok := at[name]
		if !ok {
			j = len(pairs)
			at[name] = j
			pairs = append(pairs, pair{name: name})
		}
		if r.Tunnel == TunnelDirect {
			pairs[j].direct = r
		} else {
			pairs[j].accelerated = r
		}
	}
	return pairs
}

// oneDirection is the direction of all runs, or "" when they differ.
func oneDirection(runs []Throughput) string {
	if len(runs) == 0 {
		return ""
	}
	for _, r := range runs {
		if r.Direction != runs[0].Direction {
			return ""
		}
	}
	return plain(runs[0].Direction)
}

func throughputFact(p pair) fact {
	f := fact{name: p.name, direct: throughputWords(p.direct), accelerated: throughputWords(p.accelerated)}
	if hasRate(p.direct) && hasRate(p.accelerated) {
		f.change = times(p.direct.MbitS, p.accelerated.MbitS)
		if diff := p.accelerated.MbitS - p.direct.MbitS; abs(diff) > 0.02*p.direct.MbitS {
			f.better = sign(diff)
		}
	}
	return f
}

func hasRate(t *Throughput) bool { return t != nil && t.Error == "" }

func throughputWords(t *Throughput) string {
	switch {
	case t == nil:
		return none
	case t.Error != "":
		return "failed"
	}
	s := rate(t.MbitS) + " Mbit/s"
	if t.Loss != nil {
		s += ", " + percent(*t.Loss) + " lost"
	}
	return s
}

func signed(magnitude string, of float64) string {
	if of < 0 {
		return minus + magnitude
	}
	return "+" + magnitude
}

func sign(f float64) int {
	switch {
	case f > 0:
		return 1
	case f < 0:
		return -1
	}
	return 0
}

func abs(f float64) float64 { return max(f, -f) }

// summaryTable is the summary on a terminal.
func summaryTable(d Data, width int) []line {
	rows := [][]cell{{{"", normal}, {"direct", strong}, {"accelerated", strong}, {"change", strong}}}
	for _, f := range summary(d) {
		name, st := "  "+f.name, normal
		if f.detail {
			name, st = "    "+f.name, faint
		}
		change := normal
		switch f.better {
		case 1:
			change = good
		case -1:
			change = bad
		}
		rows = append(rows, []cell{{name, st}, {f.direct, st}, {f.accelerated, st}, {f.change, change}})
	}
	lines := grid(rows, "lrrr", 0, width)
	lines[0] = append(styled("Before and after", strong), trimLeft(lines[0], columns("Before and after"))...)
	return lines
}

// trimLeft drops the first n columns of a line, which must be spaces.
func trimLeft(l line, n int) line {
	out := append(line(nil), l...)
	for i := range out {
		k := min(n, columns(out[i].text))
		out[i].text = string([]rune(out[i].text)[k:])
		n -= k
	}
	return out
}
