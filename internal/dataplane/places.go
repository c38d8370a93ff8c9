package dataplane

import (
	"iter"
	"net/netip"

	"causeway/internal/dataplane/session"
)

// An egress has a socket for each port of its egress IP that is in use: tens of
// thousands, where there are many sessions. So a socket has a number, its place; its
// token says it, and a session notes that of its own: a packet finds its socket without a
// search.

// places are the engine's sockets by number.
type places struct {
	list []*socket
	free []uint32
	used uint32 // how many tokens were given out
}

// A token is a socket's place in the lower half, and a number that tells it from those
// that had the place before. All of it has to leave room for the lane (see laneShift).
const (
	placeBits = 32
	tokenBits = laneShift - placeBits
)

// reserve gives a new socket its place and token.
func (p *places) reserve(s *socket) {
	n := uint32(len(p.list))
	if f := len(p.free); f > 0 {
		n = p.free[f-1]
		p.free = p.free[:f-1]
	} else {
		p.list = append(p.list, nil)
	}
	p.used = p.used%(1<<tokenBits-1) + 1 // never 0
	s.place, s.token = n, uint64(p.used)<<placeBits|uint64(n)
}

// put makes a socket be found that has a place.
func (p *places) put(s *socket) { p.list[s.place] = s }

// leave frees the place of a socket.
func (p *places) leave(s *socket) {
	p.list[s.place] = nil
	p.free = append(p.free, s.place)
}

// at is the socket with that token; nil: there is none any more.
func (p *places) at(token uint64) *socket {
	if n := uint32(token); int(n) < len(p.list) {
		if s := p.list[n]; s != nil && s.token == token {
			return s
		}
	}
	return nil
}

// all are the sockets, which may be closed meanwhile.
func (p *places) all() iter.Seq[*socket] {
	return func(yield func(*socket) bool) {
		for _, s := range p.list {
			if s != nil && !yield(s) {
				return
			}
		}
	}
}

// count is how many there are.
func (p *places) count() int { return len(p.list) - len(p.free) }

// egressSocket is the socket at a session's egress address; nil: there is none.
func (e *Engine) egressSocket(s *session.Session) *socket { return e.exit(s, s.Egress()) }

// listenerSocket is the socket at a session's accelerated address; nil: there is none.
func (e *Engine) listenerSocket(s *session.Session) *socket {
	if s.Role&session.Egress != 0 { // Exit is for the other one
		return e.byAddr[s.Accelerated]
	}
	return e.exit(s, s.Accelerated)
}

func (e *Engine) exit(s *session.Session, addr netip.AddrPort) *socket {
	if int(s.Exit) < len(e.sockets.list) {
		if sock := e.sockets.list[s.Exit]; sock != nil && sock.addr == addr {
			return sock
		}
	}
	sock := e.byAddr[addr]
	if sock != nil {
		s.Exit = sock.place
	}
	return sock
}

// warmExit reads the socket that a session's packets leave by.
func (e *Engine) warmExit(s *session.Session) uint64 {
	if int(s.Exit) >= len(e.sockets.list) {
		return 0
	}
	sock := e.sockets.list[s.Exit]
	if sock == nil {
		return 0
	}
	return sock.token + sock.toPeer.Packets + sock.Warm()
}
