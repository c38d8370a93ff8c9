package history

import "causeway/internal/dataplane/segment/code/gf"

// classes are the capacities in bytes in which buffers are made, each a multiple
// of gf.Align: small packets must not hold large buffers, and the usual full packet
// of 1,500 bytes fits the fifth exactly.
var classes = [...]int{128, 256, 512, 1024, 1536, 3072, 6144, 9216}

// spare is how many bytes of unused buffers a Pool keeps before it leaves them to
// the garbage collector.
const spare = 4 << 20

// Pool lends buffers and takes them back, so that a steady flow allocates nothing.
// The zero Pool is ready.
type Pool struct {
	free   [len(classes)][][]byte
	unused int // bytes in free
}

// Get returns a buffer whose length is n rounded up to a multiple of gf.Align, for
// n up to the largest class. Its content is whatever it was.
func (p *Pool) Get(n int) []byte {
	n = gf.Pad(n)
	k := 0
	for classes[k] < n {
		k++
	}
	list := p.free[k]
	if len(list) == 0 {
		return make([]byte, n, classes[k])
	}
	b := list[len(list)-1]
	p.free[k] = list[:len(list)-1]
	p.unused -= classes[k]
	return b[:n]
}

// Put takes back a buffer that Get returned; the caller keeps no part of it.
func (p *Pool) Put(b []byte) {
	if p.unused+cap(b) > spare {
		return
	}
	for k, size := range classes {
		if cap(b) == size {
			p.free[k] = append(p.free[k], b)
			p.unused += size
			return
		}
	}
}
