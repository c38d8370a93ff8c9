package udpio

import (
	"net/netip"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// Whatever is queued: groups hold each datagram once, keep a destination's
// order when sent one after another, and are what the kernel takes as one message.
func TestGroupsAreWhatTheKernelTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var room SendRoom
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			crowd := rapid.SampledFrom([]int{1, 2, 10, 256}).Draw(t, "destinations")
			destination, size, tos := rapid.IntRange(0, crowd-1), rapid.IntRange(0, 3), rapid.IntRange(0, 7)
			queued := map[netip.AddrPort][]int{} // items by destination, in order
			n := rapid.IntRange(1, queueSize).Draw(t, "datagrams")
			toses := make([]uint8, n)
			for i := range n {
				d := destination.Draw(t, "to")
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(d), 1}), uint16(1+d%3))
				if d%2 == 1 {
					to = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 15: byte(d)}), 1)
				}
				toses[i] = uint8(tos.Draw(t, "tos") / 7)
				q.take(&room)
				q.add(make([]byte, []int{0, 100, 1400, 20000}[size.Draw(t, "size")]), to, toses[i], true)
				queued[to] = append(queued[to], i)
			}
			for g := range q.groups {
				p := &q.group[g]
				count, total := int32(0), 0
				for i := p.first; i >= 0; i = q.items[i].next {
					want := queued[p.to]
					if len(want) == 0 || want[0] != int(i) {
						t.Fatalf("group %d: datagram %d to %v out of order, want %v", g, i, p.to, want)
					}
					queued[p.to] = want[1:]
					if toses[i] != p.tos {
						t.Fatalf("group %d: mixed TOS", g)
					}
					size := len(q.items[i].data)
					if last := q.items[i].next < 0; size != int(p.size) && (!last || size > int(p.size)) || size == 0 && p.count > 1 {
						t.Fatalf("group %d of size %d: datagram of %d bytes, last: %v", g, p.size, size, last)
					}
					count++
					total += size
				}
				if count != p.count || total != int(p.total) || count > maxSegments || total > MaxPayload {
					t.Fatalf("group %d: %d datagrams of %d bytes, noted as %d of %d", g, count, total, p.count, p.total)
				}
			}
			for to, left := range queued {
				if len(left) > 0 {
					t.Fatalf("%v: datagrams %v are in no group", to, left)
				}
			}
			q.clear()
		}
	})
}

// With all destinations in one neighbourhood of the table, some are not joined,
// and nothing worse happens.
func TestCollidingDestinationsKeepTheirOrder(t *testing.T) {
	var crowd []netip.AddrPort
	for i := 0; len(crowd) < 3*maxProbes; i++ {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 500)
		if hashOf(to)>>8%tableSize == 5 {
			crowd = append(crowd, to)
		}
	}
	var q queue
	for i := range queueSize {
		q.take(new(SendRoom))
		q.add(make([]byte, 10), crowd[i%len(crowd)], 0, true)
	}
	last := map[netip.AddrPort]int32{}
	joined := 0
	for g := range q.groups {
		for i := q.group[g].first; i >= 0; i = q.items[i].next {
			if at, seen := last[q.group[g].to]; seen && at > i {
				t.Fatalf("datagram %d overtook %d", at, i)
			}
			last[q.group[g].to] = i
		}
		if q.group[g].count > 1 {
			joined++
		}
	}
	if joined != maxProbes {
		t.Errorf("%d destinations were joined, want the %d that found a place", joined, maxProbes)
	}
}

// Sockets that share memory do not mix up what they send.
func TestSocketsShareRoom(t *testing.T) {
	var room SendRoom
	to := listen(t, loopback4, Options{})
	a, b := listen(t, loopback4, Options{Room: &room}), listen(t, loopback4, Options{Room: &room})
	for range 3 {
		for i := range 100 { // more than a room has at first
			a.Queue([]byte{'a', byte(i)}, to.LocalAddr(), 0)
			b.Queue([]byte{'b', byte(i)}, to.LocalAddr(), 0)
		}
		if sa, sb := a.Flush(), b.Flush(); sa.Sent != 100 || sb.Sent != 100 {
			t.Fatalf("sent %+v and %+v, want 100 of each", sa, sb)
		}
		next := map[netip.AddrPort]byte{}
		for _, m := range readAll(t, to, 200) {
			name := map[netip.AddrPort]byte{a.LocalAddr(): 'a', b.LocalAddr(): 'b'}[m.from]
			if want := string([]byte{name, next[m.from]}); m.data != want {
				t.Fatalf("from %v came %q, want %q", m.from, m.data, want)
			}
			next[m.from]++
		}
	}
	if len(room.free) != 2 {
		t.Errorf("%d rooms are left over, want the 2 that were in use at once", len(room.free))
	}
}

func FuzzReadControl(f *testing.F) {
	var c control
	n := writeControl(&c, false, 7, 1400)
	f.Add(unsafe.Slice((*byte)(unsafe.Pointer(&c)), n))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c control
		n := copy(unsafe.Slice((*byte)(unsafe.Pointer(&c)), unsafe.Sizeof(c)), b)
		readControl(&c, n)
		readControl(&c, len(b)) // even if the kernel told of more than there is room for
	})
}
