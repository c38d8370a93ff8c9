package history

import "causeway/internal/dataplane/segment/code/gf"

// classes are the capacities in bytes in which buffers are made, each a multiple
// of gf.Align: small packets must not hold large buffers, and the usual full packet
// of 1,500 bytes fits the fifth exactly.
var classes = [...]int{128, 256, 512, 1024, 1536, 3072, 6144, 9216}

// spare is how many bytes of unused buffers a Pool keeps in any case before it leaves them
// to the garbage collector. It keeps more if lately more were lent: what is given back in one
// go, when something has been waited for, will be wanted again.
const spare = 4 << 20

// forgets is how many buffers given back make the Pool forget two thirds of how much
// was lent.
const forgets = 1 << 21

// Pool lends buffers and takes them back, so that a steady flow allocates nothing.
// The zero Pool is ready.
type Pool struct {
	free   [len(classes)][][]byte
	unused int // bytes in free
	lent   int // bytes out
	most   int // bytes out at once, lately
}

// Get returns a buffer whose length is n rounded up to a multiple of gf.Align, for
// n up to the largest class. Its content is whatever it was.
func (p *Pool) Get(n int) []byte {
	n = gf.Pad(n)
	k := 0
	for classes[k] < n {
		k++
	}
	p.lent += classes[k]
	p.most = max(p.most, p.lent)
	list := p.free[k]
	if len(list) == 0 {
		return make([]byte, n, classes[k])
	}
	b := list[len(list)-1]
	p.free[k] = list[:len(list)-1]
	p.unused -= classes[k]
	// The next one is likely as large, and was written to long ago: let it come meanwhile.
	if last := len(list) - 2; last >= 0 {
		prefetch(&list[last][:1][0], n)
	}
	return b[:n]
}

// Put takes back a buffer that Get returned; the caller keeps no part of it.
func (p *Pool) Put(b []byte) {
	for k, size := range classes {
		if cap(b) != size {
			continue
		}
		p.lent = max(p.lent-size, 0)
		p.most -= p.most / forgets
		if p.unused+size <= max(spare, p.most-p.lent) {
			p.free[k] = append(p.free[k], b)
			p.unused += size
		} else if n := len(p.free[k]); n > 0 && p.unused > spare {
			p.free[k] = p.free[k][:n-1]
			p.unused -= size
		}
		return
	}
}
