package frame

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/snapshot"
)

func TestHeaderSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Header{
			Kind: Kind(rapid.IntRange(0, 6).Draw(t, "kind")), Flags: rapid.Uint8Range(0, 15).Draw(t, "flags"),
			Hops: rapid.Uint8Range(0, 15).Draw(t, "hops"), Mode: rapid.Uint8Range(0, 3).Draw(t, "mode"),
			TOS: rapid.Uint8().Draw(t, "tos"), Origin: snapshot.Label(rapid.Uint16().Draw(t, "origin")),
			Session: rapid.Uint64().Draw(t, "session"), NRoute: rapid.Uint8Range(0, 3).Draw(t, "n"),
		}
		for i := range h.NRoute {
			h.Route[i] = snapshot.Label(rapid.Uint16().Draw(t, "label"))
		}
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		got, rest, ok := Parse(append(h.Append(nil), payload...))
		if !ok || got != h || !bytes.Equal(rest, payload) {
			t.Fatalf("got %+v %x %v, want %+v %x", got, rest, ok, h, payload)
		}
	})
}

func TestPopRouteEndsAtTheDestination(t *testing.T) {
	h := Header{NRoute: 2, Route: [3]snapshot.Label{7, 9}}
	a, _ := h.PopRoute()
	b, _ := h.PopRoute()
	_, more := h.PopRoute()
	if a != 7 || b != 9 || more {
		t.Errorf("popped %d %d, more %v", a, b, more)
	}
}

var sample = Description{
	Client: netip.MustParseAddrPort("198.18.1.2:500"), Accelerated: netip.MustParseAddrPort("203.0.113.10:500"),
	Endpoint: netip.MustParseAddrPort("[2001:db8::2]:500"), Egress: netip.MustParseAddrPort("203.0.113.20:0"),
	WantPort: 500, Ingress: 1, EgressPoP: 2, Order: 1, Window: 64, Mode: 1, Idle: 300 * time.Second,
	Group: "seoul", Listener: "vpn",
}

func TestDescriptionSurvivesTheWire(t *testing.T) {
	b := append(sample.Append(nil), "payload"...)
	if len(b) > MaxDescription+7 {
		t.Errorf("%d bytes, longer than MaxDescription", len(b))
	}
	d, rest, ok := ParseDescription(b)
	if !ok || d != sample || string(rest) != "payload" {
		t.Errorf("got %+v %q %v", d, rest, ok)
	}
}

func TestTruncatedDescriptionIsRefused(t *testing.T) {
	b := sample.Append(nil)
	for n := range b {
		if _, _, ok := ParseDescription(b[:n]); ok {
			t.Fatalf("%d of %d bytes were accepted", n, len(b))
		}
	}
}

func FuzzParse(f *testing.F) {
	h := Header{Kind: Open, NRoute: 1, Route: [3]snapshot.Label{2}}
	f.Add(sample.Append(h.Append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, ok := Parse(b)
		if !ok {
			return
		}
		if got := h.Append(nil); got[0] != b[0] || got[1] != b[1] {
			t.Errorf("header changed on its way: %x from %x", got, b[:len(got)])
		}
		if d, _, ok := ParseDescription(rest); ok {
			again, _, ok := ParseDescription(d.Append(nil))
			if !ok || again != d {
				t.Errorf("description changed on its way: %+v, %+v", d, again)
			}
		}
	})
}
