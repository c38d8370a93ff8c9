package session

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// slab holds things in chunks that never move: a place is an index for life.
// Memory of places that were given back is used again, never returned.
type slab[T any] struct {
	chunks []*[chunk]T
	made   uint32
	free   []uint32
}

// chunk is how many things come into being at once: more would make the packet wait
// that needs the first of them, for the memory and for the garbage collector's share of it.
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
		c := new([chunk]T)
		s.chunks = append(s.chunks, c)
		if s.made > 0 { // a PoP with few sessions can do without
			wantLargePages(uintptr(unsafe.Pointer(c)), unsafe.Sizeof(*c))
		}
	}
	s.made++
	return s.made - 1
}

func (s *slab[T]) give(place uint32) { s.free = append(s.free, place) }

// inUse is how many places are taken.
func (s *slab[T]) inUse() int { return int(s.made) - len(s.free) }

const largePage = 2 << 20

// wantLargePages asks for large pages for memory of a million sessions: with small ones the
// processor would know neither a session nor where its page is. What else stands in
// the first and the last page is heap, too, most likely another chunk.
func wantLargePages(at, size uintptr) {
	begin, end := at&^(largePage-1), (at+size+largePage-1)&^(largePage-1)
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, begin, end-begin, unix.MADV_HUGEPAGE) // where it cannot be had, small ones do
}
