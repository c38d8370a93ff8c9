package xdp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/dataplane/udpio"
)

// inNamespace runs f in a network namespace with a cable, of which packets go in at
// "outside" and arrive at "inside"; it goes when its thread does.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("make a network namespace: %v", err)
			return
		}
		for _, c := range [][]string{
			{"ip", "link", "set", "lo", "up"},
			{"ip", "link", "add", "outside", "type", "veth", "peer", "name", "inside"},
			{"ip", "addr", "add", "198.18.0.2/24", "dev", "inside"},
			{"ip", "addr", "add", "fd00::2/64", "dev", "inside", "nodad"},
			{"ip", "link", "set", "outside", "up"},
			{"ip", "link", "set", "inside", "up"},
			{"ip", "route", "add", "10.0.0.0/8", "dev", "inside"},
		} {
			if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", c, err, out)
				return
			}
		}
		if carrier() {
			f()
		} else {
			t.Error("the cable is not up after 20 s")
		}
	}()
	<-done
}

// carrier waits until both ends of the cable are up, which the kernel does in its own time.
func carrier() bool {
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		up := 0
		for _, name := range []string{"outside", "inside"} {
			if dev, err := net.InterfaceByName(name); err == nil && dev.Flags&net.FlagRunning != 0 {
				up++
			}
		}
		if up == 2 {
			return true
		}
	}
	return false
}

// sender puts frames on the cable as they are.
type sender struct {
	fd       int
	index    int
	from, to net.HardwareAddr
}

func newSender(t *testing.T) *sender {
	outside, err := net.InterfaceByName("outside")
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	inside, err := net.InterfaceByName("inside")
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &sender{fd, outside.Index, outside.HardwareAddr, inside.HardwareAddr}
}

func (s *sender) send(t *testing.T, f []byte) {
	f = slices.Clone(f)
	copy(f, s.to)
	copy(f[6:], s.from)
	if err := unix.Sendto(s.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: s.index, Halen: 6}); err != nil {
		t.Errorf("send: %v", err)
	}
}

var lastOne = []byte("the last one")

// capture is what a client's line carries: good packets and bad ones.
func capture() (list [][]byte) {
	for i, n := range []int{1, 40, 300, 1000, 1400, 1472} {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 4500)
		list = append(list, frame(from, v4b, uint8(i), payload(n)))
		list = append(list, frame(v6a, v6b, uint8(i)<<2, payload(min(n, 1400))))
	}
	damaged := func(at int) {
		f := frame(v4a, v4b, 0, payload(200))
		f[at] ^= 4
		list = append(list, f)
	}
	damaged(ethLen + 8)   // IP header: its checksum
	damaged(ethLen + 100) // payload
	short := frame(v4a, v4b, 0, payload(200))
	list = append(list, short[:len(short)-10])
	noSum := frame(v4a, v4b, 0, payload(60))
	binary.BigEndian.PutUint16(noSum[ethLen+ip4Len+6:], 0)
	list = append(list, noSum)
	padded := append(frame(v4a, v4b, 0, payload(3)), make([]byte, 20)...)
	list = append(list, padded)
	loopback := frame(netip.MustParseAddrPort("127.0.0.9:4500"), v4b, 0, payload(60))
	return append(list, loopback, frame(v6a, v6b, 0, lastOne), frame(v4a, v4b, 0, lastOne))
}

// arrived is one received datagram as text, to compare.
func arrived(m *udpio.Message, to netip.AddrPort) string {
	return fmt.Sprintf("%v → %v TOS %#x, %d bytes %x", m.From, to, m.TOS, len(m.Data), sha256.Sum256(m.Data))
}

// bySockets receives until each socket has the last packet of the capture.
func bySockets(t *testing.T, conns []*udpio.Conn) (list []string) {
	b := udpio.NewBatch(32)
	last := 0
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		for _, c := range conns {
			n, _ := c.Read(b)
			for i := range b.Messages[:n] {
				list = append(list, arrived(&b.Messages[i], c.LocalAddr()))
				if bytes.Equal(b.Messages[i].Data, lastOne) {
					if last++; last == len(conns) {
						return list
					}
				}
			}
		}
	}
	t.Error("the last packet did not arrive over sockets")
	return list
}

func byXDP(t *testing.T, p *Port) (list []string) {
	var b Batch
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		for q := range p.Queues() {
			p.Read(q, 0, &b)
			for i := range b.Messages {
				list = append(list, arrived(&b.Messages[i], b.To[i]))
			}
		}
		p.Release(0)
		if len(list) > 0 && strings.Contains(list[len(list)-1], fmt.Sprintf("%x", sha256.Sum256(lastOne))) && strings.HasPrefix(list[len(list)-1], v4a.String()) {
			return list
		}
	}
	t.Error("the last packet did not arrive over XDP")
	return list
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func openPort(t *testing.T) *Port {
	k, err := New(1)
	if err != nil {
		t.Errorf("make the maps: %v", err)
		runtime.Goexit()
	}
	t.Cleanup(func() { k.Close() })
	p, err := k.Open("inside")
	if err != nil {
		t.Errorf("open: %v", err)
		runtime.Goexit()
	}
	return p
}

func TestBothWaysReceiveTheSame(t *testing.T) {
	inNamespace(t, func() {
		var conns []*udpio.Conn
		for _, a := range []netip.AddrPort{v4b, v6b} {
			c, err := udpio.Listen(a, udpio.Options{MayFragment: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			conns = append(conns, c)
		}
		s := newSender(t)
		for _, f := range capture() {
			s.send(t, f)
		}
		want := sorted(bySockets(t, conns))

		p := openPort(t)
		defer p.Close()
		t.Logf("native %v, zero copy %v, %d queues", p.Native(), p.ZeroCopy(), p.Queues())
		for _, a := range []netip.AddrPort{v4b, v6b} {
			if err := p.kernel.OpenDoor(a); err != nil {
				t.Error(err)
			}
		}
		for _, f := range capture() {
			s.send(t, f)
		}
		got := sorted(byXDP(t, p))
		if !slices.Equal(got, want) {
			t.Errorf("over XDP:\n%s\nover sockets:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if c := p.Counters(0); c.Packets != uint64(len(want)) || c.Refused != uint64(len(capture())-len(want)) || c.Dropped != 0 {
			t.Errorf("counters %+v; %d of %d are to be taken", c, len(want), len(capture()))
		}
	})
}

func TestWhatIsNotOursGoesToTheKernel(t *testing.T) {
	inNamespace(t, func() {
		other := netip.AddrPortFrom(v4b.Addr(), 7777)
		c, err := udpio.Listen(other, udpio.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		p := openPort(t)
		defer p.Close()
		if err := p.kernel.OpenDoor(v4b); err != nil {
			t.Error(err)
		}
		s := newSender(t)
		s.send(t, frame(v4a, other, 0, lastOne))
		if got := bySockets(t, []*udpio.Conn{c}); len(got) != 1 {
			t.Errorf("the other port got %v", got)
		}
		if c := p.Counters(0); c != (Counters{}) {
			t.Errorf("counters %+v", c)
		}
	})
}

func TestNothingIsLostWhenDoorsOpenAndShut(t *testing.T) {
	inNamespace(t, func() {
		c, err := udpio.Listen(v4b, udpio.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		p := openPort(t)
		defer p.Close()
		s := newSender(t)
		const packets = 600
		seen := map[uint32]int{}
		ways := [2]int{}
		batch := udpio.NewBatch(64)
		var b Batch
		read := func() {
			n, _ := c.Read(batch)
			for _, m := range batch.Messages[:n] {
				seen[binary.BigEndian.Uint32(m.Data)]++
			}
			ways[0] += n
			for q := range p.Queues() {
				p.Read(q, 0, &b)
				for _, m := range b.Messages {
					seen[binary.BigEndian.Uint32(m.Data)]++
				}
				ways[1] += len(b.Messages)
			}
			p.Release(0)
		}
		for i := range packets {
			if i%50 == 25 {
				if err := p.kernel.OpenDoor(v4b); err != nil {
					t.Error(err)
				}
			}
			if i%50 == 0 {
				if err := p.kernel.ShutDoor(v4b); err != nil {
					t.Error(err)
				}
			}
			s.send(t, frame(v4a, v4b, 0, binary.BigEndian.AppendUint32(nil, uint32(i))))
			read()
		}
		for until := time.Now().Add(20 * time.Second); len(seen) < packets && time.Now().Before(until); {
			read()
		}
		for i := range uint32(packets) {
			if seen[i] != 1 {
				t.Errorf("packet %d was seen %d times", i, seen[i])
			}
		}
		if ways[0] == 0 || ways[1] == 0 {
			t.Errorf("packets by sockets and XDP: %v", ways)
		}
	})
}

func TestADeviceThatIsNotThereIsNamed(t *testing.T) {
	if _, err := new(Kernel).Open("nosuch0"); err == nil {
		t.Error("opened")
	}
}
