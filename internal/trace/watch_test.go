package trace

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestWatchTellsOfEveryProbeOnceAndStops(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root for a raw ICMP socket")
	}
	ctx, cancel := context.WithCancel(t.Context())
	lo := netip.MustParseAddr("127.0.0.1")
	answered, last := 0, time.Time{}
	err := Watch(ctx, Watching{Target: lo, Interval: time.Millisecond, MaxHops: 3, HopsEvery: time.Millisecond}, func(s Settled) {
		if s.TTL != 0 || !s.Answered() {
			return // loopback is one hop away: probes for routers reach the target, or are lost when the test ends
		}
		if s.Host != lo || s.RTT < 0 || s.At.Before(last) {
			t.Errorf("%+v after %v", s, last)
		}
		if last, answered = s.At, answered+1; answered == 20 {
			cancel()
		}
	})
	if err != nil || answered < 20 {
		t.Errorf("%d answered, %v", answered, err)
	}
}

// Probes that nobody answers are told of as lost, each once.
func TestWatchTellsOfLosses(t *testing.T) {
	p := &watcher{Watching: Watching{Timeout: time.Second, MaxHops: 30}, underway: map[uint16]flight{}}
	var got []Settled
	p.each = func(s Settled) { got = append(got, s) }
	began := time.Now()
	p.underway[1], p.underway[2], p.underway[3] = flight{0, began}, flight{4, began}, flight{9, began.Add(900 * time.Millisecond)}
	p.expire(began.Add(1200 * time.Millisecond))
	if len(got) != 2 || got[0].Answered() || got[1].Answered() {
		t.Errorf("%+v", got)
	}
	got = nil
	router, target := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")
	p.take(answer{from: target, seq: 3, kind: echoReply}, began.Add(time.Second))
	if len(got) != 0 || p.farthest() != 8 {
		t.Errorf("the target at TTL 9: %+v, farthest %d", got, p.farthest())
	}
	for seq, s := range map[uint16]struct {
		f    flight
		a    answer
		want int
	}{
		10: {flight{2, began}, answer{from: router, kind: timeExceeded}, 1},
		11: {flight{0, began}, answer{from: router, kind: timeExceeded}, 0}, // a router that says the target's own probe ended there
		12: {flight{0, began}, answer{from: router, kind: unreachable}, 0},
		13: {flight{0, began}, answer{from: target, kind: echoReply}, 1},
	} {
		got = nil
		p.underway[seq] = s.f
		s.a.seq = seq
		p.take(s.a, began.Add(30*time.Millisecond))
		p.take(s.a, began.Add(31*time.Millisecond))
		if len(got) != s.want {
			t.Errorf("%d: %+v", seq, got)
		}
	}
}

func TestWatchRefusesWhatCannotBe(t *testing.T) {
	for name, w := range map[string]Watching{
		"no target":   {},
		"IPv6":        {Target: netip.MustParseAddr("::1")},
		"31 hops":     {Target: netip.MustParseAddr("127.0.0.1"), MaxHops: 31},
		"too quickly": {Target: netip.MustParseAddr("127.0.0.1"), Interval: time.Microsecond},
	} {
		if Watch(t.Context(), w, nil) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
