package udpio

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// sharers opens n sockets with one address.
func sharers(t *testing.T, ip string, n int) (list []*Conn) {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr(ip), 0)
	for i := range n {
		c, err := Listen(addr, Options{ReusePort: i > 0})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if i == 0 {
			if err := c.Share(); err != nil {
				t.Fatal(err)
			}
			addr = c.LocalAddr()
		}
		list = append(list, c)
	}
	return list
}

// receiver waits until one of the sockets has a datagram, and tells which.
func receiver(t *testing.T, list []*Conn) int {
	t.Helper()
	b := NewBatch(4)
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		for i, c := range list {
			if n, _ := c.Read(b); n > 0 {
				return i
			}
		}
	}
	t.Fatal("nothing arrived in 10 s")
	return -1
}

func TestAByteSteersToTheSocketThatItNames(t *testing.T) {
	list := sharers(t, "127.0.0.1", 3)
	if err := list[2].SteerByByte(1); err != nil {
		t.Fatal(err)
	}
	from, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for want := range list {
		from.Queue([]byte{9, byte(want), 7}, list[0].LocalAddr(), 0)
		from.Flush()
		if got := receiver(t, list); got != want {
			t.Errorf("byte %d reached socket %d", want, got)
		}
	}
	from.Queue([]byte{9, 200, 7}, list[0].LocalAddr(), 0) // names none: reaches one of them
	from.Flush()
	receiver(t, list)
}

func TestSourcesAreSpreadAsSourceOfSays(t *testing.T) {
	for name, network := range map[string]struct {
		to      string
		sources []string
	}{
		"IPv4": {"127.0.0.1", []string{"127.0.0.1", "127.0.0.2", "127.0.3.4", "127.9.8.7", "127.200.1.1", "127.1.1.77"}},
		"IPv6": {"::1", []string{"::1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= 4; n++ {
				list := sharers(t, network.to, n)
				if err := list[0].SteerBySource(n); n > 1 && err != nil {
					t.Fatal(err)
				}
				for _, source := range network.sources {
					a := netip.MustParseAddr(source)
					from, err := Listen(netip.AddrPortFrom(a, 0), Options{})
					if err != nil {
						t.Fatal(err)
					}
					from.Queue([]byte("x"), list[0].LocalAddr(), 0)
					from.Flush()
					if got, want := receiver(t, list), SourceOf(a, n); got != want {
						t.Errorf("%s with %d sockets reached %d, want %d", source, n, got, want)
					}
					from.Close()
				}
			}
		})
	}
}

func TestAnAddressInUseIsNoticedAlthoughItIsShared(t *testing.T) {
	list := sharers(t, "127.0.0.1", 2)
	if c, err := Listen(list[0].LocalAddr(), Options{}); err == nil {
		c.Close()
		t.Error("a socket without ReusePort got a shared address")
	}
	if err := errors.Join(list[1].Close(), list[0].Close()); err != nil {
		t.Fatal(err)
	}
}

func TestSourcesSpreadEvenly(t *testing.T) {
	for _, n := range []int{2, 3, 4, 8} {
		counts := make([]int, n)
		for i := range 4096 { // neighbours, as in one customer's network
			counts[SourceOf(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), n)]++
		}
		for i, c := range counts {
			if c < 4096/n*8/10 || c > 4096/n*12/10 {
				t.Errorf("socket %d of %d gets %d of 4,096", i, n, c)
			}
		}
	}
}
