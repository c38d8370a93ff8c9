package sliding

import (
	"encoding/binary"
	"iter"
)

// nonzero returns the indices at which v, a multiple of 8 long, is not zero, as v is
// when each group of eight is reached. Most of what it is used on is zero.
func nonzero(v []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i+8 <= len(v); i += 8 {
			if binary.LittleEndian.Uint64(v[i:]) == 0 {
				continue
			}
			for k := i; k < i+8; k++ {
				if v[k] != 0 && !yield(k) {
					return
				}
			}
		}
	}
}

// isZero reports whether v, a multiple of 8 long, is zero throughout.
func isZero(v []byte) bool {
	for i := 0; i+8 <= len(v); i += 8 {
		if binary.LittleEndian.Uint64(v[i:]) != 0 {
			return false
		}
	}
	return true
}
