package udpio

import (
	"errors"
	"net"
	"sort"
	"testing"
	"time"
)

// bothPollers runs a test with epoll_pwait2 and with what replaces it on older kernels.
func bothPollers(t *testing.T, f func(t *testing.T, p *Poller)) {
	for _, name := range []string{"as the kernel has it", "with a timer"} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPoller()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if name == "with a timer" && p.timer < 0 {
				if err := p.useTimer(); err != nil {
					t.Fatal(err)
				}
			}
			f(t, p)
		})
	}
}

func TestPollerTellsWhichSocketsHaveSomething(t *testing.T) {
	bothPollers(t, func(t *testing.T, p *Poller) {
		const largest = timerToken - 1
		a, b, c := listen(t, loopback4, Options{}), listen(t, loopback6, Options{}), listen(t, loopback4, Options{})
		for token, conn := range map[uint64]*Conn{7: a, largest: b, 1 << 40: c} {
			if err := p.Add(conn, token); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Add(a, timerToken); err == nil {
			t.Error("a reserved token was accepted")
		}
		ready := make([]uint64, 8)
		if n, err := p.Wait(0, ready); n != 0 || err != nil {
			t.Fatalf("%d ready, %v; want none", n, err)
		}
		a.Queue([]byte("x"), a.LocalAddr(), 0)
		a.Flush()
		b.Queue([]byte("x"), b.LocalAddr(), 0)
		b.Flush()
		for _, timeout := range []time.Duration{-1, time.Second, 0} { // unread, so told again
			n, err := p.Wait(timeout, ready)
			sort.Slice(ready[:n], func(i, j int) bool { return ready[i] < ready[j] })
			if err != nil || n != 2 || ready[0] != 7 || ready[1] != largest {
				t.Fatalf("ready %v, %v; want 7 and %d", ready[:n], err, uint64(largest))
			}
		}
		seen := map[uint64]bool{}
		for range 8 { // room for one at a time: both get their turn
			if n, _ := p.Wait(0, ready[:1]); n == 1 {
				seen[ready[0]] = true
			}
		}
		if !seen[7] || !seen[largest] {
			t.Errorf("with room for one only %v were told", seen)
		}
		if err := p.Remove(a); err != nil {
			t.Fatal(err)
		}
		if n, _ := p.Wait(0, ready); n != 1 || ready[0] != largest {
			t.Errorf("ready %v after Remove, want %d", ready[:n], uint64(largest))
		}
		if err := p.Remove(a); err == nil {
			t.Error("removing twice was accepted")
		}
	})
}

func TestPollerWakes(t *testing.T) {
	bothPollers(t, func(t *testing.T, p *Poller) {
		for range 100 {
			done := make(chan struct{})
			go func() { // twice, to meet Wait at all points
				p.Wake()
				p.Wake()
				close(done)
			}()
			if n, err := p.Wait(-1, nil); n != 0 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			<-done
			if _, err := p.Wait(0, nil); err != nil { // take in a second ring, if there was one
				t.Fatal(err)
			}
		}
		p.Wake()
		if _, err := p.Wait(-1, nil); err != nil { // a Wake before Wait counts
			t.Fatal(err)
		}
	})
}

func TestPollerTimesOut(t *testing.T) {
	bothPollers(t, func(t *testing.T, p *Poller) {
		for _, timeout := range []time.Duration{1, 300 * time.Microsecond, 2500 * time.Microsecond} {
			start := time.Now()
			for time.Since(start) < timeout { // it may return early
				if n, err := p.Wait(timeout-time.Since(start)+1, nil); n != 0 || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}
		}
	})
}

func TestPollerClosed(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.Wake()
	if _, err := p.Wait(0, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Wait: %v", err)
	}
	if err := p.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
}

func TestPollerAllocatesNothing(t *testing.T) {
	bothPollers(t, func(t *testing.T, p *Poller) {
		ready := make([]uint64, 16)
		for _, timeout := range []time.Duration{0, time.Microsecond} {
			if n := testing.AllocsPerRun(50, func() {
				p.Wake()
				_, _ = p.Wait(timeout, ready)
			}); n != 0 {
				t.Errorf("%v allocations a Wait", n)
			}
		}
	})
}

func TestASocketOnAnEdgeIsToldOfOnceUntilMoreComes(t *testing.T) {
	bothPollers(t, func(t *testing.T, p *Poller) {
		from, to := listen(t, loopback4, Options{}), listen(t, loopback4, Options{})
		send := func(n int) {
			for range n {
				from.Queue([]byte("x"), to.LocalAddr(), 0)
				from.Flush()
			}
		}
		send(1) // what is there already is told, too
		if err := p.AddEdge(to, 5); err != nil {
			t.Fatal(err)
		}
		ready := make([]uint64, 4)
		for _, round := range []int{1, 3, 1} {
			if n, err := p.Wait(-1, ready); n != 1 || ready[0] != 5 || err != nil {
				t.Fatalf("ready %v, %v; want 5", ready[:n], err)
			}
			if n, err := p.Wait(0, ready); n != 0 || err != nil {
				t.Fatalf("told again of %v, %v", ready[:n], err)
			}
			b := NewBatch(8)
			if n, err := to.Read(b); n != round || b.More || err != nil {
				t.Fatalf("read %d, more %v, %v; want %d and no more", n, b.More, err, round)
			}
			if round > 1 {
				send(1)
				continue
			}
			send(3)
		}
	})
}
