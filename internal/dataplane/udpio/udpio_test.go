package udpio

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	loopback4 = netip.MustParseAddrPort("127.0.0.1:0")
	loopback6 = netip.MustParseAddrPort("[::1]:0")
)

func listen(t testing.TB, addr netip.AddrPort, o Options) *Conn {
	t.Helper()
	c, err := Listen(addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// received is a Message that is kept.
type received struct {
	data string
	from netip.AddrPort
	tos  uint8
}

// readAll reads until want datagrams came, or nothing more comes for a while.
func readAll(t testing.TB, c *Conn, want int) (got []received) {
	t.Helper()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Add(c, 1); err != nil {
		t.Fatal(err)
	}
	b := NewBatch(8)
	for quiet := 0; len(got) < want && quiet < 20; quiet++ {
		if _, err := p.Wait(100*time.Millisecond, make([]uint64, 1)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := c.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			quiet = 0
			for _, m := range b.Messages[:n] {
				got = append(got, received{string(m.Data), m.From, m.TOS})
			}
		}
	}
	return got
}

// payload is n bytes that differ for each seed.
func payload(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// everyWay runs a test over IPv4 and IPv6, with joining on and off at either end.
func everyWay(t *testing.T, f func(t *testing.T, from, to *Conn)) {
	for _, addr := range []netip.AddrPort{loopback4, loopback6} {
		for _, off := range []struct{ gso, gro bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			t.Run(fmt.Sprintf("%v NoGSO=%v NoGRO=%v", addr.Addr(), off.gso, off.gro), func(t *testing.T) {
				f(t, listen(t, addr, Options{NoGSO: off.gso, MayFragment: true}), listen(t, addr, Options{NoGRO: off.gro}))
			})
		}
	}
}

func TestDatagramsOfEverySizeArriveWhole(t *testing.T) {
	everyWay(t, func(t *testing.T, from, to *Conn) {
		var want [][]byte
		for round, n := range []int{0, 1, 1, 1472, 1472, 1472, 100, 9000, 9000, 65507, 65507, 0, 0, 65507, 7, 8, 9} {
			want = append(want, payload(n, uint64(round)))
		}
		bytes := 0
		for _, data := range want {
			from.Queue(data, to.LocalAddr(), 0)
			bytes += len(data)
		}
		stats := from.Flush()
		if stats.Sent != len(want) || stats.Bytes != bytes || stats.Dropped() != 0 {
			t.Errorf("%+v, want %d datagrams of %d bytes", stats, len(want), bytes)
		}
		if !from.Features().GSO && stats.Joined != 0 {
			t.Errorf("%d joined without GSO", stats.Joined)
		}
		got := readAll(t, to, len(want))
		if len(got) != len(want) {
			t.Fatalf("%d datagrams arrived, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i].data != string(want[i]) || got[i].from != from.LocalAddr() {
				t.Errorf("datagram %d: %d bytes from %v, want %d from %v", i, len(got[i].data), got[i].from, len(want[i]), from.LocalAddr())
			}
		}
	})
}

func TestTOSTravelsBothWays(t *testing.T) {
	everyWay(t, func(t *testing.T, from, to *Conn) {
		if !to.Features().TOS {
			t.Fatal("the kernel does not tell TOS")
		}
		toses := []uint8{0, 1, 2, 3, 46 << 2, 46<<2 | 3, 0xff, 0, 0, 1, 1}
		for i, tos := range toses {
			from.Queue(payload(200, uint64(i)), to.LocalAddr(), tos)
		}
		from.Flush()
		got := readAll(t, to, len(toses))
		if len(got) != len(toses) {
			t.Fatalf("%d datagrams arrived, want %d", len(got), len(toses))
		}
		for i, tos := range toses {
			if got[i].tos != tos || got[i].data != string(payload(200, uint64(i))) {
				t.Errorf("datagram %d: TOS %#02x, want %#02x", i, got[i].tos, tos)
			}
		}
	})
}

// Random batches to several destinations: each destination gets its datagrams,
// unchanged and in order, whatever was joined.
func TestInterleavedDestinationsGetWhatIsTheirs(t *testing.T) {
	everyWay(t, func(t *testing.T, from, _ *Conn) {
		r := rand.New(rand.NewPCG(1, 2))
		var to []*Conn
		for range 9 {
			to = append(to, listen(t, netip.AddrPortFrom(from.LocalAddr().Addr(), 0), Options{NoGRO: r.IntN(2) == 0}))
		}
		want := make([][]received, len(to))
		joined := 0
		for flush := range 12 {
			for i := range 1 + r.IntN(600) { // more than the queue holds, too
				d := r.IntN(len(to))
				size := []int{64, 64, 64, 200, 1400, 0, 1 + r.IntN(3000)}[r.IntN(7)]
				m := received{string(payload(size, uint64(flush*1000+i))), from.LocalAddr(), uint8(r.IntN(4) / 3)}
				from.Queue([]byte(m.data), to[d].LocalAddr(), m.tos)
				want[d] = append(want[d], m)
			}
			stats := from.Flush()
			joined += stats.Joined
			if stats.Dropped() != 0 {
				t.Fatalf("dropped: %+v", stats)
			}
			if again := from.Flush(); again != (SendStats{}) {
				t.Fatalf("an empty flush told %+v", again)
			}
		}
		for d, c := range to {
			got := readAll(t, c, len(want[d]))
			if len(got) != len(want[d]) {
				t.Fatalf("destination %d got %d datagrams, want %d", d, len(got), len(want[d]))
			}
			for i := range got {
				if got[i] != want[d][i] {
					t.Fatalf("destination %d, datagram %d: %d bytes, TOS %d; want %d, %d", d, i,
						len(got[i].data), got[i].tos, len(want[d][i].data), want[d][i].tos)
				}
			}
		}
		if from.Features().GSO && joined == 0 {
			t.Error("nothing was ever joined")
		}
	})
}

func TestOneFlowIsJoinedAndSplit(t *testing.T) {
	from, to := listen(t, loopback4, Options{}), listen(t, loopback4, Options{})
	if !from.Features().GSO || !to.Features().GRO {
		t.Fatalf("features %+v, %+v: want GSO and GRO from Linux 5.10 on", from.Features(), to.Features())
	}
	for i := range 200 {
		from.Queue(payload(1000, uint64(i)), to.LocalAddr(), 2)
	}
	if stats := from.Flush(); stats.Joined != 200 || stats.Calls != 1 {
		t.Errorf("%+v, want 200 joined in one call", stats)
	}
	b := NewBatch(4) // 200 of 1000 bytes are four receives
	n, err := to.Read(b)
	if err != nil || n != 200 {
		t.Fatalf("read %d datagrams, %v; want 200 at once", n, err)
	}
	for i, m := range b.Messages {
		if !bytes.Equal(m.Data, payload(1000, uint64(i))) || m.TOS != 2 || cap(m.Data) != len(m.Data) {
			t.Fatalf("datagram %d is wrong", i)
		}
	}
}

func TestOneBadDestinationDoesNotHoldUpTheRest(t *testing.T) {
	from, to := listen(t, loopback4, Options{}), listen(t, loopback4, Options{})
	data := payload(100, 1)
	from.Queue(data, to.LocalAddr(), 0)
	from.Queue(data, netip.MustParseAddrPort("255.255.255.255:9"), 0) // broadcast: EACCES
	from.Queue(data, loopback6, 0)                                    // another family
	from.Queue(data, netip.AddrPort{}, 0)
	from.Queue(make([]byte, MaxPayload+1), to.LocalAddr(), 0)
	from.Queue(data, netip.AddrPortFrom(netip.AddrFrom16(to.LocalAddr().Addr().As16()), to.LocalAddr().Port()), 0) // IPv4-mapped
	from.Queue(data, netip.AddrPortFrom(to.LocalAddr().Addr(), 0), 0)                                              // no port
	from.Queue(data, to.LocalAddr(), 0)
	stats := from.Flush()
	want := SendStats{Sent: 3, Bytes: 300, Calls: stats.Calls, Messages: stats.Messages, Joined: stats.Joined, Forbidden: 1, Unreachable: 2, TooLarge: 1, Other: 1}
	if stats != want {
		t.Errorf("stats %+v, want %+v", stats, want)
	}
	if got := readAll(t, to, 3); len(got) != 3 {
		t.Errorf("%d datagrams arrived, want 3", len(got))
	}
}

// Loopback's MTU is made small, in a namespace of the test's own, so that joined
// datagrams are refused and must go one by one.
func TestDatagramsTooLargeToJoinGoAlone(t *testing.T) {
	inNamespace(t, func() {
		command(t, "ip", "link", "set", "lo", "mtu", "1280", "up")
		for _, addr := range []netip.AddrPort{loopback4, loopback6} {
			whole, fragments := listen(t, addr, Options{}), listen(t, addr, Options{MayFragment: true})
			to := listen(t, addr, Options{})
			send := func(c *Conn) SendStats {
				for i := range 6 {
					c.Queue(payload(1400, uint64(i)), to.LocalAddr(), 0)
				}
				c.Queue(payload(100, 6), to.LocalAddr(), 0)
				return c.Flush()
			}
			if stats := send(whole); stats.TooLarge != 6 || stats.Sent != 1 {
				t.Errorf("%v with DF: %+v, want 6 too large and the small one sent", addr, stats)
			}
			if got := readAll(t, to, 1); len(got) != 1 {
				t.Errorf("%v with DF: %d arrived, want 1", addr, len(got))
			}
			for round := range 2 { // the second time it is known
				stats := send(fragments)
				if stats.Sent != 7 || stats.Dropped() != 0 || round == 1 && stats.Calls != 1 {
					t.Errorf("%v without DF, round %d: %+v, want all 7 sent", addr, round, stats)
				}
				got := readAll(t, to, 7)
				for i := range got {
					if want := payload([]int{1400, 1400, 1400, 1400, 1400, 1400, 100}[i], uint64(i)); got[i].data != string(want) {
						t.Errorf("%v: datagram %d is wrong or out of order", addr, i)
					}
				}
				if len(got) != 7 {
					t.Errorf("%v without DF: %d arrived, want 7", addr, len(got))
				}
			}
			if !fragments.Features().GSO {
				t.Errorf("%v: one small route cost the socket its GSO", addr)
			}
		}
	})
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	first := listen(t, loopback4, Options{})
	_, err := Listen(first.LocalAddr(), Options{})
	if err == nil || !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), first.LocalAddr().String()) ||
		!strings.Contains(err.Error(), fmt.Sprintf("ss -ulpn 'sport = :%d'", first.LocalAddr().Port())) {
		t.Errorf("port in use: %v", err)
	}
	for addr, want := range map[string]string{
		"192.0.2.1:0":     "no address 192.0.2.1",
		"[2001:db8::1]:0": "no address 2001:db8::1",
		"[fe80::1]:0":     "link-local",
		"[fe80::1%lo]:0":  "link-local",
	} {
		if _, err := Listen(netip.MustParseAddrPort(addr), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
	if _, err := Listen(netip.AddrPort{}, Options{}); err == nil {
		t.Error("no address was accepted")
	}
}

func TestOptionsAreGranted(t *testing.T) {
	a := listen(t, loopback4, Options{ReusePort: true, RecvBuffer: 1 << 16, SendBuffer: 1 << 17})
	listen(t, a.LocalAddr(), Options{ReusePort: true})
	if recv, send := a.BufferSizes(); recv != 1<<16 || send != 1<<17 {
		t.Errorf("buffers of %d and %d bytes, want %d and %d", recv, send, 1<<16, 1<<17)
	}
	listen(t, netip.MustParseAddrPort("192.0.2.1:0"), Options{FreeBind: true})
	listen(t, netip.MustParseAddrPort("[2001:db8::1]:0"), Options{FreeBind: true})
	mapped := listen(t, netip.MustParseAddrPort("[::ffff:127.0.0.1]:0"), Options{})
	if !mapped.LocalAddr().Addr().Is4() {
		t.Errorf("IPv4-mapped address became %v", mapped.LocalAddr())
	}
	if os.Geteuid() == 0 {
		if recv, send := listen(t, loopback4, Options{}).BufferSizes(); recv != 8<<20 || send != 8<<20 {
			t.Errorf("buffers of %d and %d bytes as root, want 8 MiB", recv, send)
		}
	}
}

func TestOverflowIsCounted(t *testing.T) {
	from, to := listen(t, loopback4, Options{NoGSO: true}), listen(t, loopback4, Options{RecvBuffer: 1 << 13})
	for range 200 {
		from.Queue(payload(1000, 1), to.LocalAddr(), 0)
	}
	from.Flush()
	got := readAll(t, to, 200)
	if lost := int(to.Received().Overflowed); lost == 0 || lost+len(got) != 200 {
		t.Errorf("%d arrived and %d overflowed, want 200 together", len(got), lost)
	}
}

func TestClosedConn(t *testing.T) {
	c := listen(t, loopback4, Options{})
	c.Queue([]byte("x"), c.LocalAddr(), 0)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := c.Read(NewBatch(1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	c.Queue([]byte("x"), loopback4, 0)
	if stats := c.Flush(); stats.Sent != 0 {
		t.Errorf("Flush after Close: %+v", stats)
	}
}

func TestNoDescriptorIsLeaked(t *testing.T) {
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := open()
	for range 10 {
		c, err := Listen(loopback4, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(c.LocalAddr(), Options{}); err == nil {
			t.Fatal("port in use was accepted")
		}
		p, err := NewPoller()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.useTimer(), p.Add(c, 1), p.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func TestReadsOfSeveralSocketsShareABatch(t *testing.T) {
	from := listen(t, loopback4, Options{NoGSO: true})
	var to [3]*Conn
	b := NewBatch(8)
	var kept [][]byte
	var want []string
	for i := range to {
		to[i] = listen(t, loopback4, Options{NoGRO: true})
		for j := range 3 {
			text := string(rune('a'+i)) + string(rune('0'+j))
			want = append(want, text)
			from.Queue([]byte(text), to[i].LocalAddr(), 0)
		}
	}
	from.Flush()
	for i, n := range []int{3, 3, 2} { // there is room for eight
		if got, err := to[i].ReadMore(b); got != n || err != nil {
			t.Fatalf("socket %d: read %d, %v; want %d", i, got, err, n)
		}
		for _, m := range b.Messages {
			kept = append(kept, m.Data)
		}
	}
	if !b.Full() || !b.More {
		t.Errorf("full %v, more %v; want both", b.Full(), b.More)
	}
	if n, _ := to[2].ReadMore(b); n != 0 || !b.More {
		t.Errorf("read %d into a full batch, more %v", n, b.More)
	}
	for i, data := range kept {
		if string(data) != want[i] {
			t.Errorf("datagram %d is %q after later reads, want %q", i, data, want[i])
		}
	}
	if n, _ := to[2].Read(b); n != 1 || string(b.Messages[0].Data) != want[8] || b.Full() {
		t.Errorf("read %d after Clear, want the last one", n)
	}
}

func TestLargeReceivesAreAskedForAFewAtATime(t *testing.T) {
	from, to := listen(t, loopback4, Options{}), listen(t, loopback4, Options{})
	if !from.Features().GSO || !to.Features().GRO {
		t.Skip("needs GSO and GRO")
	}
	for range 10 * 32 { // ten receives of 32 datagrams
		from.Queue(make([]byte, 2000), to.LocalAddr(), 0)
		if from.out.n == 32 {
			from.Flush()
		}
	}
	b := NewBatch(64)
	b.Want = 128000
	var sizes []int
	for total := 0; total < 320; {
		to.receive = max(to.receive, 64000) // as if the read before had been of such
		n, err := to.Read(b)
		if n == 0 || err != nil {
			t.Fatalf("read %d, %v after %v", n, err, sizes)
		}
		sizes, total = append(sizes, n), total+n
	}
	for _, n := range sizes {
		if n > 64 {
			t.Errorf("reads of %v datagrams; two receives of 32 are what was wanted", sizes)
			break
		}
	}
}
