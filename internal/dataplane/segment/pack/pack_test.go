package pack

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// carry packs frames into bodies of at most limit bytes.
func carry(limit int, frames [][]byte) (bodies [][]byte) {
	p := Packer{ID: new(uint16), Emit: func(b []byte) { bodies = append(bodies, bytes.Clone(b)) }}
	p.SetLimit(limit)
	for _, f := range frames {
		h := min(len(f), 14)
		p.Add(f[:h], f[h:])
	}
	p.Flush()
	return bodies
}

// TestBodiesAreMadeInRoom: where there is some, and of the Packer's own memory else.
func TestBodiesAreMadeInRoom(t *testing.T) {
	var room []byte
	here := 0
	p := Packer{ID: new(uint16)}
	p.Room = func(n int) []byte {
		if n != 300 {
			t.Errorf("asks for %d bytes", n)
		}
		return room
	}
	p.Emit = func(b []byte) {
		if room != nil && &b[0] == &room[:1][0] {
			here++
		}
		if len(b) > 300 {
			t.Errorf("a body of %d bytes", len(b))
		}
	}
	p.SetLimit(300)
	p.Add(nil, make([]byte, 1000)) // in pieces
	room = make([]byte, 0, 300)
	p.Flush()
	if here != 0 {
		t.Error("a body that was begun elsewhere was emitted from the room")
	}
	p.Add([]byte("head"), make([]byte, 1000))
	p.Add([]byte("head"), make([]byte, 10))
	p.Flush()
	if here != 4 {
		t.Errorf("%d bodies were made in the room, want 4", here)
	}
}

func TestFramesArriveWholeInAnyOrderOfBodies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(256, 9000).Draw(t, "limit")
		frames := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []byte {
			n := rapid.OneOf(rapid.IntRange(14, 200), rapid.IntRange(1300, 1600), rapid.IntRange(14, MaxFrame)).Draw(t, "size")
			b := make([]byte, n)
			r := rand.New(rand.NewPCG(uint64(n), rapid.Uint64().Draw(t, "content")))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return b
		}), 1, 12).Draw(t, "frames")
		bodies := carry(limit, frames)
		for _, b := range bodies {
			if len(b) > limit {
				t.Fatalf("body of %d bytes, limit %d", len(b), limit)
			}
		}
		rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "order"))).Shuffle(len(bodies), func(i, j int) {
			bodies[i], bodies[j] = bodies[j], bodies[i]
		})
		want := map[string]int{}
		for _, f := range frames {
			want[string(f)]++
		}
		var u Unpacker
		for _, b := range bodies {
			u.Unpack(b, func(f []byte, _ bool) { want[string(f)]-- })
		}
		for _, n := range want {
			if n != 0 {
				t.Fatalf("a frame arrived %d times too few", n)
			}
		}
		if u.Malformed != 0 || u.Incomplete != 0 || u.held != 0 {
			t.Fatalf("malformed %d, incomplete %d, held %d", u.Malformed, u.Incomplete, u.held)
		}
	})
}

func TestSmallFramesShareABody(t *testing.T) {
	frames := make([][]byte, 10)
	for i := range frames {
		frames[i] = make([]byte, 100)
	}
	if n := len(carry(1400, frames)); n != 1 {
		t.Errorf("%d bodies for ten small frames, want 1", n)
	}
}

func TestBulkFramesSlightlyTooLargeDoNotDoubleTheDatagrams(t *testing.T) {
	frames := make([][]byte, 100)
	for i := range frames {
		frames[i] = make([]byte, 1450)
	}
	if n := len(carry(1400, frames)); n > 106 {
		t.Errorf("%d bodies for 100 frames, want little more than 100", n)
	}
}

func TestLostPiecesNeverHoldUnboundedMemory(t *testing.T) {
	var u Unpacker
	big := make([]byte, 60000)
	var first []byte
	p := Packer{ID: new(uint16), Emit: func(b []byte) {
		if first == nil {
			first = bytes.Clone(b)
		}
	}}
	p.SetLimit(1400)
	for range 20000 {
		first = nil
		p.Add(nil, big)
		p.Flush()
		u.Unpack(first, func([]byte, bool) { t.Fatal("incomplete frame delivered") })
	}
	if u.held > maxHeld+MaxFrame {
		t.Errorf("holds %d bytes", u.held)
	}
	if u.Incomplete == 0 {
		t.Error("nothing was given up")
	}
}

func TestPackingAllocatesNothingPerFrame(t *testing.T) {
	var u Unpacker
	p := Packer{ID: new(uint16), Emit: func(b []byte) { u.Unpack(b, func([]byte, bool) {}) }}
	p.SetLimit(1400)
	head, payload := make([]byte, 14), make([]byte, 1436)
	send := func() {
		for range 8 {
			p.Add(head, payload)
		}
		p.Flush()
	}
	send()
	if n := testing.AllocsPerRun(100, send); n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
}

func FuzzUnpack(f *testing.F) {
	for _, b := range carry(300, [][]byte{make([]byte, 1000), make([]byte, 20)}) {
		f.Add(b)
	}
	f.Add([]byte{0x40, 1, 0, 0, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var u Unpacker
		for range 3 {
			u.Unpack(b, func(f []byte, _ bool) {
				if len(f) > MaxFrame {
					t.Fatalf("frame of %d bytes", len(f))
				}
			})
		}
	})
}

func TestPackersOfOneUnpackerDoNotMixTheirFrames(t *testing.T) {
	var bodies [][]byte
	id := uint16(65534) // about to begin again
	packers := [2]Packer{}
	for i := range packers {
		packers[i] = Packer{ID: &id, Emit: func(b []byte) { bodies = append(bodies, bytes.Clone(b)) }}
		packers[i].SetLimit(300)
	}
	frames := map[string]bool{}
	for n := range byte(20) {
		frame := bytes.Repeat([]byte{n}, 1000)
		frames[string(frame)] = true
		packers[n%2].Add(nil, frame)
	}
	packers[0].Flush()
	packers[1].Flush()
	slices.Reverse(bodies)
	var u Unpacker
	for _, b := range bodies {
		u.Unpack(b, func(frame []byte, _ bool) {
			if !frames[string(frame)] {
				t.Fatalf("a frame came out that did not go in: %x", frame)
			}
			delete(frames, string(frame))
		})
	}
	if len(frames) > 0 || u.Malformed+u.Incomplete > 0 {
		t.Errorf("%d frames are missing, %d malformed, %d incomplete", len(frames), u.Malformed, u.Incomplete)
	}
}

func TestResetGivesUpWhatIsIncomplete(t *testing.T) {
	var first, second [][]byte
	id := uint16(6)
	p := Packer{ID: &id}
	p.SetLimit(300)
	p.Emit = func(b []byte) { first = append(first, bytes.Clone(b)) }
	p.Add(nil, bytes.Repeat([]byte{1}, 1000))
	p.Flush()
	id = 6 // as after a restart
	p.Emit = func(b []byte) { second = append(second, bytes.Clone(b)) }
	p.Add(nil, bytes.Repeat([]byte{2}, 1000))
	p.Flush()
	var u Unpacker
	count := 0
	take := func(frame []byte, _ bool) {
		count++
		if !bytes.Equal(frame, bytes.Repeat([]byte{2}, 1000)) {
			t.Error("pieces of two lives were joined")
		}
	}
	u.Unpack(first[0], take)
	u.Reset()
	for _, b := range second {
		u.Unpack(b, take)
	}
	if count != 1 || u.Incomplete != 1 || u.held != 0 {
		t.Errorf("%d frames, %d incomplete, %d bytes held", count, u.Incomplete, u.held)
	}
}
