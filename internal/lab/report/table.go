package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Table writes the before/after report for a terminal: the hops of both tunnels
// as mtr prints them (side by side where width allows), a summary, and what
// repair cost. width is in columns, at least 60 are used; colour is the
// caller's decision (see Terminal).
func Table(w io.Writer, d Data, width int, color bool) error {
	d = prepared(d)
	width = max(width, 60)
	var lines []line
	add := func(block ...line) {
		if len(block) == 0 {
			return
		}
		if len(lines) > 0 {
			lines = append(lines, nil)
		}
		lines = append(lines, block...)
	}
	add(heading(d, width)...)
	add(banner(d, width)...)
	add(hopTables(d, width)...)
	add(summaryTable(d, width)...)
	add(lossStrips(d, width)...)
	add(repairTable(d, width)...)
	add(controlList(d, width)...)
	add(eventList(d, width)...)
	add(checkList(d, width)...)
	add(footnotes(d, width)...)

	var b bytes.Buffer
	for _, l := range lines {
		l.write(&b, color)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func heading(d Data, width int) []line {
	return []line{
		styled(shorten(title(d), width), strong),
		styled(shorten(strings.Join(runFacts(d), " · "), width), faint),
	}
}

func banner(d Data, width int) []line {
	reason := verdict(d)
	if reason == "" {
		return nil
	}
	var out []line
	for _, s := range wrap("THIS RUN DOES NOT COUNT: "+reason+". Do not quote its numbers.", width-2) {
		out = append(out, styled(" "+s+strings.Repeat(" ", max(0, width-2-columns(s)))+" ", alarm))
	}
	return out
}

// hopTables is the heart: what mtr shows, before and after.
func hopTables(d Data, width int) []line {
	const both = 148 // columns that two tables and the gap between them need
	if width < both {
		direct, accelerated := hopPair(d, width)
		return append(append(direct, nil), accelerated...)
	}
	half := (width - 4) / 2
	direct, accelerated := hopPair(d, half)
	return beside(direct, accelerated, half, 4)
}

// hopPair lays both tables out in the same columns.
func hopPair(d Data, width int) (direct, accelerated []line) {
	percentiles := width >= 96
	align := "rlrrrrrrr"
	if percentiles {
		align += "rrr"
	}
	before, after := hopRows(d.Direct, percentiles), hopRows(d.Accelerated, percentiles)
	lines := grid(append(before, after...), align, 1, width)
	block := func(name, how string, s Side, lines []line) []line {
		head := styled(name, strong).plus("  "+how+peerWords(s), faint)
		if len(lines) == 0 {
			return []line{head, styled("    nothing was sent", bad)}
		}
		return append([]line{head}, lines...)
	}
	return block("DIRECT", "over the Internet", d.Direct, lines[:len(before):len(before)]),
		block("ACCELERATED", "over Causeway", d.Accelerated, lines[len(before):])
}

// hopRows is the heading and one row a hop; nothing when nothing was sent.
func hopRows(s Side, percentiles bool) [][]cell {
	hops := s.Hops
	if len(hops) == 0 {
		hops = targetOnly(s)
	}
	if len(hops) == 0 {
		return nil
	}
	rows := [][]cell{hopHead(percentiles)}
	for i, h := range hops {
		rows = append(rows, hopRow(i+1, h, percentiles))
	}
	return rows
}

func peerWords(s Side) string {
	var peers []string
	for _, p := range s.Peers {
		peers = append(peers, fmt.Sprintf("%s's peer is %s", plain(p.Gateway), plain(p.Peer)))
	}
	if len(peers) == 0 {
		return ""
	}
	return ": " + strings.Join(peers, ", ")
}

// targetOnly is the one row that a side's own probes give when no hops were
// traced.
func targetOnly(s Side) []Hop {
	if s.Sent == 0 {
		return nil
	}
	if len(s.Series) == s.Sent {
		return []Hop{NewHop("target", "", s.Series)}
	}
	h := Hop{Host: "target", Sent: s.Sent, Received: s.Received, Loss: s.Loss}
	if r := s.RTT; r != nil {
		h.Avg, h.Best, h.Worst, h.Stdev, h.P50, h.P95, h.P99 = r.Avg, r.Min, r.Max, r.Stdev, r.P50, r.P95, r.P99
	}
	return []Hop{h}
}

func hopHead(percentiles bool) []cell {
	names := []string{"", "Host", "Loss%", "Snt", "Last", "Avg", "Best", "Wrst", "StDev"}
	if percentiles {
		names = append(names, "p50", "p95", "p99")
	}
	row := make([]cell, len(names))
	for i, n := range names {
		row[i] = cell{n, faint}
	}
	return row
}

func hopRow(number int, h Hop, percentiles bool) []cell {
	host := plain(h.Host)
	if host == "" {
		host = "???"
	}
	if h.Name != "" {
		host += "  " + plain(h.Name)
	}
	row := []cell{
		{fmt.Sprintf("%d.", number), faint},
		{host, normal},
		{mtrLoss(h.Loss), lossStyle(h.Loss)},
		{fmt.Sprint(h.Sent), normal},
	}
	delays := []float64{h.Last, h.Avg, h.Best, h.Worst, h.Stdev}
	if percentiles {
		delays = append(delays, h.P50, h.P95, h.P99)
	}
	for _, v := range delays {
		s := none
		if h.Received > 0 {
			s = fmt.Sprintf("%.1f", v)
		}
		row = append(row, cell{s, normal})
	}
	return row
}

// mtrLoss is a loss as mtr writes it, except that a little is not nothing.
func mtrLoss(loss float64) string {
	if loss > 0 && loss < 0.0005 {
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", loss*100)
}

func lossStyle(loss float64) style {
	switch {
	case loss <= 0:
		return good
	case loss < 0.01:
		return poor
	}
	return bad
}

// lossStrips shows when pings were lost: one character a slice of time.
func lossStrips(d Data, width int) []line {
	const label = 15
	n := max(d.Direct.Sent, d.Accelerated.Sent)
	if n < 2 || len(d.Direct.Series)+len(d.Accelerated.Series) == 0 {
		return nil
	}
	end := seriesEnd(d)
	cols := min(width-label, 120, n)
	strip := func(name string, s Side) line {
		l := styled(fmt.Sprintf("  %-13s", name), normal)
		for _, b := range bins(s.Series, cols, end) {
			l = append(l, stripCell(b))
		}
		return l
	}
	return []line{
		styled("Loss over time", strong).plus("  each mark is "+span(end/1000/float64(cols))+", its height the share lost", faint),
		strip("direct", d.Direct),
		strip("accelerated", d.Accelerated),
	}
}

func stripCell(b bin) cell {
	bars := []rune("▁▂▃▄▅▆▇█")
	switch {
	case b.sent == 0:
		return cell{" ", normal}
	case b.lost() == 0:
		return cell{"·", faint}
	}
	share := float64(b.lost()) / float64(b.sent)
	return cell{string(bars[min(int(share*float64(len(bars))), len(bars)-1)]), bad}
}

func eventList(d Data, width int) []line {
	if len(d.Events) == 0 {
		return nil
	}
	const most = 8
	out := []line{styled("Events", strong)}
	for i, e := range d.Events {
		if i == most {
			out = append(out, styled(fmt.Sprintf("  and %d more in report.json", len(d.Events)-most), faint))
			break
		}
		out = append(out, text(shorten("  "+eventWords(e), width)))
	}
	return out
}

func eventWords(e Event) string {
	s := fmt.Sprintf("%6.1f s  %s", e.TMs/1000, plain(e.What))
	if e.Where != "" {
		s += ": " + plain(e.Where)
	}
	if e.EndMs > e.TMs {
		s += " (for " + span((e.EndMs-e.TMs)/1000) + ")"
	}
	return s
}

func checkList(d Data, width int) []line {
	if len(d.Checks) == 0 {
		return nil
	}
	out := []line{styled("What the scenario expects", strong)}
	for _, c := range d.Checks {
		mark := cell{"  held    ", good}
		if !c.OK {
			mark = cell{"  FAILED  ", bad}
		}
		for i, s := range wrap(plain(c.Expected)+": "+plain(c.Found), width-columns(mark.text)) {
			if i > 0 {
				mark = cell{strings.Repeat(" ", columns(mark.text)), normal}
			}
			out = append(out, line{mark, {s, normal}})
		}
	}
	return out
}

func footnotes(d Data, width int) []line {
	var out []line
	for _, note := range notes(d) {
		for i, s := range wrap(note, width-2) {
			if i == 0 {
				s = "• " + s
			} else {
				s = "  " + s
			}
			out = append(out, styled(s, faint))
		}
	}
	return out
}
