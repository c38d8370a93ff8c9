package report

import (
	"fmt"
	"time"
)

// Live says what a report is about that was made from what PoPs keep of a real
// accelerator: between two PoPs, before is the Internet alone and after the
// overlay, asked in the same seconds.
type Live struct {
	Accelerator string    `json:"accelerator"`
	Ingress     string    `json:"ingress"` // PoP
	Egress      string    `json:"egress"`  // PoP
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	// PointS is how many seconds a point of the series stands for, as far as it
	// is kept: 1 is every probe by itself.
	PointS float64  `json:"point_s"`
	Notes  []string `json:"notes,omitempty"` // what a reader must know
}

// between names what was measured.
func (l *Live) between() string { return plain(l.Ingress) + " – " + plain(l.Egress) }

func (l *Live) again() string {
	return fmt.Sprintf("causeway report %s --from %s --to %s", plain(l.Accelerator), l.From.UTC().Format(time.RFC3339), l.To.UTC().Format(time.RFC3339))
}

// chartNote says what the chart over time shows.
func chartNote(d Data) string {
	switch {
	case d.Live == nil:
		return "Every ping through the IPsec tunnel, direct above, accelerated below, on the same axes. A red line is a lost ping; the strip shows the share lost."
	case d.Live.PointS <= 1:
		return "Every ping between the two PoPs, over the Internet alone above, through Causeway below, on the same axes. A red line is a lost ping; the strip shows the share lost."
	}
	return fmt.Sprintf("Pings between the two PoPs, over the Internet alone above, through Causeway below, on the same axes. Of each %s the mean delay and the share lost are known, and drawn.", span(d.Live.PointS))
}

func hopNote(d Data) string {
	if d.Live == nil {
		return "As mtr would print it, from one LAN to the other. Times are milliseconds."
	}
	return "As mtr would print it, from one PoP to the other. Times are milliseconds."
}
