package session

// slab holds things in chunks that never move: a place is an index for life.
// Memory of places that were given back is used again, never returned.
type slab[T any] struct {
	chunks []*[chunk]T
	made   uint32
	free   []uint32
}

// chunk is how many things come into being at once: more would make the packet wait
// that needs the first of them, for the memory and for the garbage collector's share of it.
// Large pages would save a million sessions some misses, but the kernel takes several
// milliseconds to find one.
const chunk = 1 << 10

func (s *slab[T]) at(place uint32) *T { return &s.chunks[place/chunk][place%chunk] }

// take returns a place, one that was given back or a new one. What stands there is as
// give's caller has left it, or zero.
func (s *slab[T]) take() uint32 {
	if n := len(s.free); n > 0 {
		place := s.free[n-1]
		s.free = s.free[:n-1]
		return place
	}
	return s.append()
}

// append returns a place that was never used.
func (s *slab[T]) append() uint32 {
	if s.made%chunk == 0 {
		s.chunks = append(s.chunks, new([chunk]T))
	}
	s.made++
	return s.made - 1
}

func (s *slab[T]) give(place uint32) { s.free = append(s.free, place) }

// inUse is how many places are taken.
func (s *slab[T]) inUse() int { return int(s.made) - len(s.free) }
