package report

import (
	"fmt"
	"strings"
)

// repairTable says where loss happened on the overlay, what repair gave back,
// and what that cost, one row per segment and direction.
func repairTable(d Data, width int) []line {
	if len(d.Overlay.Segments) == 0 {
		return nil
	}
	out := []line{styled("Where the repair happened", strong)}
	for _, r := range d.Overlay.Routes {
		out = append(out, styled(shorten("  route "+routeWords(r), width), faint))
	}
	rows := [][]cell{nil}
	narrow := width < 110
	head := []string{"  segment", "lost on the wire", "lost after repair", "sent per packet / byte", "recovered", "added p50 / p99", "RTT"}
	if narrow {
		head = []string{"  segment", "wire loss", "residual", "sent pkt / byte", "recovered", "added p99"}
	}
	for _, h := range head {
		rows[0] = append(rows[0], cell{h, faint})
	}
	for _, s := range d.Overlay.Segments {
		row := []cell{
			{"  " + plain(s.From) + " → " + plain(s.To), normal},
			{percent(s.RawLoss), lossStyle(s.RawLoss)},
			{percent(s.Residual), lossStyle(s.Residual)},
			{overheadWords(s), normal},
			{count(s.Recovered.Total), normal},
		}
		if narrow {
			row = append(row, cell{addedP99(s), normal})
		} else {
			row = append(row, cell{addedWords(s), normal}, cell{millisOf(s.RTTMs), normal})
		}
		rows = append(rows, row)
	}
	return append(out, grid(rows, "l"+strings.Repeat("r", len(head)-1), 0, width)...)
}

func routeWords(r Route) string {
	s := ""
	for i, p := range r.PoPs {
		if i > 0 {
			s += " → "
		}
		s += plain(p)
	}
	if r.Share > 0 && r.Share < 1 {
		s += " (" + percent(r.Share) + " of the packets)"
	}
	return s
}

// overheadWords is what was sent per packet and per byte carried.
func overheadWords(s Segment) string {
	if s.OverheadPackets <= 0 {
		return none
	}
	w := fmt.Sprintf("%.2f", s.OverheadPackets)
	if s.OverheadBytes > 0 {
		w += fmt.Sprintf(" / %.2f", s.OverheadBytes)
	}
	return w
}

func addedWords(s Segment) string {
	if s.AddedDelay == nil {
		return none
	}
	return millis(s.AddedDelay.P50) + " / " + millis(s.AddedDelay.P99) + " ms"
}

func addedP99(s Segment) string {
	if s.AddedDelay == nil {
		return none
	}
	return millisOf(&s.AddedDelay.P99)
}

// notes is what a reader must know to believe the numbers, a sentence or two each.
func notes(d Data) []string {
	var out []string
	if d.Live != nil {
		for _, n := range d.Live.Notes {
			out = append(out, plain(n))
		}
	} else if d.Direct.Sent > 0 && d.Accelerated.Sent > 0 {
		if d.Together {
			out = append(out, "Both tunnels were up and probed in the same minutes.")
		} else {
			out = append(out, "The tunnels were probed one after the other, on the same seed.")
		}
	}
	if n := d.Accelerated.Sent; n > 0 && d.Accelerated.Received >= n {
		out = append(out, fmt.Sprintf("None of %s lost means, were losses independent, a loss below %s at 95 %% confidence.", count(n), percent(lossUpper95(n))))
	}
	if e := d.Environment.Emulator; e != nil {
		s := fmt.Sprintf("The WAN emulator was late by p99 %s ms, at most %s ms", millis(e.P99), millis(e.Max))
		if e.Limit > 0 {
			s += fmt.Sprintf("; a run counts up to %s ms", millis(e.Limit))
		}
		out = append(out, s+".")
	}
	for _, t := range d.Throughput {
		if t.Error != "" {
			out = append(out, fmt.Sprintf("%s through the %s tunnel gave no number: %s.", plain(t.Name), plain(t.Tunnel), plain(t.Error)))
		}
	}
	return out
}
