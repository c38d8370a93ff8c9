package dataplane

import "causeway/internal/dataplane/session"

// An egress has a socket for each port of its egress IP that is in use: tens of
// thousands, where there are many sessions. A session notes the number of its own, so that
// a packet finds it without a search by address.

// exits are the engine's sockets by number.
type exits struct {
	list []*socket
	free []uint32
}

func (e *Engine) addExit(s *socket) {
	x := &e.exits
	if n := len(x.free); n > 0 {
		s.exit = x.free[n-1]
		x.free = x.free[:n-1]
		x.list[s.exit] = s
		return
	}
	s.exit = uint32(len(x.list))
	x.list = append(x.list, s)
}

func (e *Engine) dropExit(s *socket) {
	e.exits.list[s.exit] = nil
	e.exits.free = append(e.exits.free, s.exit)
}

// egressSocket is the socket at a session's egress address; nil: there is none.
func (e *Engine) egressSocket(s *session.Session) *socket {
	addr := s.Egress()
	if int(s.Exit) < len(e.exits.list) {
		if sock := e.exits.list[s.Exit]; sock != nil && sock.addr == addr {
			return sock
		}
	}
	sock := e.byAddr[addr]
	if sock != nil {
		s.Exit = sock.exit
	}
	return sock
}

// warmExit reads the socket that a session's packets leave by.
func (e *Engine) warmExit(s *session.Session) uint64 {
	if s.Role&session.Egress == 0 || int(s.Exit) >= len(e.exits.list) {
		return 0
	}
	sock := e.exits.list[s.Exit]
	if sock == nil {
		return 0
	}
	return sock.token + sock.toPeer.Packets
}
