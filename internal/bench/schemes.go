package bench

import (
	"encoding/binary"
	"time"

	"github.com/klauspost/reedsolomon"

	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/mono"
)

// real is the real code as an end.
type real struct {
	*repair.Endpoint
	mode  repair.Mode
	class repair.Class
	give  func(symbol []byte)
	take  repair.Deliver
}

func newReal(cfg repair.Config, mode repair.Mode, class repair.Class, wires int, rtt time.Duration) (*real, error) {
	e, err := repair.New(cfg)
	if err != nil {
		return nil, err
	}
	list := make([]repair.Wire, wires)
	for i := range list {
		list[i] = repair.Wire{ID: uint8(i), Up: true, RTT: rtt, MTU: 1500 - sealed}
	}
	e.SetWires(mono.Time(time.Hour), list)
	r := &real{Endpoint: e, mode: mode, class: class}
	r.take = func(_ repair.Mode, symbol []byte) { r.give(symbol) }
	return r, nil
}

func (r *real) Send(now mono.Time, symbol []byte, out outlet) {
	r.Endpoint.Send(now, r.mode, r.class, symbol, out)
}

func (r *real) Receive(now mono.Time, wire uint8, pn uint64, payload []byte, deliver func([]byte), out outlet) {
	r.give = deliver
	r.Endpoint.Receive(now, wire, pn, payload, r.take, out)
}

func (r *real) Tick(now mono.Time, deliver func([]byte), out outlet) {
	r.give = deliver
	r.Endpoint.Tick(now, r.take, out)
}

// copies sends each symbol n times, in turn over the wires, and passes on the first
// of each that arrives. n = 1 is doing nothing.
type copies struct {
	n     int
	wires int
	turn  int
	next  uint64
	seen  map[uint64]struct{}
	old   uint64
	buf   []byte
}

func newCopies(n, wires int) *copies {
	return &copies{n: n, wires: wires, seen: map[uint64]struct{}{}}
}

func (c *copies) Send(now mono.Time, symbol []byte, out outlet) {
	c.buf = append(binary.BigEndian.AppendUint64(c.buf[:0], c.next), symbol...)
	c.next++
	for range c.n {
		out.Transmit(uint8(c.turn%c.wires), c.buf)
		c.turn++
	}
}

func (c *copies) Receive(now mono.Time, wire uint8, pn uint64, payload []byte, deliver func([]byte), out outlet) {
	n := binary.BigEndian.Uint64(payload)
	if _, again := c.seen[n]; again || n+1<<16 < c.old {
		return
	}
	c.seen[n] = struct{}{}
	c.old = max(c.old, n)
	if len(c.seen) > 1<<17 {
		for k := range c.seen {
			if k+1<<16 < c.old {
				delete(c.seen, k)
			}
		}
	}
	deliver(payload[8:])
}

func (c *copies) Tick(mono.Time, func([]byte), outlet) {}
func (c *copies) NextDue() mono.Time                   { return 0 }

// blocks is what UDPspeeder does by default: systematic Reed-Solomon blocks of up to
// 20 symbols and half as many repairs, a block being closed 8 ms after its first
// symbol, when full at once; symbols go out as they come and are never held.
type blocks struct {
	wires  int
	turn   int
	block  uint32
	data   [][]byte
	close  mono.Time
	codes  map[[2]int]reedsolomon.Encoder
	in     map[uint32]*blockIn
	newest uint32
	buf    []byte
}

const (
	blockData   = 20
	blockWait   = 8 * time.Millisecond
	blockRepair = 10
)

// blockIn is a block being received.
type blockIn struct {
	k      int // sources, once a repair has said so
	shards map[int][]byte
	given  map[int]bool
}

func newBlocks(wires int) *blocks {
	return &blocks{wires: wires, codes: map[[2]int]reedsolomon.Encoder{}, in: map[uint32]*blockIn{}}
}

// A datagram: block 4 · index 1 · sources (0 while unknown) 1 · body.
func (b *blocks) transmit(index, k int, body []byte, out outlet) {
	b.buf = binary.BigEndian.AppendUint32(b.buf[:0], b.block)
	b.buf = append(append(b.buf, byte(index), byte(k)), body...)
	out.Transmit(uint8(b.turn%b.wires), b.buf)
	b.turn++
}

func (b *blocks) Send(now mono.Time, symbol []byte, out outlet) {
	if len(b.data) == 0 {
		b.close = now.Add(blockWait)
	}
	b.transmit(len(b.data), 0, symbol, out)
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(symbol)))
	b.data = append(b.data, append(framed, symbol...))
	if len(b.data) == blockData {
		b.flush(out)
	}
}

func (b *blocks) flush(out outlet) {
	k := len(b.data)
	m := (k*blockRepair + blockData - 1) / blockData
	size := 0
	for _, d := range b.data {
		size = max(size, len(d))
	}
	shards := make([][]byte, k+m)
	for i := range shards {
		shards[i] = make([]byte, size)
		if i < k {
			copy(shards[i], b.data[i])
		}
	}
	if err := b.code(k, m).Encode(shards); err == nil {
		for i := k; i < k+m; i++ {
			b.transmit(i, k, shards[i], out)
		}
	}
	b.block++
	b.data, b.close = b.data[:0], 0
}

func (b *blocks) code(k, m int) reedsolomon.Encoder {
	key := [2]int{k, m}
	if b.codes[key] == nil {
		c, err := reedsolomon.New(k, m)
		if err != nil {
			panic(err) // k and m are ours
		}
		b.codes[key] = c
	}
	return b.codes[key]
}

func (b *blocks) Receive(now mono.Time, wire uint8, pn uint64, p []byte, deliver func([]byte), out outlet) {
	block, index, k, body := binary.BigEndian.Uint32(p), int(p[4]), int(p[5]), p[6:]
	in := b.in[block]
	if in == nil {
		if block+200 < b.newest {
			return
		}
		in = &blockIn{shards: map[int][]byte{}, given: map[int]bool{}}
		b.in[block] = in
		b.newest = max(b.newest, block)
		delete(b.in, b.newest-200)
	}
	if k != 0 {
		in.k = k
		in.shards[index] = append([]byte(nil), body...)
	} else if !in.given[index] {
		in.given[index] = true
		framed := binary.BigEndian.AppendUint16(nil, uint16(len(body)))
		in.shards[index] = append(framed, body...)
		deliver(body)
	}
	if in.k == 0 || len(in.given) == in.k || len(in.shards) < in.k {
		return
	}
	b.solve(in, deliver)
}

func (b *blocks) solve(in *blockIn, deliver func([]byte)) {
	m := (in.k*blockRepair + blockData - 1) / blockData
	shards := make([][]byte, in.k+m)
	size := 0
	for i, s := range in.shards {
		size = max(size, len(s))
		shards[i] = s
	}
	for i, s := range shards {
		if s != nil && len(s) < size {
			shards[i] = append(s[:len(s):len(s)], make([]byte, size-len(s))...)
		}
	}
	if b.code(in.k, m).ReconstructData(shards) != nil {
		return
	}
	for i := range in.k {
		if !in.given[i] {
			in.given[i] = true
			n := int(binary.BigEndian.Uint16(shards[i]))
			deliver(shards[i][2 : 2+n])
		}
	}
}

func (b *blocks) Tick(now mono.Time, deliver func([]byte), out outlet) {
	if b.close != 0 && b.close <= now {
		b.flush(out)
	}
}

func (b *blocks) NextDue() mono.Time { return b.close }
