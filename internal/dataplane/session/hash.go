package session

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"causeway/internal/ipsec"
	"causeway/internal/snapshot"
)

// Hashes are keyed: who chooses addresses and ports cannot make them meet.

func (t *Table) idHash(id uint64) uint32 { return uint32(ipsec.Mix(id ^ t.salt)) }

// claimHash needs no key: claims have one of their own, see ClaimOf.
func claimHash(claim uint64) uint32 { return uint32(claim >> 32) }

func (t *Table) flowHash(ingress snapshot.Label, client, accelerated netip.AddrPort) uint32 {
	var b [38]byte
	binary.BigEndian.PutUint16(b[36:], uint16(ingress))
	return t.pairHash(b[:], client, accelerated)
}

func (t *Table) outHash(egress, endpoint netip.AddrPort) uint32 {
	var b [36]byte
	return t.pairHash(b[:], egress, endpoint)
}

func (t *Table) pairHash(b []byte, one, other netip.AddrPort) uint32 {
	x, y := one.Addr().As16(), other.Addr().As16()
	copy(b, x[:])
	copy(b[16:], y[:])
	binary.BigEndian.PutUint16(b[32:], one.Port())
	binary.BigEndian.PutUint16(b[34:], other.Port())
	return uint32(maphash.Bytes(t.seed, b))
}

func (t *Table) assocHash(client [16]byte, group Name, ingress snapshot.Label) uint32 {
	var b [26]byte
	copy(b[:], client[:])
	binary.BigEndian.PutUint64(b[16:], uint64(group))
	binary.BigEndian.PutUint16(b[24:], uint16(ingress))
	return uint32(maphash.Bytes(t.seed, b[:]))
}
