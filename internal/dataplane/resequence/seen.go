package resequence

// seen remembers which of the last 4096 numbers up to a stream's base have come.
// A stream needs one only while some of them have not: see stream.run.
type seen [seenBits / 64]uint64

const seenBits = 4096

func (m *seen) has(seq uint32) bool { return m[seq%seenBits/64]>>(seq%64)&1 != 0 }
func (m *seen) set(seq uint32)      { m[seq%seenBits/64] |= 1 << (seq % 64) }

// forget clears n numbers from seq on.
func (m *seen) forget(seq, n uint32) {
	m.each(seq, n, func(word *uint64, mask uint64) { *word &^= mask })
}

// fill sets n numbers from seq on.
func (m *seen) fill(seq, n uint32) {
	m.each(seq, n, func(word *uint64, mask uint64) { *word |= mask })
}

// each visits the words, and the bits in them, that n numbers from seq on stand in.
func (m *seen) each(seq, n uint32, visit func(word *uint64, mask uint64)) {
	for n = min(n, seenBits); n > 0; {
		in := min(n, 64-seq%64)
		visit(&m[seq%seenBits/64], ^uint64(0)>>(64-in)<<(seq%64))
		seq, n = seq+in, n-in
	}
}
