package frame

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEndpointHealthSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []EndpointHealth
		var b []byte
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			h := EndpointHealth{
				Group: rapid.Uint64().Draw(t, "group"), Up: rapid.Bool().Draw(t, "up"), Bears: rapid.Bool().Draw(t, "bears"),
				RTT: time.Duration(rapid.Uint32().Draw(t, "rtt")) * time.Microsecond,
			}
			h.Address = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")))
			if rapid.Bool().Draw(t, "six") {
				h.Address = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
			}
			if h.Address.Is4In6() {
				continue
			}
			want = append(want, h)
			b = h.Append(b)
		}
		for _, w := range want {
			h, rest, ok := ParseEndpointHealth(b)
			if !ok || h != w {
				t.Fatalf("got %+v %v, want %+v", h, ok, w)
			}
			b = rest
		}
		if len(b) != 0 {
			t.Fatalf("%d bytes are left", len(b))
		}
	})
}

func FuzzParseEndpointHealth(f *testing.F) {
	four := EndpointHealth{Group: 7, Address: netip.MustParseAddr("192.0.2.1"), Up: true, RTT: time.Second}
	six := EndpointHealth{Group: 7, Address: netip.MustParseAddr("2001:db8::1")}
	f.Add(six.Append(four.Append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			h, rest, ok := ParseEndpointHealth(b)
			if !ok {
				return
			}
			again, more, ok := ParseEndpointHealth(h.Append(nil))
			if h.Address.Is4In6() { // is written in its own form
				h.Address = h.Address.Unmap()
			}
			if !ok || len(more) != 0 || again != h {
				t.Fatalf("changed on its way: %+v, %+v", h, again)
			}
			b = rest
		}
	})
}
