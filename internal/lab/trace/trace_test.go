package trace

import (
	"context"
	"math"
	"net/netip"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSummaryReadsLikeMtr(t *testing.T) {
	ms := func(v ...float64) (out []Sample) {
		for i, x := range v {
			s := Sample{At: time.Duration(i) * time.Second, RTT: Lost}
			if x >= 0 {
				s.RTT = time.Duration(x * float64(time.Millisecond))
			}
			out = append(out, s)
		}
		return out
	}
	for _, c := range []struct {
		name    string
		samples []Sample
		want    Summary
	}{
		{"nothing sent", nil, Summary{}},
		{"all lost is one run and no delay", ms(-1, -1, -1), Summary{Sent: 3, Loss: 1, LossRuns: 1, LongestRun: 3, MeanRun: 3}},
		{"losses at both ends and in the middle are three runs", ms(-1, 10, -1, -1, 30, -1), Summary{
			Sent: 6, Received: 2, Loss: 4.0 / 6, Last: 30e6, Min: 10e6, Avg: 20e6, Max: 30e6, StdDev: 10e6,
			P50: 10e6, P95: 30e6, P99: 30e6, Jitter: 20e6, LossRuns: 3, LongestRun: 2, MeanRun: 4.0 / 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Row{Samples: c.samples}.Summary()
			runs := 0
			for _, n := range got.RunLengths {
				runs += n
			}
			if runs != got.LossRuns {
				t.Errorf("run lengths hold %d runs, want %d", runs, got.LossRuns)
			}
			got.RunLengths = nil
			if got.Sent != c.want.Sent || got.Received != c.want.Received || math.Abs(got.Loss-c.want.Loss) > 1e-9 ||
				got.Last != c.want.Last || got.Min != c.want.Min || got.Avg != c.want.Avg || got.Max != c.want.Max ||
				got.StdDev != c.want.StdDev || got.P50 != c.want.P50 || got.P95 != c.want.P95 || got.P99 != c.want.P99 ||
				got.Jitter != c.want.Jitter || got.LossRuns != c.want.LossRuns || got.LongestRun != c.want.LongestRun ||
				math.Abs(got.MeanRun-c.want.MeanRun) > 1e-9 {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestSummaryAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var row Row
		for _, ms := range rapid.SliceOf(rapid.IntRange(-1, 300)).Draw(t, "ms") {
			d := Lost
			if ms >= 0 {
				d = time.Duration(ms) * time.Millisecond
			}
			row.Samples = append(row.Samples, Sample{RTT: d})
		}
		s := row.Summary()
		lost := 0
		for length, n := range s.RunLengths {
			lost += length * n
		}
		if lost != s.Sent-s.Received {
			t.Fatalf("runs hold %d losses, %d were lost", lost, s.Sent-s.Received)
		}
		if !(s.Min <= s.P50 && s.P50 <= s.P95 && s.P95 <= s.P99 && s.P99 <= s.Max && s.Min <= s.Avg && s.Avg <= s.Max) {
			t.Fatalf("delays are out of order: %+v", s)
		}
	})
}

func TestEchoComesBackThroughTheParser(t *testing.T) {
	b := make([]byte, icmpHeader+57) // an odd length, for the checksum's last byte
	putEcho(b, 0xbeef, 513)
	if checksum(b) != 0 {
		t.Fatal("checksum over a filled echo is not zero")
	}
	quoted := append(ipv4(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")), b[:8]...)
	exceeded := append([]byte{timeExceeded, 0, 0, 0, 0, 0, 0, 0}, quoted...)
	sum := checksum(exceeded)
	exceeded[2], exceeded[3] = byte(sum>>8), byte(sum)
	packet := append(ipv4(netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("10.0.0.1")), exceeded...)

	a, ok := parseAnswer(packet)
	want := answer{from: netip.MustParseAddr("10.9.9.9"), id: 0xbeef, seq: 513, kind: timeExceeded, about: netip.MustParseAddr("10.0.0.2")}
	if !ok || a != want {
		t.Fatalf("got %+v %v, want %+v", a, ok, want)
	}
	packet[len(packet)-1] ^= 1
	if _, ok := parseAnswer(packet); ok {
		t.Fatal("a damaged answer was believed")
	}
}

func FuzzParseAnswer(f *testing.F) {
	b := make([]byte, icmpHeader+8)
	putEcho(b, 1, 2)
	f.Add(append(ipv4(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")), b...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := parseAnswer(b); ok && (!a.from.Is4() || !a.about.Is4()) {
			t.Fatalf("an answer without addresses: %+v", a)
		}
	})
}

func TestLoopbackAnswersEveryProbe(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root for a raw ICMP socket")
	}
	lo := netip.MustParseAddr("127.0.0.1")
	r, err := Run(context.Background(), Config{Source: lo, Target: lo, Interval: 5 * time.Millisecond, Count: 20, MaxHops: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Target.Summary()
	if s.Sent != 20 || s.Received != 20 || r.Target.Host != lo || len(r.Hops) != 0 || r.Target.TTL != 1 {
		t.Errorf("got %+v, %d hops, target at TTL %d", s, len(r.Hops), r.Target.TTL)
	}
}

func ipv4(from, to netip.Addr) []byte {
	b := make([]byte, 20)
	b[0], b[9] = 0x45, protoICMP
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	return b
}
