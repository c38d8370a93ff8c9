// Package packet says who owns bytes on the packet path. Bytes read from a
// socket belong to the batch they were read into until the next read; bytes
// made on the way (sealed datagrams, packets given back in order) belong to an
// Arena until the loop has written everything out and resets it.
package packet

// chunkSize holds a full GSO batch (64 KiB) with room for its headers.
const chunkSize = 256 << 10

// Arena hands out byte slices that all live until Reset. It never returns
// memory to the system and, once it has seen its largest batch, allocates
// nothing. The zero Arena is ready. Not safe for concurrent use.
type Arena struct {
	chunks [][]byte
	chunk  int // the chunk being filled
	used   int // bytes of it handed out
}

// Alloc returns n bytes of undefined content, valid until Reset; n is at most 256 KiB.
func (a *Arena) Alloc(n int) []byte {
	if len(a.chunks) == 0 || a.used+n > len(a.chunks[a.chunk]) {
		a.grow(n)
	}
	b := a.chunks[a.chunk][a.used : a.used+n : a.used+n]
	a.used += n
	return b
}

// Copy returns a copy of b that is valid until Reset.
func (a *Arena) Copy(b []byte) []byte {
	c := a.Alloc(len(b))
	copy(c, b)
	return c
}

// Reset takes every slice back: nothing handed out before may be used after.
func (a *Arena) Reset() { a.chunk, a.used = 0, 0 }

func (a *Arena) grow(n int) {
	if n > chunkSize {
		panic("packet: one allocation larger than an arena chunk")
	}
	if len(a.chunks) > 0 && a.chunk+1 < len(a.chunks) {
		a.chunk++
	} else {
		a.chunks = append(a.chunks, make([]byte, chunkSize))
		a.chunk = len(a.chunks) - 1
	}
	a.used = 0
}
