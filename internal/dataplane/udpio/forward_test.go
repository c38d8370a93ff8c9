package udpio

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// line is a forwarder between a source and some sinks, all on loopback.
type line struct {
	source, forwarder *Conn
	sinks             []*Conn
	batch             *Batch
	sinkBatch         *Batch
	data              [][]byte
}

func newLine(t testing.TB, addr netip.AddrPort, packets, size, sinks int, o Options) *line {
	l := &line{
		source:    listen(t, addr, Options{NoGSO: o.NoGRO}),
		forwarder: listen(t, addr, o),
		batch:     NewBatch(64),
		sinkBatch: NewBatch(64),
	}
	for range sinks {
		l.sinks = append(l.sinks, listen(t, addr, Options{}))
	}
	for i := range packets {
		l.data = append(l.data, payload(size, uint64(i)))
	}
	return l
}

// feed sends one datagram for each sink in turn to the forwarder.
func (l *line) feed() {
	for _, data := range l.data {
		l.source.Queue(data, l.forwarder.LocalAddr(), 1)
	}
	l.source.Flush()
}

// forward passes on what the forwarder has, to the sinks in turn.
func (l *line) forward() (n int, err error) {
	for got := 1; got > 0; n += got {
		if got, err = l.forwarder.Read(l.batch); err != nil {
			return n, err
		}
		for i, m := range l.batch.Messages {
			l.forwarder.Queue(m.Data, l.sinks[(n+i)%len(l.sinks)].LocalAddr(), m.TOS)
		}
		l.forwarder.Flush()
	}
	return n, nil
}

// drain takes out what the sinks got.
func (l *line) drain() (n int) {
	for _, sink := range l.sinks {
		for got := 1; got > 0; n += got {
			got, _ = sink.Read(l.sinkBatch)
		}
	}
	return n
}

func TestForwardingAllocatesNothing(t *testing.T) {
	for _, addr := range []netip.AddrPort{loopback4, loopback6} {
		for _, o := range []Options{{}, {NoGSO: true, NoGRO: true}} {
			l := newLine(t, addr, 200, 256, 8, o)
			round := func() {
				l.feed()
				if n, err := l.forward(); err != nil || n != len(l.data) {
					t.Fatalf("%d forwarded, %v; want %d", n, err, len(l.data))
				}
				if n := l.drain(); n != len(l.data) {
					t.Fatalf("%d arrived, want %d", n, len(l.data))
				}
			}
			round() // the first makes the room
			if n := testing.AllocsPerRun(20, round); n != 0 {
				t.Errorf("%v %+v: %v allocations for 200 datagrams", addr, o, n)
			}
		}
	}
}

// BenchmarkForward measures the forwarder's own calls; sending over loopback
// includes the kernel's receiving side of the sinks.
func BenchmarkForward(b *testing.B) {
	for _, v := range []struct {
		name  string
		o     Options
		sinks int
	}{
		{"joined/1 sink", Options{}, 1},
		{"joined/64 sinks", Options{}, 64},
		{"single/1 sink", Options{NoGRO: true, NoGSO: true}, 1},
	} {
		for _, size := range []int{64, 256, 1400} {
			b.Run(fmt.Sprintf("%s/%dB", v.name, size), func(b *testing.B) {
				l := newLine(b, loopback4, 256, size, v.sinks, v.o)
				packets := 0
				var spent time.Duration
				for b.Loop() {
					l.feed()
					start := time.Now()
					n, err := l.forward()
					spent += time.Since(start)
					if err != nil {
						b.Fatal(err)
					}
					packets += n
					l.drain()
				}
				b.ReportMetric(float64(spent.Nanoseconds())/float64(packets), "ns/packet")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkQueue measures grouping alone: 256 datagrams over so many destinations.
func BenchmarkQueue(b *testing.B) {
	for _, flows := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d flows", flows), func(b *testing.B) {
			var q queue
			var room SendRoom
			var to []netip.AddrPort
			for i := range flows {
				to = append(to, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), 4500))
			}
			data := make([]byte, 256)
			for b.Loop() {
				for i := range queueSize {
					q.take(&room)
					q.add(data, to[i%flows], 0, true)
				}
				w, _ := room.waves()
				w.reset()
				for g := range q.groups {
					q.write(w, g)
				}
				q.clear()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*queueSize), "ns/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}
