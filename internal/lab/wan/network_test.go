package wan

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"pgregory.net/rapid"

	"causeway/internal/mono"
	"causeway/internal/weather"
)

// world is a network without devices, in a test's own time.
type world struct {
	t testing.TB
	*network
}

// arrival is a packet that came out.
type arrival struct {
	at   mono.Time
	node string
	b    []byte
}

func newWorld(t testing.TB, c Config) *world {
	t.Helper()
	if c.Buffers == 0 {
		c.Buffers = 1024
	}
	for i := range c.Nodes {
		c.Nodes[i].Namespace = "none"
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c = c.withDefaults()
	p, err := newPool(c.Buffers, 4096)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close() })
	n := newNetwork(c, p)
	n.start(0)
	return &world{t, n}
}

// send has a node send a packet.
func (w *world) send(node string, b []byte, now mono.Time) {
	w.t.Helper()
	for i := range w.nodes {
		if w.nodes[i].Name == node {
			slot, ok := w.pool.take()
			if !ok {
				w.t.Fatal("no slot free")
			}
			w.accept(int16(i), slot, copy(w.pool.bytes(slot), b), now)
			return
		}
	}
	w.t.Fatalf("no node %s", node)
}

// arrivals takes out all that is on its way, and checks that every slot is free then.
func (w *world) arrivals() []arrival {
	w.t.Helper()
	var all []arrival
	for w.heap.len() > 0 {
		e := w.heap.pop()
		p := w.pool.held[e.slot]
		all = append(all, arrival{e.at, w.nodes[p.to].Name, bytes.Clone(w.pool.packet(e.slot))})
		w.pool.give(e.slot)
	}
	if len(w.pool.free) != len(w.pool.held) {
		w.t.Fatalf("%d of %d slots are free with nothing on its way", len(w.pool.free), len(w.pool.held))
	}
	return all
}

// ip4 and ip6 write packets with a payload.
func ip4(src, dst string, ttl int, df bool, payload []byte) []byte {
	b := make([]byte, 20+len(payload))
	b[0], b[8], b[9] = 0x45, byte(ttl), 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	if df {
		b[6] = 0x40
	}
	copy(b[12:], netip.MustParseAddr(src).AsSlice())
	copy(b[16:], netip.MustParseAddr(dst).AsSlice())
	copy(b[20:], payload)
	binary.BigEndian.PutUint16(b[10:], slowSum(b[:20]))
	return b
}

func ip6(src, dst string, limit int, payload []byte) []byte {
	b := make([]byte, 40+len(payload))
	b[0], b[6], b[7] = 0x60, 17, byte(limit)
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], netip.MustParseAddr(src).AsSlice())
	copy(b[24:], netip.MustParseAddr(dst).AsSlice())
	copy(b[40:], payload)
	return b
}

// slowSum is the Internet checksum as RFC 1071 words it, the slow twin of ours.
func slowSum(b []byte) uint16 {
	sum := uint64(0)
	for i, c := range b {
		if i%2 == 0 {
			sum += uint64(c) * 256
		} else {
			sum += uint64(c)
		}
	}
	for sum >= 1<<16 {
		sum = sum%(1<<16) + sum/(1<<16)
	}
	return uint16(0xffff - sum)
}

func checkSum4(t testing.TB, b []byte) {
	t.Helper()
	if slowSum(b[:int(b[0]&15)*4]) != 0 {
		t.Errorf("the header's checksum is wrong: % x", b[:20])
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

const (
	sh4, se4, us4 = "198.18.1.2", "198.19.1.2", "198.20.1.2"
	sh6, se6      = "2001:db8:1::2", "2001:db8:2::2"
)

func threeNodes() []Node {
	return []Node{
		{Name: "sh", Addrs: []netip.Addr{addr(sh4), addr(sh6), addr("198.18.1.3")}},
		{Name: "se", Addrs: []netip.Addr{addr(se4), addr(se6)}},
		{Name: "us", Addrs: []netip.Addr{addr(us4)}},
	}
}

func wait(d time.Duration) weather.Profile { return weather.Profile{Delay: d} }

func TestPacketsTakeTheMostExactLink(t *testing.T) {
	w := newWorld(t, Config{Nodes: threeNodes(), Links: []Link{
		{From: "198.18.1.3", To: "198.19.1.2", Profile: wait(4 * ms)},
		{From: "198.18.1.3", To: "se", Profile: wait(3 * ms)},
		{From: "sh", To: "se", Profile: wait(2 * ms)},
		{From: "198.18.1.3", To: "us", Profile: wait(5 * ms)},
	}})
	for _, c := range []struct {
		packet []byte
		to     string
		at     time.Duration
	}{
		{ip4(sh4, se4, 64, true, nil), "se", 2 * ms},
		{ip6(sh6, se6, 64, nil), "se", 2 * ms},
		{ip4("198.18.1.3", se4, 64, true, nil), "se", 4 * ms},
		{ip4("198.18.1.3", us4, 64, true, nil), "us", 5 * ms},
	} {
		w.send("sh", c.packet, 0)
		got := w.arrivals()
		if len(got) != 1 || got[0].node != c.to || got[0].at != mono.Time(c.at) || !bytes.Equal(got[0].b, c.packet) {
			t.Errorf("% x: %+v, want it unchanged at %s after %v", c.packet[12:20], got, c.to, c.at)
		}
	}
}

func TestWhatHasNoWayIsCountedAndAnswered(t *testing.T) {
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{})})
	w.send("sh", ip4(sh4, "8.8.8.8", 64, true, []byte("lost")), 0)
	w.send("sh", ip4(sh4, us4, 64, true, []byte("lost")), 0)
	for _, a := range w.arrivals() {
		m := parseError4(t, a, "sh", router4.String(), sh4)
		if m.Type != ipv4.ICMPTypeDestinationUnreachable || m.Code != 0 {
			t.Errorf("answered with %v", m)
		}
	}
	w.send("sh", ip6(sh6, "2001:db8:9::1", 64, nil), 0)
	if a := w.arrivals(); len(a) != 1 || a[0].b[40] != 1 {
		t.Errorf("IPv6 without a way: %v", a)
	}
	w.send("sh", ip4(se4, us4, 64, true, nil), 0)         // another's address
	w.send("sh", ip4("10.1.0.10", se4, 64, true, nil), 0) // nobody's
	w.send("sh", ip6(sh6, "ff02::2", 255, nil), 0)
	w.send("sh", []byte("no packet of any kind"), 0)
	w.send("sh", ip4(sh4, se4, 64, true, make([]byte, 8))[:24], 0)
	if a := w.arrivals(); len(a) != 0 {
		t.Errorf("%v arrived", a)
	}
	if n := w.nodes[0]; n.noRoute != 3 || n.foreign != 3 || n.malformed != 2 {
		t.Errorf("counted %d without a way, %d foreign, %d malformed; want 3, 3, 2", n.noRoute, n.foreign, n.malformed)
	}
}

// parseError4 checks an ICMP error's envelope and returns it.
func parseError4(t testing.TB, a arrival, node, from, to string) *icmp.Message {
	t.Helper()
	checkSum4(t, a.b)
	h, err := ipv4.ParseHeader(a.b)
	if err != nil || a.node != node || h.Src.String() != from || h.Dst.String() != to || h.TotalLen != len(a.b) || h.TTL < 32 {
		t.Fatalf("at %s: %v, %v; want it from %s to %s", a.node, h, err, from, to)
	}
	if slowSum(a.b[20:]) != 0 {
		t.Error("the ICMP checksum is wrong")
	}
	m, err := icmp.ParseMessage(1, a.b[20:])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRoutersOnTheWayAnswerTraceroute(t *testing.T) {
	hops := []string{"100.64.0.1", "100.64.0.2", "100.64.0.3"}
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", wait(40*ms), hops...)})
	for ttl := 1; ttl <= 3; ttl++ {
		packet := ip4(sh4, se4, ttl, true, bytes.Repeat([]byte{7}, 1000))
		w.send("sh", packet, 0)
		got := w.arrivals()
		if len(got) != 1 {
			t.Fatalf("TTL %d: %d answers", ttl, len(got))
		}
		m := parseError4(t, got[0], "sh", hops[ttl-1], sh4)
		body, ok := m.Body.(*icmp.TimeExceeded)
		if !ok || !bytes.HasPrefix(packet, body.Data) || len(body.Data) != 548 {
			t.Errorf("TTL %d: %v %v", ttl, m.Type, m.Body)
		}
		if want := mono.Time(ttl) * mono.Time(20*ms); got[0].at != want {
			t.Errorf("TTL %d: answered after %v, want %v", ttl, got[0].at.Sub(0), want.Sub(0))
		}
	}
	w.send("sh", ip4(sh4, se4, 4, true, nil), 0)
	got := w.arrivals()
	if len(got) != 1 || got[0].node != "se" || got[0].b[8] != 1 {
		t.Fatalf("TTL 4: %v, want it at se with TTL 1", got)
	}
	checkSum4(t, got[0].b)
	if c := w.links[0].counts; c.expired != 3 || c.offered != 1 {
		t.Errorf("counted %+v", c)
	}
}

func TestTheWeatherIsInTheMiddle(t *testing.T) {
	hops := []string{"100.64.0.1", "100.64.0.2", "100.64.0.3"}
	p := weather.Profile{Delay: 40 * ms, Loss: weather.Loss{Random: 1}}
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", p, hops...)})
	for ttl, want := range map[int]int{1: 1, 2: 1, 3: 0, 4: 0} {
		w.send("sh", ip4(sh4, se4, ttl, true, nil), 0)
		if got := w.arrivals(); len(got) != want {
			t.Errorf("TTL %d: %d answers, want %d", ttl, len(got), want)
		}
	}
}

func TestTooLargePacketsAreComplainedAbout(t *testing.T) {
	p := weather.Profile{Delay: 10 * ms, MTU: 1400}
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", p, "100.64.0.1")})
	w.send("sh", ip4(sh4, se4, 64, true, make([]byte, 1381)), 0)
	got := w.arrivals()
	if len(got) != 1 {
		t.Fatalf("%d answers", len(got))
	}
	m := parseError4(t, got[0], "sh", "100.64.0.1", sh4)
	if m.Type != ipv4.ICMPTypeDestinationUnreachable || m.Code != 4 || binary.BigEndian.Uint16(got[0].b[26:]) != 1400 {
		t.Errorf("%v code %d, MTU %d", m.Type, m.Code, binary.BigEndian.Uint16(got[0].b[26:]))
	}
	w.send("sh", ip6(sh6, se6, 64, make([]byte, 1361)), 0)
	got = w.arrivals()
	if len(got) != 1 || len(got[0].b) != 1280 || got[0].node != "sh" {
		t.Fatalf("IPv6: %d answers", len(got))
	}
	b := got[0].b
	pseudo := append(bytes.Clone(b[8:40]), 0, 0, byte((len(b)-40)>>8), byte(len(b)-40), 0, 0, 0, 58)
	if slowSum(append(pseudo, b[40:]...)) != 0 {
		t.Error("IPv6: the ICMP checksum is wrong")
	}
	m6, err := icmp.ParseMessage(58, b[40:])
	if err != nil {
		t.Fatal(err)
	}
	if body, ok := m6.Body.(*icmp.PacketTooBig); !ok || body.MTU != 1400 || m6.Type != ipv6.ICMPTypePacketTooBig {
		t.Errorf("IPv6: %v %+v", m6.Type, m6.Body)
	}
	w.send("sh", ip4(sh4, se4, 64, true, make([]byte, 1380)), 0)
	if got = w.arrivals(); len(got) != 1 || got[0].node != "se" {
		t.Errorf("a packet of the MTU's size: %v", got)
	}
}

func TestABlackHoleSwallowsTooLargePackets(t *testing.T) {
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{MTU: 1400, NoICMP: true})})
	w.send("sh", ip4(sh4, se4, 64, true, make([]byte, 1381)), 0)
	if got := w.arrivals(); len(got) != 0 || w.links[0].counts.dropped[weather.DropMTU] != 1 {
		t.Errorf("%v, %+v", got, w.links[0].counts)
	}
}

func TestNoErrorIsSentAboutAnErrorOrALaterFragment(t *testing.T) {
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{MTU: 600}, "100.64.0.1")})
	about := ip4(sh4, se4, 64, true, make([]byte, 700))
	about[9], about[20] = 1, 11
	w.send("sh", about, 0)
	about6 := ip6(sh6, se6, 1, make([]byte, 700))
	about6[6], about6[40] = 58, 1
	w.send("sh", about6, 0)
	later := ip4(sh4, se4, 64, true, make([]byte, 700))
	later[7] = 10
	w.send("sh", later, 0)
	if got := w.arrivals(); len(got) != 0 {
		t.Errorf("answered: %v", got)
	}
	echo := ip4(sh4, se4, 64, true, make([]byte, 700))
	echo[9], echo[20] = 1, 8
	w.send("sh", echo, 0)
	if got := w.arrivals(); len(got) != 1 {
		t.Errorf("about an echo request: %d answers", len(got))
	}
}

func TestPacketsThatMayBeCutAreCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mtu := rapid.IntRange(68, 1500).Draw(rt, "mtu")
		w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{MTU: mtu})})
		payload := make([]byte, rapid.IntRange(0, 3000).Draw(rt, "size"))
		for i := range payload {
			payload[i] = byte(i * 7 >> 3)
		}
		packet := ip4(sh4, se4, 9, false, payload)
		if rapid.Bool().Draw(rt, "options") {
			packet = append(packet[:20:20], append([]byte{1, 1, 1, 0}, payload...)...)
			packet[0] = 0x46
			binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		}
		// It may be a fragment itself, with more to come.
		start, more := rapid.IntRange(0, 1000).Draw(rt, "offset"), rapid.Bool().Draw(rt, "more")
		if more && len(payload)%8 != 0 {
			more = false
		}
		binary.BigEndian.PutUint16(packet[6:], uint16(start))
		if more {
			packet[6] |= 0x20
		}
		packet[10], packet[11] = 0, 0
		binary.BigEndian.PutUint16(packet[10:], slowSum(packet[:int(packet[0]&15)*4]))
		w.send("sh", packet, 0)

		header := int(packet[0]&15) * 4
		next := start * 8
		var joined []byte
		parts := w.arrivals()
		for i, a := range parts {
			checkSum4(t, a.b)
			flags := binary.BigEndian.Uint16(a.b[6:])
			if len(a.b) > mtu || int(flags&0x1fff)*8 != next || (flags&0x2000 != 0) != (more || i < len(parts)-1) {
				rt.Fatalf("part %d: %d bytes, flags %x, want at most %d bytes and offset %d", i, len(a.b), flags, mtu, next)
			}
			joined = append(joined, a.b[header:]...)
			next += len(a.b) - header
		}
		if !bytes.Equal(joined, payload) {
			rt.Fatalf("%d parts give %d bytes, want the %d sent", len(parts), len(joined), len(payload))
		}
	})
}

func TestDuplicatesArriveTwiceAndWhole(t *testing.T) {
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{Duplicate: 1})})
	packet := ip4(sh4, se4, 64, true, []byte("twice"))
	w.send("sh", packet, 5)
	got := w.arrivals()
	if len(got) != 2 || !bytes.Equal(got[0].b, packet) || !bytes.Equal(got[1].b, packet) {
		t.Errorf("%v", got)
	}
	if c := w.links[0].counts; c.duplicated != 1 || c.offered != 1 {
		t.Errorf("%+v", c)
	}
}

func TestOverflowIsCounted(t *testing.T) {
	w := newWorld(t, Config{Buffers: 17, Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{Duplicate: 1})})
	for range 10 {
		slot, ok := w.pool.take()
		if !ok {
			break
		}
		w.accept(0, slot, copy(w.pool.bytes(slot), ip4(sh4, se4, 64, true, nil)), 0)
	}
	if got := w.arrivals(); len(got) != 17 || w.nodes[0].overflow != 1 {
		t.Errorf("%d arrived of 17 slots, overflow %d", len(got), w.nodes[0].overflow)
	}
}

func TestAPacketCostsNoAllocation(t *testing.T) {
	w := newWorld(t, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{Delay: ms, Jitter: ms, MTU: 1300, Duplicate: 0.1}, "100.64.0.1")})
	packets := [][]byte{
		ip4(sh4, se4, 64, true, make([]byte, 1000)), ip6(sh6, se6, 64, make([]byte, 1000)), ip4(sh4, se4, 1, true, nil),
		ip4(sh4, se4, 64, false, make([]byte, 1400)), ip4(sh4, se4, 64, true, make([]byte, 1400)), ip4(sh4, "8.8.8.8", 64, true, nil),
	}
	now := mono.Time(0)
	if n := testing.AllocsPerRun(1000, func() {
		for _, b := range packets {
			slot, _ := w.pool.take()
			w.accept(0, slot, copy(w.pool.bytes(slot), b), now)
		}
		for w.heap.len() > 0 {
			w.pool.give(w.heap.pop().slot)
		}
		now += 100000
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAccept(f *testing.F) {
	w := newWorld(f, Config{Nodes: threeNodes(), Links: both("sh", "se", weather.Profile{MTU: 700, Duplicate: 0.5}, "100.64.0.1", "2001:db8::1")})
	for _, b := range [][]byte{
		ip4(sh4, se4, 64, true, make([]byte, 900)), ip4(sh4, se4, 64, false, make([]byte, 900)), ip4(sh4, se4, 0, false, nil), ip4(sh4, se4, 2, false, nil),
		ip6(sh6, se6, 64, make([]byte, 900)), ip6(sh6, se6, 2, nil), ip4(sh4, us4, 1, true, nil), {}, {0x45}, {0x60},
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w.t = t
		if len(b) > 4096 {
			return
		}
		w.send("sh", b, 0)
		w.arrivals()
	})
}

func BenchmarkAccept(b *testing.B) {
	w := newWorld(b, Config{Nodes: threeNodes(), Links: both("sh", "se", wait(20*ms))})
	packet := ip4(sh4, se4, 64, true, make([]byte, 1380))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		slot, _ := w.pool.take()
		copy(w.pool.bytes(slot), packet)
		w.accept(0, slot, len(packet), mono.Time(i)*10000)
		if w.heap.len() > 500 {
			w.pool.give(w.heap.pop().slot)
		}
	}
}
