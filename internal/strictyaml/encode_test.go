package strictyaml

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestWhatEncodeWritesDecodeReads(t *testing.T) {
	zero := 0
	for _, want := range []sample{
		{},
		{Name: "0x10", Label: 7, Offset: -3, Cap: 2.5, On: true, Idle: 90 * time.Second, Plain: "true", common: common{Seed: 1<<64 - 1}},
		{Bind: netip.MustParseAddrPort("[2001:db8::1]:4600"), Address: netip.MustParseAddr("203.0.113.1"), Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{Ports: []uint16{}, Weight: &zero, Via: [][]string{{}, {"a", "b: c"}}, Inner: inner{Kind: "off", Next: &inner{}}, List: []inner{{}, {Kind: "x"}}},
		{Tags: map[string]inner{"a b": {Kind: "c"}}, Labels: map[string]string{"k\n": "\"<&>\u2028\t"}, Pair: [2]int{1, 2}},
		{Any: map[string]any{"a": []any{int64(1), 2.5, true, nil, "x"}}},
	} {
		text, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var got sample
		if err := Decode("f.json", text, &got); err != nil {
			t.Errorf("%s\n%v", text, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}

func TestEncodeRefusesWhatIsNoNumber(t *testing.T) {
	nan := 0.0
	nan /= nan
	if text, err := Encode(sample{Cap: nan}); err == nil {
		t.Errorf("wrote %s", text)
	}
}
