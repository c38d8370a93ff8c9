package repairspeed

import (
	"testing"
	"time"
)

// TestNothingIsLostAtSpeed runs a moment at two rates: what is due of it does not depend
// on the machine.
func TestNothingIsLostAtSpeed(t *testing.T) {
	for _, c := range []Case{
		{8_000, 100 * time.Millisecond, 0.2, 100},
		{40_000, 20 * time.Millisecond, 0.2, 32},
	} {
		got, err := Run(c, 1, 7)
		if err != nil {
			t.Fatal(err)
		}
		if got.Lost > 1 || got.Overhead > 1.45 || got.Overhead < 1.25 {
			t.Errorf("%s: %d of %d lost, %.3f sent per packet; want at most 1 and 1.45", got.Name, got.Lost, got.Packets, got.Overhead)
		}
		if got.Send <= 0 || got.Receive <= 0 || got.Seal <= 0 {
			t.Errorf("%s: times are missing: %+v", got.Name, got)
		}
	}
	if _, err := Run(Case{}, 1, 1); err == nil {
		t.Error("an empty case was run")
	}
}

func BenchmarkRepair(b *testing.B) {
	for _, c := range Cases() {
		if c.Rate < 100_000 || c.Loss == 0 {
			continue
		}
		b.Run(c.RTT.String(), func(b *testing.B) {
			for range b.N {
				got, err := Run(c, 1, 1)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(got.Send, "ns-sent/packet")
				b.ReportMetric(got.Receive, "ns-received/packet")
				b.ReportMetric(got.SendRatio, "sent/sealing")
				b.ReportMetric(got.RecvRatio, "received/sealing")
				b.ReportMetric(got.Allocs, "allocs/packet")
				b.ReportMetric(float64(got.Lost), "lost")
				b.ReportMetric(got.Overhead, "sent/packet")
			}
		})
	}
}
