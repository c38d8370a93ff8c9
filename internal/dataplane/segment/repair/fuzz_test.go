package repair

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

func TestReportsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var r report
		var lists [streams][]code.Unknown // as drawn: append empties r's
		r.number = rapid.Uint16().Draw(rt, "number")
		r.has = rapid.Uint8Range(0, hasAll).Draw(rt, "has")
		r.stamp = stamp{clock: rapid.Uint32().Draw(rt, "clock"), mode: Mode(rapid.IntRange(0, int(Off)-1).Draw(rt, "mode")), age: 3, every: 4, budget: 5, answer: 600, silence: rapid.Bool().Draw(rt, "silence")}
		r.echo = echo{clock: 7, held: 8, queueing: 9, reorder: 10}
		r.copies = copyReport{high: 11, bits: rapid.Uint64().Draw(rt, "copies")}
		r.nWires = rapid.IntRange(0, MaxWires).Draw(rt, "wires")
		for i := range r.nWires {
			r.wires[i] = wireReport{id: uint8(i), high: uint16(i * 1000), bits: rapid.SliceOfN(rapid.Byte(), 0, maxWireBits).Draw(rt, "bits")}
		}
		for id := range r.streams {
			s := &r.streams[id]
			if s.present = rapid.Bool().Draw(rt, "present"); !s.present {
				continue
			}
			s.from, s.count = rapid.Uint32().Draw(rt, "from"), rapid.IntRange(0, 700).Draw(rt, "count")
			s.told = rapid.IntRange(0, s.count).Draw(rt, "told")
			s.goesOn = rapid.Bool().Draw(rt, "goes on")
			often := rapid.SampledFrom([]int{0, 5, 100}).Draw(rt, "often")
			for i := range s.count {
				if rapid.IntRange(0, often).Draw(rt, "missing") == 0 {
					lists[id] = append(lists[id], code.Unknown{Seq: s.from + uint32(i), Pivot: i%3 == 0})
				}
			}
			s.list = lists[id]
		}
		was := r
		b := r.append(nil, 1<<16)
		r = was
		var back report
		if !back.parse(b) {
			rt.Fatalf("%x does not parse", b)
		}
		if back.number != r.number || back.has != r.has {
			rt.Fatalf("number and parts %v %v, want %v %v", back.number, back.has, r.number, r.has)
		}
		if r.has&hasStamp != 0 && back.stamp != r.stamp || r.has&hasEcho != 0 && back.echo != r.echo || r.has&hasCopies != 0 && back.copies != r.copies {
			rt.Fatalf("%+v came back as %+v", r, back)
		}
		if r.has&hasWires != 0 {
			for i := range r.nWires {
				if back.wires[i].id != r.wires[i].id || back.wires[i].high != r.wires[i].high || !bytes.Equal(back.wires[i].bits, r.wires[i].bits) {
					rt.Fatalf("wire %+v came back as %+v", r.wires[i], back.wires[i])
				}
			}
		}
		if r.has&hasStreams == 0 {
			return
		}
		for id := range r.streams {
			s, c := &r.streams[id], &back.streams[id]
			if s.present != c.present {
				rt.Fatalf("stream %d present %v came back as %v", id, s.present, c.present)
			}
			if !s.present {
				continue
			}
			list := c.list
			if c.goesOn != s.goesOn || c.from != s.from || c.count != s.count || c.told != s.told || len(list) != len(lists[id]) {
				rt.Fatalf("stream %+v with %v came back as %+v with %v", s, lists[id], c, list)
			}
			for i := range list {
				if list[i] != lists[id][i] {
					rt.Fatalf("missing %v came back as %v", lists[id][i], list[i])
				}
			}
		}
	})
}

func FuzzReport(f *testing.F) {
	var r report
	r.has, r.nWires = hasAll, 1
	r.wires[0].bits = []byte{1, 2}
	r.streams[1] = streamReport{present: true, from: 5, count: 20, told: 3, list: []code.Unknown{{Seq: 7, Pivot: true}}}
	f.Add(r.append(nil, 1000))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r report
		if !r.parse(b) {
			return
		}
		for id := range r.streams {
			if s := &r.streams[id]; r.has&hasStreams != 0 && s.present {
				for _, u := range s.list {
					if i := u.Seq - s.from; i >= uint32(s.count) {
						t.Fatalf("missing %d is outside of %d+%d", u.Seq, s.from, s.count)
					}
				}
			}
		}
	})
}

// FuzzReceive gives an endpoint that is in the middle of things datagrams from a peer
// that holds the keys and means ill.
func FuzzReceive(f *testing.F) {
	var r report
	r.has = hasStamp | hasWires | hasStreams | hasCopies
	r.nWires = 1
	r.wires[0] = wireReport{id: 0, high: 40, bits: []byte{0xff, 0x0f}}
	r.streams[1] = streamReport{present: true, from: 5, count: 60, told: 60}
	var list []code.Unknown
	for i := range uint32(20) {
		list = append(list, code.Unknown{Seq: 5 + 3*i, Pivot: i%2 == 0})
	}
	r.streams[1].list = list
	f.Add(append([]byte{kindReport, 0, 1}, r.append(nil, 1000)...), uint8(3))
	f.Add([]byte{kindBeat, 0, 1, 1, 1, 0xff, 0xff, 0xff, 0}, uint8(0))
	f.Add([]byte{kindSource + 1, 0, 1, 0xff, 0, 0, 1, 2, 3}, uint8(9))
	f.Add([]byte{kindRepair + 1, 0, 1, 0, 1, 0, 0, 0, 9, 0, 200, 1, 2, 3, 4}, uint8(1))
	f.Add([]byte{kindCopy, 0, 1, 0, 0, 9, 0, 1}, uint8(1))
	f.Add([]byte{kindCarrier, 3, 0, 0, 0, kindPlain, 0, 0, 3}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, wire uint8) {
		e, err := New(Config{PeerRepairs: true, History: 256})
		if err != nil {
			t.Fatal(err)
		}
		now := mono.Time(time.Hour)
		e.SetWires(now, []Wire{{ID: 0, Up: true, MTU: 1440}, {ID: 3, Up: true, MTU: 1440}})
		var out drop
		payload := make([]byte, 300)
		for i := range 80 {
			now = now.Add(time.Millisecond)
			e.Send(now, Mode(i%4), Class(i%7/6), payload[:50+i*3], &out)
		}
		before := out.n
		// The same bytes again and again, and each of their tails.
		for i := range min(len(b), 40) {
			now = now.Add(3 * time.Millisecond)
			e.Receive(now, wire, uint64(i), b, func(Mode, []byte) {}, &out)
			e.Receive(now, wire, uint64(i), b[i:], func(Mode, []byte) {}, &out)
			if due := e.NextDue(); due != 0 && due <= now {
				e.Tick(now, func(Mode, []byte) {}, &out)
			}
		}
		if sent := out.n - before; sent > 4000 {
			t.Fatalf("80 datagrams of %x made us send %d", b, sent)
		}
	})
}
