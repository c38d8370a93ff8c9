package session

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"time"

	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Store keeps confirmed sessions where a crash of the process cannot reach
// them: one record a slot.
type Store interface {
	// Write stores rec (RecordLen bytes) as slot's record. It must be cheap: it is
	// called on the packet path when a session is confirmed.
	Write(slot int, rec []byte)
	// Erase makes slot empty.
	Erase(slot int)
	// Records calls f, in the order of slots, for every record written and not
	// erased; rec may be damaged and is borrowed for the call.
	Records(f func(slot int, rec []byte))
}

// RecordLen is the size of a session on disk:
//
//	0      format, 1
//	1      role (2 bits) | proven (bit 2)
//	2..5   CRC-32C of all the other bytes
//	6..21  ID, alias
//	22..97 client, accelerated, endpoint, egress: 16-byte address (IPv4 as ::ffff:a.b.c.d), port, a spare byte each
//	98..   ingress, egress label; group, listener; idle seconds; mode, order, window; last active (unix ns)
//
// Records of another format, or with a wrong sum, are left out on restoring.
const RecordLen = 160

const recordFormat = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (t *Table) save(s *Session) {
	if t.store == nil || !s.Confirmed() {
		return
	}
	idle := max(0, s.Saved.Sub(s.LastActive))
	o := s.Opening()
	encode(t.record[:], &o, s.Proven(), t.Wall().Add(-idle).UnixNano())
	t.store.Write(int(s.slot), t.record[:])
}

func encode(b []byte, s *Opening, proven bool, lastActive int64) {
	b[0] = recordFormat
	b[1] = byte(s.Role)
	if proven {
		b[1] |= 4
	}
	be := binary.BigEndian
	be.PutUint64(b[6:], s.ID)
	be.PutUint64(b[14:], s.Alias)
	at := 22
	for _, a := range [...]netip.AddrPort{s.Client, s.Accelerated, s.Endpoint, s.Egress} {
		ip := a.Addr().As16()
		copy(b[at:], ip[:])
		be.PutUint16(b[at+16:], a.Port())
		at += 19
	}
	be.PutUint16(b[98:], uint16(s.IngressPoP))
	be.PutUint16(b[100:], uint16(s.EgressPoP))
	be.PutUint64(b[102:], uint64(s.Group))
	be.PutUint64(b[110:], uint64(s.Listener))
	be.PutUint32(b[118:], uint32(s.Idle/time.Second))
	b[122], b[123] = s.Mode, s.Order
	be.PutUint16(b[124:], s.Window)
	be.PutUint64(b[126:], uint64(lastActive))
	b[134] = byte(s.Seen)
	be.PutUint32(b[2:], sum(b))
}

func sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:2], castagnoli), castagnoli, b[6:RecordLen])
}

func decode(b []byte) (s Opening, proven bool, lastActive int64, ok bool) {
	be := binary.BigEndian
	if len(b) < RecordLen || b[0] != recordFormat || be.Uint32(b[2:]) != sum(b) {
		return s, false, 0, false
	}
	s.Role, proven = Role(b[1]&3), b[1]&4 != 0
	if s.ID, s.Alias = be.Uint64(b[6:]), be.Uint64(b[14:]); s.Alias == s.ID {
		s.Alias = 0
	}
	at := 22
	for _, a := range [...]*netip.AddrPort{&s.Client, &s.Accelerated, &s.Endpoint, &s.Egress} {
		ip := netip.AddrFrom16([16]byte(b[at : at+16])).Unmap()
		*a = netip.AddrPortFrom(ip, be.Uint16(b[at+16:]))
		at += 19
	}
	s.IngressPoP, s.EgressPoP = snapshot.Label(be.Uint16(b[98:])), snapshot.Label(be.Uint16(b[100:]))
	s.Group, s.Listener = Name(be.Uint64(b[102:])), Name(be.Uint64(b[110:]))
	s.Idle = time.Duration(be.Uint32(b[118:])) * time.Second
	s.Mode, s.Order, s.Window = b[122], b[123], be.Uint16(b[124:])
	s.Seen = Seen(b[134])
	return s, proven, int64(be.Uint64(b[126:])), s.ID != 0
}

// Restore puts the store's sessions that are still alive and that keep accepts
// into the empty table, each in its old slot, and returns how many came back
// and how many records could not be read. A session that keep refuses is erased.
func (t *Table) Restore(now mono.Time, keep func(*Session) bool) (restored, damaged int) {
	if t.store == nil {
		return 0, 0
	}
	wall := t.Wall().UnixNano()
	var drop []int
	t.store.Records(func(slot int, rec []byte) {
		o, proven, last, ok := decode(rec)
		if !ok {
			damaged++
			drop = append(drop, slot)
			return
		}
		// It may have been active until just before the next saving. A wall clock
		// that was set back makes an age negative: take it as fresh.
		age := max(0, time.Duration(wall-last)-saveEveryOf(o.Idle))
		o.Confirmed = true
		if age >= o.Idle || t.taken(&o) || t.confirmed >= t.limits.Confirmed || !keep(o.preview()) {
			drop = append(drop, slot)
			return
		}
		for int(t.sessions.made) < slot {
			t.sessions.give(t.sessions.append())
		}
		n := t.addAt(t.sessions.append(), now.Add(-age), &o)
		n.Created, n.Saved = now, n.LastActive
		if proven {
			t.Prove(n.Assoc)
		}
		restored++
		t.Restored++
	})
	for _, slot := range drop {
		t.store.Erase(slot)
	}
	return restored, damaged
}

// preview is the session that o would be, in no table.
func (o *Opening) preview() *Session {
	terms := o.Terms
	terms.egressIP = o.Egress.Addr()
	s := &Session{Terms: &terms, ID: o.ID, alias: o.Alias, Role: o.Role, egressPort: o.Egress.Port(), Seen: o.Seen}
	s.setClient(o.Client)
	s.set(confirmed, o.Confirmed)
	return s
}

// taken reports whether another session has one of o's names or addresses.
func (t *Table) taken(o *Opening) bool {
	return t.ByID(o.ID) != nil || o.Alias != 0 && t.ByID(o.Alias) != nil ||
		t.ByFlow(o.IngressPoP, o.Client, o.Accelerated) != nil ||
		o.Role&Egress != 0 && t.ByEgress(o.Egress, o.Endpoint) != nil
}
