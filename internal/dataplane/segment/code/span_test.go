package code

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSpanIsASet compares a span with a map of what was added.
func TestSpanIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SampledFrom([]uint32{0, 1000, 0xffffff80}).Draw(t, "first")
		var s Span
		want := map[uint32]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			seq := first + rapid.Uint32Range(0, 300).Draw(t, "offset")
			fits := len(want) == 0 || seq-s.First < MaxSpan
			if s.Add(seq) != fits {
				t.Fatalf("adding %d to %v: %v", seq, s, !fits)
			}
			if fits {
				want[seq] = true
			}
		}
		checkSpan(t, s, want)

		from, n := first+rapid.Uint32Range(0, 300).Draw(t, "from"), rapid.Uint32Range(0, 300).Draw(t, "cut")
		cut := map[uint32]bool{}
		for seq := range want {
			if seq-from < n {
				cut[seq] = true
			}
		}
		checkSpan(t, s.Cut(from, from+n), cut)
	})
}

func checkSpan(t *rapid.T, s Span, want map[uint32]bool) {
	var list []uint32
	for seq := range s.Each {
		if !want[seq] || !s.Has(seq) {
			t.Fatalf("%d is in %v, wanted %v, Has %v", seq, s, want[seq], s.Has(seq))
		}
		list = append(list, seq-s.First)
	}
	if len(list) != len(want) || s.Len() != len(want) || !slices.IsSorted(list) || s.Empty() != (len(want) == 0) {
		t.Fatalf("%v has %d, wanted %d", s, len(list), len(want))
	}
	if len(list) == 0 {
		return
	}
	width := int(list[len(list)-1]) + 1
	if s.Width() != width || s.Last() != s.First+uint32(width)-1 || s.Contiguous() != (width == len(want)) {
		t.Fatalf("%v is %d wide, wanted %d", s, s.Width(), width)
	}
	wire := s.Append(nil)
	if len(wire) != s.Size() || len(wire) > MaxSpanSize || s.Contiguous() && len(wire) != 6 {
		t.Fatalf("%v has %d bytes, said %d", s, len(wire), s.Size())
	}
	back, rest, ok := ParseSpan(append(wire, "rest"...))
	if !ok || back != s || string(rest) != "rest" {
		t.Fatalf("%v came back as %v, %q, %v", s, back, rest, ok)
	}
}

func TestRange(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 1000} {
		var want Span
		for i := range min(max(n, 0), MaxSpan) {
			want.Add(7 + uint32(i))
		}
		if got := Range(7, n); got != want {
			t.Errorf("Range of %d is %v", n, got)
		}
	}
}

func TestSlots(t *testing.T) {
	for history, want := range map[int]int{-5: MinHistory, 0: DefaultHistory, 1: MinHistory, 256: 256, 257: 512, 1 << 30: MaxHistory} {
		if got := (Config{History: history}).Slots(); got != want {
			t.Errorf("a history of %d has %d slots, want %d", history, got, want)
		}
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range verdicts {
		if name := fmt.Sprint(v); name == "" || name == "unknown" || seen[name] {
			t.Errorf("verdict %d is called %q", v, name)
		}
		seen[fmt.Sprint(v)] = true
	}
	if fmt.Sprint(verdicts) != "unknown" {
		t.Errorf("a verdict that does not exist is called %v", verdicts)
	}
}

// FuzzParseSpan checks that whatever is read is a good span in its only form.
func FuzzParseSpan(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 255})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 2, 0x81, 0x80, 9})
	f.Add([]byte{0, 0, 0, 0, 33})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, rest, ok := ParseSpan(data)
		if !ok {
			return
		}
		if s.Empty() || s.Width() > MaxSpan {
			t.Fatalf("read %v", s)
		}
		if again := append(s.Append(nil), rest...); !bytes.Equal(again, data) {
			t.Fatalf("%x came back as %x", data, again)
		}
	})
}
