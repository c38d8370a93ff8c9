package trace

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"
)

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
	answered := 0
	for _, s := range r.Target.Samples {
		if s.Answered() {
			answered++
		}
	}
	if len(r.Target.Samples) != 20 || answered != 20 || r.Target.Host != lo || len(r.Hops) != 0 || r.Target.TTL != 1 {
		t.Errorf("%d of %d answered by %v, %d hops, target at TTL %d", answered, len(r.Target.Samples), r.Target.Host, len(r.Hops), r.Target.TTL)
	}
}

func ipv4(from, to netip.Addr) []byte {
	b := make([]byte, 20)
	b[0], b[9] = 0x45, protoICMP
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	return b
}
