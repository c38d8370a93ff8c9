// Package repairspeed measures what loss repair costs the processor: two real endpoints
// of segment/repair over wires in memory that lose at random, in virtual time, at rates of
// up to gigabits a second. It is what `causeway bench repair --speed` runs; what repair
// achieves, and at which price in packets, is bench's to say.
package repairspeed

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/mono"
)

// Case is what is sent over what.
type Case struct {
	Rate float64       `json:"rate_pps"`
	RTT  time.Duration `json:"rtt_ns"`
	Loss float64       `json:"loss"`
	Size int           `json:"size"`
}

// Cases are the standing ones. The last rate is 2 Gbit/s.
func Cases() (list []Case) {
	for _, rtt := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond} {
		for _, rate := range []float64{10_000, 50_000, 178_571} {
			list = append(list, Case{rate, rtt, 0.2, 1400})
		}
	}
	return append(list, Case{178_571, 100 * time.Millisecond, 0, 1400}, Case{178_571, 100 * time.Millisecond, 0.01, 1400})
}

// Cost is what a case came to. Times are of the processor, in nanoseconds per packet
// given to repair; medians of the rounds.
type Cost struct {
	Case
	Name     string  `json:"name"`
	Packets  int     `json:"packets"`
	Lost     int     `json:"lost"`             // not there by the deadline
	Overhead float64 `json:"overhead_packets"` // datagrams of both ways per packet
	Send     float64 `json:"send_ns"`
	Receive  float64 `json:"receive_ns"`
	Seal     float64 `json:"seal_ns"` // of what is sent of a packet: AES-GCM, with our own header
	Open     float64 `json:"open_ns"` // of what comes of it
	Copy     float64 `json:"copy_ns"` // of one packet's bytes in memory
	Allocs   float64 `json:"allocations"`

	SendGbit    float64 `json:"send_gbit"` // that a core could send, sealing included
	ReceiveGbit float64 `json:"receive_gbit"`
	SendRatio   float64 `json:"send_ratio_to_seal"` // repair's share to that of sealing the packet once
	RecvRatio   float64 `json:"receive_ratio_to_seal"`
}

// cpu is the processor's time that this thread has had: what others on the machine
// take is not in it.
func cpu() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail on Linux
	return time.Duration(t.Nano())
}

// slice is how much virtual time each end runs before it is the other's turn. No
// datagram is under way for less.
const slice = time.Millisecond

// end is one endpoint with what it is sent.
type end struct {
	*repair.Endpoint
	now   mono.Time
	out   *wire
	in    *wire
	took  time.Duration
	again func(m repair.Mode, symbol []byte)
}

// wire is one direction: datagrams in the order in which they were sent, all alike long
// under way.
type wire struct {
	from    *end
	delay   time.Duration
	loss    float64
	random  *rand.Rand
	queue   []datagram // from head on
	head    int
	free    [][]byte
	packets int
	bytes   int
	buf     []byte
}

type datagram struct {
	at   mono.Time
	data []byte
}

// Transmit takes a datagram of the wire's sender. A copy is made of lost ones as well, as
// who seals does not know which will be lost.
func (w *wire) Transmit(_ uint8, b []byte) uint64 {
	w.packets++
	w.bytes += len(b)
	if w.loss > 0 && w.random.Float64() < w.loss {
		copy(w.buf, b)
		return 0
	}
	var c []byte
	if n := len(w.free); n > 0 {
		c, w.free = w.free[n-1], w.free[:n-1]
	} else {
		c = make([]byte, 0, 2048)
	}
	w.queue = append(w.queue, datagram{w.from.now.Add(w.delay), append(c, b...)})
	return 0
}

// run lets the end live until t, taking in what comes until then.
func (e *end) run(t mono.Time, send func() (at mono.Time, symbol []byte)) {
	begun := cpu()
	at, symbol := send()
	for {
		next, what := t, 0
		if due := e.NextDue(); due != 0 && due < next {
			next, what = max(due, e.now), 1
		}
		if e.in.head < len(e.in.queue) && e.in.queue[e.in.head].at < next {
			next, what = e.in.queue[e.in.head].at, 2
		}
		if symbol != nil && at <= next {
			next, what = at, 3
		}
		e.now = max(e.now, next)
		switch what {
		case 0:
			e.took += cpu() - begun
			return
		case 1:
			e.Tick(e.now, e.again, e.out)
			if due := e.NextDue(); due != 0 && due <= e.now {
				e.now++ // an end that is never content must not stop time
			}
		case 2:
			d := &e.in.queue[e.in.head]
			e.Receive(e.now, 0, 0, d.data, e.again, e.out)
			e.in.free = append(e.in.free, d.data[:0])
			e.in.head++
		case 3:
			e.Send(e.now, repair.Balanced, repair.Bulk, symbol, e.out)
			at, symbol = send()
		}
	}
}

// tidy moves what is still under way to the front of the queue.
func (w *wire) tidy() {
	w.queue = w.queue[:copy(w.queue, w.queue[w.head:])]
	w.head = 0
}

// Run measures a case, in so many rounds of a second of virtual time each after one
// that does not count. The weather of a seed is always the same.
func Run(c Case, rounds int, seed uint64) (*Cost, error) {
	if !(c.Rate > 0 && c.Rate <= 1e6) || c.RTT < 4*slice || !(c.Loss >= 0 && c.Loss < 1) || c.Size < 32 || c.Size > 1400 || rounds < 1 {
		return nil, fmt.Errorf("case %+v in %d rounds: want up to 1000000 packets a second of 32 to 1400 bytes, a round trip of at least %v, a loss below 1, a round or more", c, rounds, 4*slice)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	budget := c.RTT + 50*time.Millisecond
	start := mono.Time(time.Hour)
	random := rand.New(rand.NewPCG(seed, 1))
	var ends [2]*end
	for i := range ends {
		e, err := repair.New(repair.Config{PeerRepairs: true, RTT: c.RTT, Budget: budget})
		if err != nil {
			return nil, err
		}
		e.SetWires(start, []repair.Wire{{Up: true, RTT: c.RTT, MTU: 1440}})
		ends[i] = &end{Endpoint: e, now: start}
	}
	a, b := ends[0], ends[1]
	a.out = &wire{from: a, delay: c.RTT / 2, loss: c.Loss, random: random, buf: make([]byte, 2048)}
	b.out = &wire{from: b, delay: c.RTT / 2, random: random, buf: make([]byte, 2048)}
	a.in, b.in = b.out, a.out

	gap := float64(time.Second) / c.Rate
	sentAt := func(i int) mono.Time { return start.Add(time.Duration(float64(i) * gap)) }
	var came []bool // in time, by number
	a.again = func(repair.Mode, []byte) {}
	b.again = func(_ repair.Mode, symbol []byte) {
		if i := int(binary.BigEndian.Uint64(symbol)); i < len(came) {
			came[i] = came[i] || b.now <= sentAt(i).Add(c.RTT/2+budget)
		}
	}
	sent := 0
	symbol := make([]byte, c.Size)
	for i := range symbol {
		symbol[i] = byte(i * 7)
	}
	now := start
	var stop mono.Time // nothing is sent from then on
	step := func() {
		now = now.Add(slice)
		a.run(now, func() (mono.Time, []byte) {
			at := sentAt(sent)
			if at >= now || at >= stop {
				return 0, nil
			}
			binary.BigEndian.PutUint64(symbol, uint64(sent))
			came = append(came, false)
			sent++
			return at, symbol
		})
		b.run(now, func() (mono.Time, []byte) { return 0, nil })
		a.in.tidy()
		b.in.tidy()
	}
	cost := &Cost{Case: c, Name: fmt.Sprintf("%.0f/s, RTT %v, %g %% lost", c.Rate, c.RTT, 100*c.Loss)}
	var sends, receives, seals, opens, copies []float64
	var before, after runtime.MemStats
	stop = start.Add(time.Duration(rounds+1) * time.Second)
	packets, warm := 0, 0
	for r := range rounds + 1 {
		runtime.GC()
		runtime.ReadMemStats(&before)
		from, backs := sent, a.in.packets
		forth := b.in.packets
		a.took, b.took = 0, 0
		for end := now.Add(time.Second); now < end; {
			step()
		}
		runtime.ReadMemStats(&after)
		if r == 0 {
			warm = sent
			continue // rings grow, nothing is known yet
		}
		n := float64(sent - from)
		forth, backs = b.in.packets-forth, a.in.packets-backs
		packets += forth + backs
		sends = append(sends, float64(a.took)/n)
		receives = append(receives, float64(b.took)/n)
		cost.Allocs += float64(after.Mallocs-before.Mallocs) / n / float64(rounds)
		seal, open, one := sealing(c.Size)
		seals = append(seals, seal*float64(forth)/n)
		opens = append(opens, open*float64(forth)*(1-c.Loss)/n)
		copies = append(copies, one)
	}
	for end := now.Add(budget + c.RTT); now < end; {
		step()
	}
	for i := warm; i < sent; i++ {
		if !came[i] {
			cost.Lost++
		}
	}
	cost.Packets = sent - warm
	cost.Overhead = float64(packets) / float64(cost.Packets)
	cost.Send, cost.Receive = median(sends), median(receives)
	cost.Seal, cost.Open, cost.Copy = median(seals), median(opens), median(copies)
	bits := 8 * float64(c.Size)
	cost.SendGbit, cost.ReceiveGbit = bits/(cost.Send+cost.Seal), bits/(cost.Receive+cost.Open)
	one := cost.Seal / (float64(packets) / float64(cost.Packets))
	cost.SendRatio, cost.RecvRatio = cost.Send/one, cost.Receive/one
	return cost, nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// sealing returns what it takes to seal and open one packet of that size, and to copy it,
// in nanoseconds: of many, so that they come from memory as packets do.
func sealing(size int) (sealed, opened, copied float64) {
	const many = 2000
	buf := make([][]byte, many)
	out := make([][]byte, many)
	plain := make([]byte, size)
	for i := range buf {
		buf[i] = make([]byte, size+seal.Overhead)
	}
	var key [32]byte
	s, o := seal.NewSealer(key, 1), seal.NewOpener(key)
	begun := cpu()
	for i := range buf {
		out[i], _, _ = s.SealFrom(buf[i], plain, 0)
	}
	sealed = float64(cpu() - begun)
	begun = cpu()
	for i := range out {
		_, _, _, _ = o.Open(out[i])
	}
	opened = float64(cpu() - begun)
	begun = cpu()
	for i := range buf {
		copy(plain, buf[i])
	}
	copied = float64(cpu() - begun)
	return sealed / many, opened / many, copied / many
}
