package xdp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// xdpContext is struct xdp_md, as test runs take it.
type xdpContext struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

// judge runs the program on packets in the kernel, without a device.
type judge struct {
	t      *testing.T
	kernel *Kernel
	prog   *ebpf.Program
	device uint32
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to load a program")
	}
	k, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	socks, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socks.Close() })
	prog, err := k.program(socks.FD())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return &judge{t: t, kernel: k, prog: prog}
}

// run returns what the program says of a frame, and what became of it.
func (j *judge) run(f []byte) (uint32, []byte) {
	j.t.Helper()
	o := ebpf.RunOptions{Data: f, DataOut: make([]byte, len(f)+64)}
	if j.device != 0 {
		o.Context = xdpContext{DataEnd: uint32(len(f)), Ingress: j.device}
	}
	got, err := j.prog.Run(&o)
	if err != nil {
		j.t.Fatalf("run: %v", err)
	}
	return got, o.DataOut
}

func (j *judge) want(what string, want uint32, f []byte) {
	j.t.Helper()
	if got, out := j.run(f); got != want {
		j.t.Errorf("%s: the program says %d, want %d", what, got, want)
	} else if want != xdpRedirect && string(out) != string(f) {
		j.t.Errorf("%s: the packet was changed", what)
	}
}

// tallies are what was dropped since the last call.
func (j *judge) tallies() string {
	s := ""
	if err := j.kernel.Tallies(func(a netip.AddrPort, r Reason, n Count) { s += fmt.Sprintf("%v %d: %d/%d ", a, r, n.Packets, n.Bytes) }); err != nil {
		j.t.Error(err)
	}
	return s
}

func (j *judge) must(err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatal(err)
	}
}

func (j *judge) open(a netip.AddrPort, kind Kind) {
	j.t.Helper()
	j.must(j.kernel.OpenDoor(a))
	j.must(j.kernel.Judge(a, kind, nil, nil))
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func from(client string) []byte {
	a := netip.MustParseAddrPort(client)
	if a.Addr().Is4() {
		return frame(a, v4b, 0, payload(40))
	}
	return frame(a, v6b, 0, payload(40))
}

func TestAListenersClientsAreJudged(t *testing.T) {
	j := newJudge(t)
	for _, a := range []netip.AddrPort{v4b, v6b} {
		j.open(a, Listener)
	}
	j.want("no lists, IPv4", xdpPass, from("10.1.0.1:4500"))
	j.want("no lists, IPv6", xdpPass, from("[2001:db8::1]:4500"))
	j.must(j.kernel.Judge(v4b, Listener, prefixes("10.0.0.0/8", "192.0.2.7/32", "::/0"), prefixes("10.66.0.0/16")))
	j.must(j.kernel.Judge(v6b, Listener, nil, prefixes("2001:db8:1::/48", "0.0.0.0/0")))
	for _, c := range []struct {
		client string
		want   uint32
	}{
		{"10.1.2.3:4500", xdpPass}, {"192.0.2.7:9", xdpPass}, {"192.0.2.8:9", xdpDrop}, {"10.66.1.1:4500", xdpDrop}, {"198.51.100.1:4500", xdpDrop},
		{"[2001:db8::1]:4500", xdpPass}, {"[2001:db8:1::1]:4500", xdpDrop},
	} {
		j.want(c.client, c.want, from(c.client))
	}
	seen := map[string]bool{}
	j.must(j.kernel.Tallies(func(a netip.AddrPort, r Reason, n Count) { seen[fmt.Sprint(a, r, n)] = true }))
	for _, want := range []string{fmt.Sprint(v4b, NotAllowed, Count{2, 80}), fmt.Sprint(v4b, Denied, Count{1, 40}), fmt.Sprint(v6b, Denied, Count{1, 40})} {
		if !seen[want] {
			t.Errorf("%s is missing among %v", want, seen)
		}
	}
	if again := j.tallies(); again != "" {
		t.Errorf("counted twice: %s", again)
	}
	// A client that is known passes, whatever the lists say: its session is judged elsewhere.
	known := netip.MustParseAddrPort("192.0.2.8:9")
	j.must(j.kernel.Know(known, v4b, true))
	j.want("known", xdpPass, from("192.0.2.8:9"))
	j.must(j.kernel.Know(known, v4b, false))
	j.want("known no longer", xdpDrop, from("192.0.2.8:9"))
	// New lists hold at once and nothing of the old ones stays.
	j.must(j.kernel.Judge(v4b, Listener, prefixes("192.0.2.0/24"), nil))
	j.want("a new list", xdpPass, from("192.0.2.8:9"))
	j.want("the old list", xdpDrop, from("10.1.2.3:4500"))
	j.must(j.kernel.Judge(v4b, Listener, nil, nil))
	j.want("no list", xdpPass, from("198.51.100.1:4500"))
	j.must(j.kernel.ShutDoor(v6b))
	j.want("shut", xdpPass, from("[2001:db8:1::1]:4500"))
	var key [24]byte
	var value uint32
	if it := j.kernel.lists.Iterate(); it.Next(&key, &value) {
		t.Errorf("a prefix was left: % x", key)
	}
	j.must(j.kernel.Judge(v4b, Listener, prefixes("192.0.2.0/24"), nil))
	j.must(j.kernel.Switch(false))
	j.want("off", xdpPass, from("10.1.2.3:4500"))
}

func TestUnknownClientsHaveABudget(t *testing.T) {
	j := newJudge(t)
	j.open(v4b, Listener)
	other, begin := payload(60), make([]byte, 60) // marker, and an initiator's SPI alone
	begin[4] = 1
	count := func(data []byte, n int) (passed int) {
		for i := range n {
			if got, _ := j.run(frame(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 4500), v4b, 0, data)); got == xdpPass {
				passed++
			}
		}
		return passed
	}
	// The kernel's clock goes on meanwhile, so that there may be more than one span.
	const sent = 20 * max(OthersPerSpan, IKEPerSpan)
	if n := count(other, sent); n < OthersPerSpan || n == sent {
		t.Errorf("of %d packets %d passed", sent, n)
	}
	if n := count(begin, sent); n < IKEPerSpan || n == sent {
		t.Errorf("of %d of IKE %d passed", sent, n)
	}
	if j.tallies() == "" {
		t.Error("nothing was counted")
	}
	honest := netip.MustParseAddrPort("10.200.0.1:4500")
	j.must(j.kernel.Know(honest, v4b, true))
	for range sent {
		j.want("a client that is known", xdpPass, frame(honest, v4b, 0, other))
	}
}

func TestWhatNoPoPSendsIsDropped(t *testing.T) {
	j := newJudge(t)
	for _, a := range []netip.AddrPort{v4b, v6b} {
		j.open(a, Overlay)
	}
	j.must(j.kernel.Index(0x01020304, true))
	message := func(kind byte, index uint32, n int) []byte {
		b := make([]byte, n)
		b[0] = kind
		binary.BigEndian.PutUint32(b[4:], index)
		return b
	}
	for _, c := range []struct {
		what string
		want uint32
		data []byte
	}{
		{"data", xdpPass, message(4, 0x01020304, 100)},
		{"data for other keys", xdpDrop, message(4, 0x01020305, 100)},
		{"a response", xdpPass, message(2, 0x01020304, 100)},
		{"a cookie", xdpPass, message(3, 0x01020304, 100)},
		{"a response to nobody", xdpDrop, message(2, 9, 100)},
		{"an initiation", xdpPass, message(1, 9, 148)},
		{"something else", xdpDrop, message(9, 0x01020304, 100)},
		{"zeros", xdpDrop, make([]byte, 100)},
		{"short", xdpDrop, []byte{4, 0, 0, 0, 1, 2, 3}},
		{"empty", xdpDrop, nil},
	} {
		j.want(c.what, c.want, frame(v4a, v4b, 0, c.data))
		j.want(c.what+" over IPv6", c.want, frame(v6a, v6b, 0, c.data))
	}
	sums := map[Reason]uint64{}
	j.must(j.kernel.Tallies(func(_ netip.AddrPort, r Reason, n Count) { sums[r] += n.Packets }))
	if sums[UnknownIndex] != 2 || sums[Handshake] != 2 || sums[NotOverlay] != 8 {
		t.Errorf("counted %v", sums)
	}
	passed := 0
	for range 20 * InitiationsPerSpan {
		if got, _ := j.run(frame(v4a, v4b, 0, message(1, 9, 148))); got == xdpPass {
			passed++
		}
	}
	if passed == 20*InitiationsPerSpan || passed == 0 {
		t.Errorf("%d initiations of %d passed", passed, 20*InitiationsPerSpan)
	}
	j.must(j.kernel.Know(v4a, v4b, true))
	for range 20 * InitiationsPerSpan {
		j.want("an initiation over a wire", xdpPass, frame(v4a, v4b, 0, message(1, 9, 148)))
	}
	j.must(j.kernel.Know(v4a, v4b, false))
	j.must(j.kernel.Index(0x01020304, false))
	j.want("data for keys that are gone", xdpDrop, frame(v4a, v4b, 0, message(4, 0x01020304, 100)))
}

// What is not as it should be reaches user space unchanged, where it is counted as ever,
// though a list would drop its sender.
func TestMalformedPacketsAreLeftToUserSpace(t *testing.T) {
	j := newJudge(t)
	j.open(v4b, Listener)
	j.open(v6b, Listener)
	j.must(j.kernel.Judge(v4b, Listener, prefixes("192.0.2.1/32"), nil))
	j.must(j.kernel.Judge(v6b, Listener, prefixes("192.0.2.1/32"), nil))
	good4, good6 := frame(v4a, v4b, 0, payload(60)), frame(v6a, v6b, 0, payload(60))
	j.want("good, IPv4", xdpDrop, good4)
	j.want("good, IPv6", xdpDrop, good6)
	for i, f := range [][]byte{good4, good6} {
		for n := 14; n < len(f); n++ { // truncated anywhere
			j.want(fmt.Sprintf("IPv%d, %d bytes", 4+2*i, n), xdpPass, f[:n])
		}
	}
	change := func(f []byte, at int, to ...byte) []byte {
		f = append([]byte(nil), f...)
		copy(f[at:], to)
		return f
	}
	for _, c := range []struct {
		what string
		f    []byte
	}{
		{"IP options", change(good4, 14, 0x46)}, {"a fragment", change(good4, 20, 0x20)}, {"a later fragment", change(good4, 20, 0, 9)},
		{"IPv6 in an IPv4 frame", change(good4, 14, 0x65)}, {"TCP", change(good4, 23, 6)}, {"another frame type", change(good4, 12, 0x08, 0x06)},
		{"a total length too long", change(good4, 16, 0x40)}, {"a total length of nothing", change(good4, 16, 0, 0)}, {"a total length of the header", change(good4, 16, 0, 20)},
		{"a UDP length too long", change(good4, 38, 1)}, {"a UDP length too short", change(good4, 38, 0, 7)},
		{"a VLAN tag", append(append(append([]byte(nil), good4[:12]...), 0x81, 0, 0, 5), good4[12:]...)},
		{"IPv6, an extension header", change(good6, 20, 0)}, {"IPv6, a payload length too long", change(good6, 18, 4)},
		{"IPv6, a UDP length too long", change(good6, 58, 1)}, {"IPv6, a UDP length too short", change(good6, 58, 0, 7)},
	} {
		j.want(c.what, xdpPass, c.f)
	}
	padded := append(append([]byte(nil), good4...), make([]byte, 30)...)
	j.want("padding behind", xdpDrop, padded)
}

// routed is a judge in a namespace that forwards from "inside" to an endpoint behind "outside".
var (
	accelerated = v4b
	client      = netip.MustParseAddrPort("10.9.1.2:40001")
	egress      = netip.MustParseAddrPort("198.51.100.1:4500")
	endpoint    = netip.MustParseAddrPort("198.51.100.2:4500")
)

func routed(t *testing.T, f func(j *judge)) {
	inNamespace(t, func() {
		for _, c := range []string{
			"ip link add far type veth peer name near", "ip addr add 198.51.100.1/24 dev near", "ip link set far up", "ip link set near up",
			"ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev near nud permanent",
		} {
			if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", c, err, out)
				return
			}
		}
		if out, err := exec.Command("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/inside/forwarding").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
			return
		}
		j := newJudge(t)
		in, _ := net.InterfaceByName("inside")
		out, _ := net.InterfaceByName("near")
		j.device = uint32(in.Index)
		j.must(j.kernel.devices.Put(uint32(out.Index), uint32(out.Index)))
		f(j)
	})
}

func esp(spi, seq uint32, n int) []byte {
	b := payload(n)
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], seq)
	return b
}

func toEndpoint() Forwarding {
	return Forwarding{From: client, To: accelerated, As: egress, Next: endpoint, SPI: [2]uint32{0xc0ffee01}}
}

func TestAFlowIsForwarded(t *testing.T) {
	routed(t, func(j *judge) {
		slot, err := j.kernel.Forward(toEndpoint())
		j.must(err)
		seq, bytes := uint32(0), uint64(0)
		for _, n := range []int{12, 13, 14, 60, 61, 255, 1000, 1400, 1472} {
			for tos := range uint8(4) {
				seq++
				f := frame(client, accelerated, 0xb8|tos, esp(0xc0ffee01, seq, n))
				got, out := j.run(f)
				if got != xdpRedirect {
					t.Errorf("%d bytes: %d", n, got)
					continue
				}
				bytes += uint64(n)
				var p Packet
				if !Parse(out, &p) { // both checksums are right
					t.Errorf("%d bytes: what comes out is damaged", n)
				}
				if p.From != egress || p.To != endpoint || p.TOS != 0xb8|tos || string(p.Data) != string(f[payload4:]) {
					t.Errorf("%d bytes: came out as %v → %v, TOS %#x", n, p.From, p.To, p.TOS)
				}
				if out[offTTL] != f[offTTL]-1 || string(out[:6]) != "\x02\x00\x00\x00\x00\x02" || string(out[6:12]) == string(f[6:12]) {
					t.Errorf("%d bytes: TTL %d, addresses % x", n, out[offTTL], out[:12])
				}
			}
		}
		if packets, b, newest := j.kernel.Carried(slot); packets != uint64(seq) || b != bytes || newest[0] != seq {
			t.Errorf("counted %d packets, %d bytes, newest %v; want %d, %d", packets, b, newest, seq, bytes)
		}
		old := frame(client, accelerated, 0, esp(0xc0ffee01, 3, 60))
		if got, _ := j.run(old); got != xdpRedirect {
			t.Errorf("out of order: %d", got)
		}
		if _, _, newest := j.kernel.Carried(slot); newest[0] != seq {
			t.Errorf("the newest is %d, want %d", newest[0], seq)
		}
		none := frame(client, accelerated, 0, esp(0xc0ffee01, 4, 60))
		binary.BigEndian.PutUint16(none[offUDP4+6:], 0)
		if got, out := j.run(none); got != xdpRedirect || binary.BigEndian.Uint16(out[offUDP4+6:]) != 0 {
			t.Errorf("without a checksum: %d, % x", got, out[offUDP4:payload4])
		}
		partial := frame(client, accelerated, 0, esp(0xc0ffee01, 4, 61))
		udp := partial[offUDP4:]
		binary.BigEndian.PutUint16(udp[6:], fold(sum(partial[offSrc4:offUDP4])+protoUDP+uint64(len(udp))))
		if got, out := j.run(partial); got != xdpRedirect || binary.BigEndian.Uint16(out[offUDP4+6:]) != 0 {
			t.Errorf("with a checksum left to the device: %d, % x", got, out[offUDP4:payload4])
		}
		damaged := frame(client, accelerated, 0, esp(0xc0ffee01, 5, 60))
		damaged[payload4+20] ^= 4
		if got, out := j.run(damaged); got != xdpRedirect || Parse(out, new(Packet)) {
			t.Errorf("a damaged packet: %d, or no longer seen to be", got)
		}
	})
}

func TestWhatIsUnusualIsNotForwarded(t *testing.T) {
	routed(t, func(j *judge) {
		slot, err := j.kernel.Forward(toEndpoint())
		j.must(err)
		good := frame(client, accelerated, 0, esp(0xc0ffee01, 1, 100))
		change := func(at int, to ...byte) []byte {
			f := append([]byte(nil), good...)
			copy(f[at:], to)
			return f
		}
		ike := append([]byte{0, 0, 0, 0}, payload(80)...)
		for _, c := range []struct {
			what string
			f    []byte
		}{
			{"another SPI", frame(client, accelerated, 0, esp(0xc0ffee02, 1, 100))}, {"IKE", frame(client, accelerated, 0, ike)},
			{"a keepalive", frame(client, accelerated, 0, []byte{0xff})}, {"too short for ESP", frame(client, accelerated, 0, esp(0xc0ffee01, 1, 11))},
			{"another port", frame(netip.AddrPortFrom(client.Addr(), 40002), accelerated, 0, esp(0xc0ffee01, 1, 100))},
			{"TTL 1", change(offTTL, 1)}, {"TTL 0", change(offTTL, 0)}, {"IP options", change(14, 0x46)}, {"a fragment", change(20, 0x20)},
			{"a length that lies", change(16, 0x40)}, {"a UDP length that lies", change(38, 1)}, {"truncated", good[:60]},
			{"too large for the way out", frame(client, accelerated, 0, esp(0xc0ffee01, 1, 1473))},
		} {
			j.want(c.what, xdpPass, c.f)
		}
		if n, _, _ := j.kernel.Carried(slot); n != 0 {
			t.Errorf("%d were counted", n)
		}
		// Another SA comes to be: both are forwarded.
		next := toEndpoint()
		next.SPI = [2]uint32{0xc0ffee02, 0xc0ffee01}
		j.must(j.kernel.Change(slot, next, [2]uint32{1, 7}))
		for _, spi := range next.SPI {
			if got, _ := j.run(frame(client, accelerated, 0, esp(spi, 8, 100))); got != xdpRedirect {
				t.Errorf("SPI %#x: %d", spi, got)
			}
		}
		if _, _, newest := j.kernel.Carried(slot); newest != [2]uint32{8, 8} {
			t.Errorf("newest %v", newest)
		}
		j.must(j.kernel.Switch(false))
		j.want("off", xdpPass, good)
		j.must(j.kernel.Switch(true))
		if got, _ := j.run(good); got != xdpRedirect {
			t.Errorf("on again: %d", got)
		}
		j.must(j.kernel.devices.Delete(j.outside()))
		j.want("out of a device that is not ours", xdpPass, good)
		j.must(j.kernel.devices.Put(j.outside(), j.outside()))
		forwarded := uint64(3)
		neighbour := func(args ...string) {
			if out, err := exec.Command("ip", append([]string{"neigh"}, args...)...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
		neighbour("replace", "198.51.100.2", "lladdr", "02:00:00:00:00:77", "dev", "near")
		j.await("to a neighbour at another address", good, func(got uint32, out []byte) bool {
			if got != xdpRedirect {
				t.Errorf("while the neighbour changes: %d", got)
			}
			forwarded++
			return out[5] == 0x77
		})
		neighbour("del", "198.51.100.2", "dev", "near")
		j.await("to a neighbour that is not known", good, func(got uint32, _ []byte) bool {
			if got == xdpRedirect {
				forwarded++
			}
			return got == xdpPass
		})
		packets, _, newest, err := j.kernel.Recall(slot, toEndpoint(), true)
		j.must(err)
		if packets != forwarded || newest != [2]uint32{8, 8} {
			t.Errorf("in the end %d packets, newest %v", packets, newest)
		}
		j.want("recalled", xdpPass, good)
		if k := j.kernel.Forwarded(); k != 0 {
			t.Errorf("%d are forwarded still", k)
		}
	})
}

// A packet passes while anything is left of every credit, and takes its payload off each.
func TestForwardingUsesUpCredit(t *testing.T) {
	routed(t, func(j *judge) {
		one, err := j.kernel.OpenCredit()
		j.must(err)
		two, err := j.kernel.OpenCredit()
		j.must(err)
		f := toEndpoint()
		f.Credit = [2]Credit{one, two}
		slot, err := j.kernel.Forward(f)
		j.must(err)
		other := f
		other.From, other.Credit = netip.AddrPortFrom(client.Addr(), 40002), [2]Credit{two}
		_, err = j.kernel.Forward(other)
		j.must(err)
		good, others := frame(client, accelerated, 0, esp(0xc0ffee01, 1, 100)), frame(other.From, accelerated, 0, esp(0xc0ffee01, 1, 300))
		left := func(a, b int64) {
			t.Helper()
			if x, y := j.kernel.Lend(one, 0), j.kernel.Lend(two, 0); x != a || y != b {
				t.Errorf("%d and %d are left, want %d and %d", x, y, a, b)
			}
		}
		sent := func(what string, f []byte, leaves bool) {
			t.Helper()
			if got, _ := j.run(f); (got == xdpRedirect) != leaves {
				t.Errorf("%s: %d", what, got)
			}
		}
		sent("nothing is lent", good, false)
		j.kernel.Lend(one, 250)
		sent("nothing of the second", good, false)
		left(250, 0)
		j.kernel.Lend(two, 1000)
		for i := range 3 {
			sent(fmt.Sprintf("packet %d", i), good, true)
		}
		left(-50, 700)
		sent("the first is used up", good, false)
		sent("another with the second alone", others, true)
		left(-50, 400)
		j.kernel.Lend(one, 51)
		sent("one byte is there", good, true)
		left(-99, 300)
		sent("and no more", good, false)
		j.kernel.Lend(one, 1<<40)
		sent("IKE", frame(client, accelerated, 0, append([]byte{0, 0, 0, 0}, payload(80)...)), false)
		sent("too large for the way out", frame(client, accelerated, 0, esp(0xc0ffee01, 1, 1473)), false)
		left(1<<40-99, 300)
		if packets, bytes, _ := j.kernel.Carried(slot); packets != 4 || bytes != 400 {
			t.Errorf("counted %d packets, %d bytes", packets, bytes)
		}
		if x := j.kernel.CloseCredit(two); x != 300 {
			t.Errorf("%d were left in the end", x)
		}
		if again, err := j.kernel.OpenCredit(); err != nil || again != two || j.kernel.Lend(again, 0) != 0 {
			t.Errorf("the next is %d (%v)", again, err)
		}
	})
}

func TestSealedDatagramsAreForwarded(t *testing.T) {
	routed(t, func(j *judge) {
		j.open(accelerated, Between)
		f := toEndpoint()
		f.SPI, f.Sealed = [2]uint32{}, true
		sealed := func(kind byte, n int) []byte { return append([]byte{kind}, payload(n-1)...) }
		j.want("not told yet", xdpDrop, frame(client, accelerated, 0, sealed(4, 100)))
		if got, want := j.tallies(), fmt.Sprintf("%v %d: 1/100 ", accelerated, Stranger); got != want {
			t.Errorf("counted %q, want %q", got, want)
		}
		j.must(j.kernel.Know(client, accelerated, true))
		j.want("known", xdpPass, frame(client, accelerated, 0, sealed(4, 100)))
		slot, err := j.kernel.Forward(f)
		j.must(err)
		packets, bytes := uint64(0), uint64(0)
		for kind := range 256 {
			for _, n := range []int{1, 31, 32, 33, 148, 1472} {
				data := sealed(byte(kind), n)
				in := frame(client, accelerated, 0, data)
				if !IsSealed(data) {
					j.want(fmt.Sprintf("type %d, %d bytes", kind, n), xdpPass, in)
					continue
				}
				packets, bytes = packets+1, bytes+uint64(n)
				var p Packet
				if got, out := j.run(in); got != xdpRedirect || !Parse(out, &p) || p.From != egress || p.To != endpoint || string(p.Data) != string(data) {
					t.Errorf("type %d, %d bytes: %d, %v → %v", kind, n, got, p.From, p.To)
				}
			}
		}
		if packets != 4*4 {
			t.Errorf("%d were forwarded", packets)
		}
		if p, b, newest := j.kernel.Carried(slot); p != packets || b != bytes || newest != [2]uint32{} {
			t.Errorf("counted %d packets, %d bytes, newest %v; want %d, %d", p, b, newest, packets, bytes)
		}
		j.want("another's", xdpDrop, frame(netip.AddrPortFrom(client.Addr(), 40002), accelerated, 0, sealed(4, 100)))
		j.want("too large for the way out", xdpPass, frame(client, accelerated, 0, sealed(4, 1473)))
	})
}

// await runs the program until what comes of it is right, as it must be soon: the
// kernel is asked for the way only so often.
func (j *judge) await(what string, in []byte, right func(got uint32, out []byte) bool) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if got, out := j.run(in); right(got, out) {
			return
		}
		if time.Now().After(end) {
			j.t.Errorf("%s: not noticed after a long time", what)
			return
		}
	}
}

func (j *judge) outside() uint32 {
	dev, err := net.InterfaceByName("near")
	j.must(err)
	return uint32(dev.Index)
}

func TestWhatIPv6HasIsNotForwarded(t *testing.T) {
	j := newJudge(t)
	if _, err := j.kernel.Forward(Forwarding{From: v6a, To: v6b, As: egress, Next: endpoint}); err == nil {
		t.Error("forwarded")
	}
}

func BenchmarkProgram(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root, to load a program")
	}
	k, err := New(1)
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	socks, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer socks.Close()
	prog, err := k.program(socks.FD())
	if err != nil {
		b.Fatal(err)
	}
	defer prog.Close()
	if err := k.OpenDoor(v4b); err != nil {
		b.Fatal(err)
	}
	if err := k.Judge(v4b, Listener, prefixes("192.0.2.0/24"), nil); err != nil {
		b.Fatal(err)
	}
	run := func(name string, f []byte) {
		b.Run(name, func(b *testing.B) {
			_, took, err := prog.Benchmark(f, 100_000, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took.Nanoseconds()), "ns/packet")
		})
	}
	run("not allowed", frame(v4a, v4b, 0, payload(60)))
	run("flood", frame(netip.MustParseAddrPort("192.0.2.9:4500"), v4b, 0, payload(60)))
	run("another port", frame(v4a, netip.AddrPortFrom(v4b.Addr(), 9), 0, payload(60)))
}
