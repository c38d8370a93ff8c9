package udpio

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// rawAddr is the kernel's struct sockaddr_in or sockaddr_in6:
//
//	0 family (native order) | 2 port (big endian) | 4 IPv4 address
//	0 family (native order) | 2 port (big endian) | 4 flow label | 8 IPv6 address | 24 scope
type rawAddr [unix.SizeofSockaddrInet6]byte

// addrPort reads what the kernel wrote. An address of another family is the zero AddrPort.
func (r *rawAddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(r[2:])
	switch binary.NativeEndian.Uint16(r[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(r[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(r[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// set writes a, which is of the socket's family, and returns the length in use.
func (r *rawAddr) set(a netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(r[2:], a.Port())
	if a.Addr().Is4() {
		binary.NativeEndian.PutUint16(r[:], unix.AF_INET)
		ip := a.Addr().As4()
		copy(r[4:8], ip[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(r[:], unix.AF_INET6)
	ip := a.Addr().As16()
	clear(r[4:8])
	copy(r[8:24], ip[:])
	clear(r[24:28])
	return unix.SizeofSockaddrInet6
}

// sockaddrOf and addrPortOf are the same for calls that are made once per socket.
func sockaddrOf(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPortOf(s unix.Sockaddr) netip.AddrPort {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr), uint16(s.Port))
	}
	return netip.AddrPort{}
}
