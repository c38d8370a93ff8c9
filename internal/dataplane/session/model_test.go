package session

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// memory is a Store in a map.
type memory map[int][RecordLen]byte

func (m memory) Write(slot int, rec []byte) { m[slot] = [RecordLen]byte(rec) }
func (m memory) Erase(slot int)             { delete(m, slot) }
func (m memory) Records(f func(int, []byte)) {
	var slots []int
	for slot := range m {
		slots = append(slots, slot)
	}
	slices.Sort(slots)
	for _, slot := range slots {
		rec := m[slot]
		f(slot, rec[:])
	}
}

// naive is what a Table promises, by lists that are searched from end to end.
type naive struct {
	limits Limits
	all    []*plain // in the order they came
}

type plain struct {
	id, alias            uint64
	client, acc, ep, out netip.AddrPort
	ingress              snapshot.Label
	role                 Role
	group                Name
	idle                 time.Duration
	confirmed            bool
	active               mono.Time
}

func (n *naive) find(f func(*plain) bool) *plain {
	for _, p := range n.all {
		if f(p) {
			return p
		}
	}
	return nil
}

func (n *naive) count(f func(*plain) bool) (c int) {
	for _, p := range n.all {
		if f(p) {
			c++
		}
	}
	return c
}

func (n *naive) remove(p *plain) {
	n.all = slices.DeleteFunc(n.all, func(q *plain) bool { return p == q })
}

// assocActive is the latest activity of the sessions ever in p's association
// since it began; kept beside the model, as sessions that ended count, too.
type assocName struct {
	client  netip.Addr
	group   Name
	ingress snapshot.Label
}

func (p *plain) assoc() assocName { return assocName{p.client.Addr(), p.group, p.ingress} }

type machine struct {
	now    mono.Time
	store  memory
	table  *Table
	model  naive
	active map[assocName]mono.Time
	ring   []*plain // places of the ring; nil: empty
	at     int
	gone   map[uint64]int // by id: how often Gone was told
	nextID uint64

	watches [3]Watched
}

var wallBase = time.Unix(1_700_000_000, 0)

func (m *machine) fresh() {
	m.table = NewTable(m.model.limits, m.store)
	m.watches = [3]Watched{}
	m.table.Wall = func() time.Time { return wallBase.Add(time.Duration(m.now)) }
	m.table.Gone = func(s *Session) { m.gone[s.ID]++ }
}

func (m *machine) get(p *plain) *Session { return m.table.ByID(p.id) }

// leave takes p out of the model as the table ought to.
func (m *machine) leave(t *rapid.T, p *plain) {
	m.model.remove(p)
	if m.gone[p.id] != 1 {
		t.Fatalf("Gone was told %d times of session %d, want once", m.gone[p.id], p.id)
	}
	for i, q := range m.ring {
		if q == p {
			m.ring[i] = nil
		}
	}
	if m.model.find(func(q *plain) bool { return q.assoc() == p.assoc() }) == nil {
		delete(m.active, p.assoc())
	}
}

// enter puts p in the model's ring.
func (m *machine) enter(t *rapid.T, p *plain) {
	if old := m.ring[m.at]; old != nil {
		m.leave(t, old)
	}
	m.ring[m.at] = p
	m.at = (m.at + 1) % len(m.ring)
}

func (m *machine) add(t *rapid.T) {
	prefix := rapid.IntRange(0, 2).Draw(t, "prefix")
	host := rapid.IntRange(0, 2).Draw(t, "host")
	client := netip.AddrFrom4([4]byte{198, 18, byte(prefix), byte(host)})
	if prefix == 2 {
		client = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(host % 2), 15: byte(host)})
	}
	p := &plain{
		client:  netip.AddrPortFrom(client, uint16(rapid.IntRange(1, 4).Draw(t, "port"))),
		acc:     netip.MustParseAddrPort("203.0.113.1:500"),
		ep:      netip.MustParseAddrPort("198.51.100.9:500"),
		ingress: snapshot.Label(rapid.IntRange(1, 2).Draw(t, "ingress")),
		role:    Role(rapid.IntRange(1, 3).Draw(t, "role")),
		group:   Name(rapid.IntRange(1, 2).Draw(t, "group")),
		idle:    time.Duration(rapid.IntRange(10, 40).Draw(t, "idle")) * time.Second,
		active:  m.now,
	}
	if m.table.ByFlow(p.ingress, p.client, p.acc) != nil {
		return
	}
	p.out = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.2"), 0)
	if p.role&Egress != 0 {
		port, ok := m.table.FreePort(p.out.Addr(), p.ep, p.client.Port(), func(uint16) bool { return true })
		if !ok {
			t.Fatal("no free port")
		}
		want := m.model.find(func(q *plain) bool { return q.role&Egress != 0 && q.out.Port() == p.client.Port() })
		if want == nil && port != p.client.Port() {
			t.Fatalf("port %d was free and %d was given", p.client.Port(), port)
		}
		p.out = netip.AddrPortFrom(p.out.Addr(), port)
		if m.table.ByEgress(p.out, p.ep) != nil {
			t.Fatalf("port %d is taken", port)
		}
	}
	m.nextID++
	p.id = m.nextID
	same := func(q *plain) bool { return prefixOf(q.client.Addr()) == prefixOf(p.client.Addr()) }
	full := m.model.count(same) >= m.model.limits.PerPrefix
	s, refusal := m.table.Add(m.now, Opening{
		ID: p.id, Role: p.role, Client: p.client, Egress: p.out,
		Terms: Terms{Accelerated: p.acc, Endpoint: p.ep, IngressPoP: p.ingress, EgressPoP: 9, Group: p.group, Listener: 5, Idle: p.idle},
	})
	if full != (refusal == PrefixFull) || full != (s == nil) {
		t.Fatalf("prefix full: %v, refusal %v", full, refusal)
	}
	if full {
		return
	}
	m.model.all = append(m.model.all, p)
	m.active[p.assoc()] = m.now
	m.enter(t, p)
}

func (m *machine) pick(t *rapid.T) *plain {
	if len(m.model.all) == 0 {
		t.Skip("nothing there")
	}
	return rapid.SampledFrom(m.model.all).Draw(t, "session")
}

func (m *machine) sweep(t *rapid.T) {
	var dead []*plain
	for _, p := range m.model.all {
		if m.now.Sub(m.active[p.assoc()]) >= p.idle {
			dead = append(dead, p)
		}
	}
	if got := m.table.Sweep(m.now, 1<<20); got != len(dead) {
		t.Fatalf("%d swept, want %d", got, len(dead))
	}
	for _, p := range dead {
		m.leave(t, p)
	}
}

func TestTheTableDoesWhatAListWouldDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: mono.Time(time.Hour), store: memory{}, active: map[assocName]mono.Time{}, gone: map[uint64]int{}}
		m.model.limits = Limits{Confirmed: rapid.IntRange(1, 6).Draw(t, "confirmed"), Unconfirmed: rapid.IntRange(1, 6).Draw(t, "unconfirmed"), PerPrefix: rapid.IntRange(1, 8).Draw(t, "per prefix")}
		m.ring = make([]*plain, m.model.limits.Unconfirmed)
		m.fresh()
		t.Repeat(map[string]func(*rapid.T){
			"add": m.add,
			"add more": func(t *rapid.T) {
				for range 3 {
					m.add(t)
				}
			},
			"confirm": func(t *rapid.T) {
				p := m.pick(t)
				n := m.model.count(func(q *plain) bool { return q.confirmed })
				want := p.confirmed || n < m.model.limits.Confirmed
				if got := m.table.Confirm(m.now, m.get(p)); got != want {
					t.Fatalf("confirmed: %v, want %v with %d of %d", got, want, n, m.model.limits.Confirmed)
				}
				if want && !p.confirmed {
					p.confirmed = true
					m.ring[slices.Index(m.ring, p)] = nil
				}
			},
			"prove": func(t *rapid.T) { m.table.Prove(m.get(m.pick(t)).Assoc) },
			"IKE":   func(t *rapid.T) { m.table.SetIKE(m.get(m.pick(t)).Assoc) },
			"watch": func(t *rapid.T) {
				w := &m.watches[rapid.IntRange(0, len(m.watches)-1).Draw(t, "watch")]
				a := m.get(m.pick(t)).Assoc
				before := w.Owner()
				m.table.SetWatch(a, w)
				if a.Watch() != w || w.Owner() != a || before != nil && before != a && before.Watch() != nil {
					t.Fatal("a Watch is of two, or of none")
				}
			},
			"renew": func(t *rapid.T) {
				p := m.pick(t)
				s := m.get(p)
				terms := *s.Terms
				terms.Idle = time.Duration(rapid.IntRange(10, 40).Draw(t, "idle")) * time.Second
				terms.Window = uint16(rapid.IntRange(0, 2).Draw(t, "window"))
				m.table.Renew(s, terms)
				p.idle = terms.Idle
				if s.Window != terms.Window || s.Endpoint != p.ep {
					t.Fatalf("terms %+v", *s.Terms)
				}
				if p.confirmed {
					m.table.Save(m.now, s)
				}
			},
			"move": func(t *rapid.T) {
				p := m.pick(t)
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 7, byte(rapid.IntRange(0, 2).Draw(t, "host"))}), uint16(rapid.IntRange(1, 4).Draw(t, "port")))
				if m.table.ByFlow(p.ingress, to, p.acc) != nil {
					t.Skip("somebody is there")
				}
				proven, before := m.get(p).Proven(), p.assoc()
				m.table.Move(m.now, m.get(p), to)
				p.client = to
				if m.model.find(func(q *plain) bool { return q.assoc() == before }) == nil {
					delete(m.active, before)
				}
				m.active[p.assoc()] = m.now
				if s := m.get(p); proven && !s.Proven() {
					t.Fatal("what was proven is not any more")
				}
			},
			"claim": func(t *rapid.T) {
				s := m.get(m.pick(t))
				claim := rapid.Uint64Range(1, 12).Draw(t, "claim")
				other := m.table.ByClaim(claim)
				m.table.Claim(s, claim)
				if keeps := other != nil && other.Proven() && !s.Proven(); !keeps && m.table.ByClaim(claim) != s || keeps && m.table.ByClaim(claim) != other {
					t.Fatalf("claim %d finds another", claim)
				}
			},
			"remove": func(t *rapid.T) {
				p := m.pick(t)
				m.table.Remove(m.get(p))
				m.leave(t, p)
			},
			"rename": func(t *rapid.T) {
				p := m.pick(t)
				m.nextID++
				m.table.Rename(m.get(p), m.nextID)
				p.id, p.alias = m.nextID, p.id
			},
			"rename back": func(t *rapid.T) {
				p := m.pick(t)
				if p.alias == 0 {
					t.Skip("it has one name")
				}
				m.table.Rename(m.get(p), p.alias)
				p.id, p.alias = p.alias, p.id
			},
			"rename to another's name": func(t *rapid.T) {
				p, q := m.pick(t), m.pick(t)
				if p != q {
					m.table.Rename(m.get(p), q.id)
				}
			},
			"set egress": func(t *rapid.T) {
				p := m.pick(t)
				if p.role&Egress != 0 {
					t.Skip("only an ingress is told")
				}
				p.out = netip.AddrPortFrom(p.out.Addr(), uint16(rapid.IntRange(1, 3).Draw(t, "port")))
				m.table.SetEgress(m.get(p), p.out)
			},
			"touch": func(t *rapid.T) {
				p := m.pick(t)
				m.table.Touch(m.now, m.get(p))
				p.active, m.active[p.assoc()] = m.now, m.now
				m.sweep(t) // which it is never without for long, and which saves
			},
			"sweep": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "seconds")) * time.Second)
				if rapid.IntRange(0, 9).Draw(t, "a pause") == 0 {
					m.now = m.now.Add(15 * time.Second)
				}
				m.sweep(t)
			},
			"set limits": func(t *rapid.T) {
				l := m.model.limits
				l.Unconfirmed = rapid.IntRange(1, 6).Draw(t, "unconfirmed")
				l.Confirmed = rapid.IntRange(1, 6).Draw(t, "confirmed")
				m.table.SetLimits(l)
				m.model.limits = l
				if l.Unconfirmed == len(m.ring) {
					return
				}
				old, at := m.ring, m.at
				m.ring, m.at = make([]*plain, l.Unconfirmed), 0
				for i := range old {
					if p := old[(at+i)%len(old)]; p != nil {
						m.enter(t, p)
					}
				}
			},
			"restart": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second)
				m.fresh()
				_, damaged := m.table.Restore(m.now, func(s *Session) bool { return s.Group == 1 })
				if damaged != 0 {
					t.Fatalf("%d damaged records", damaged)
				}
				// On disk the last activity is stale by up to saveEvery, so only what
				// must be there and what must not be is compared.
				left := m.model.all
				most := m.model.count(func(p *plain) bool { return p.confirmed && p.group == 1 })
				m.model.all, m.ring, m.at = nil, make([]*plain, len(m.ring)), 0
				m.active = map[assocName]mono.Time{}
				for _, p := range left {
					s := m.table.ByID(p.id)
					kept := p.confirmed && p.group == 1
					if s != nil && !kept {
						t.Fatalf("session %d came back, confirmed %v, group %d", p.id, p.confirmed, p.group)
					}
					if s == nil {
						if kept && m.now.Sub(p.active) < p.idle && m.model.limits.Confirmed >= most {
							t.Fatalf("session %d, active %v ago, did not come back", p.id, m.now.Sub(p.active))
						}
						continue
					}
					p.active = s.LastActive
					m.active[p.assoc()] = max(m.active[p.assoc()], p.active)
					m.model.all = append(m.model.all, p)
				}
			},
			"": func(t *rapid.T) { m.check(t) },
		})
	})
}

// check compares everything that can be seen, and what must hold inside.
func (m *machine) check(t *rapid.T) {
	all, confirmed := m.table.Len()
	if want := m.model.count(func(p *plain) bool { return p.confirmed }); all != len(m.model.all) || confirmed != want {
		t.Fatalf("Len %d, %d confirmed; want %d, %d", all, confirmed, len(m.model.all), want)
	}
	for _, p := range m.model.all {
		s := m.table.ByID(p.id)
		if s == nil || s.ID != p.id || s.Alias() != p.alias || s.Client() != p.client || s.Egress() != p.out || s.Confirmed() != p.confirmed {
			t.Fatalf("by id %d: %+v, want %+v", p.id, s, p)
		}
		if p.alias != 0 && m.table.ByID(p.alias) != s {
			t.Fatalf("alias %d is not found", p.alias)
		}
		if m.table.ByFlow(p.ingress, p.client, p.acc) != s {
			t.Fatalf("flow of %d is not found", p.id)
		}
		if p.role&Egress != 0 && m.table.ByEgress(p.out, p.ep) != s {
			t.Fatalf("egress address of %d is not found", p.id)
		}
		a := m.table.Association(p.ingress, p.client.Addr(), p.group)
		if a == nil || a != s.Assoc || m.table.LastActive(a) != m.active[p.assoc()] || a.Client() != p.client.Addr() {
			t.Fatalf("association of %d: %+v, want active at %v", p.id, a, m.active[p.assoc()])
		}
	}
	visited := 0
	m.table.All(func(s *Session) bool { visited++; return true })
	assocs := 0
	m.table.Associations(func(*Association) { assocs++ })
	if visited != len(m.model.all) || assocs != len(m.active) {
		t.Fatalf("%d sessions, %d associations; want %d, %d", visited, assocs, len(m.model.all), len(m.active))
	}
	m.table.invariants(t)
	for slot := range m.store {
		if slot >= int(m.table.sessions.made) || !m.table.at(uint32(slot)).inUse() || !m.table.at(uint32(slot)).Confirmed() {
			t.Fatalf("a record at %d has no confirmed session", slot)
		}
	}
	if len(m.store) != confirmed {
		t.Fatalf("%d records, %d confirmed", len(m.store), confirmed)
	}
}

// invariants of a table's inside: every map and ring place leads to a session
// that is in use and leads back.
func (t *Table) invariants(f interface{ Fatalf(string, ...any) }) {
	names := 0
	t.All(func(s *Session) bool {
		names++
		if s.alias != 0 {
			names++
		}
		if (s.ring >= 0) == s.Confirmed() {
			f.Fatalf("session %d: confirmed %v, place %d in the ring", s.ID, s.Confirmed(), s.ring)
		}
		if s.ring >= 0 && t.ring[s.ring] != s.slot+1 {
			f.Fatalf("place %d of the ring is not session %d's", s.ring, s.ID)
		}
		return true
	})
	if t.byID.n != names {
		f.Fatalf("%d names in the table, sessions have %d", t.byID.n, names)
	}
	inRing := 0
	for _, place := range t.ring {
		if place != 0 {
			inRing++
		}
	}
	all, confirmed := t.Len()
	if inRing != all-confirmed {
		f.Fatalf("%d in the ring, %d unconfirmed", inRing, all-confirmed)
	}
	sum, ports := 0, 0
	for _, n := range t.prefix {
		sum += int(n)
	}
	for _, p := range t.ports {
		ports += p.given[0] + p.given[1] + p.given[2]
	}
	uses := 0
	for terms, s := range t.terms {
		uses += s.uses
		if s.Terms != terms {
			f.Fatalf("terms were changed in place: %+v, shared as %+v", s.Terms, terms)
		}
	}
	if sum != all || t.byFlow.n != all || ports != t.byOut.n || uses != all {
		f.Fatalf("%d sessions: by prefix %d, by flow %d; egress %d, ports %d; of terms %d", all, sum, t.byFlow.n, t.byOut.n, ports, uses)
	}
	sessions, assocs := 0, 0
	t.Associations(func(a *Association) {
		assocs++
		n := 0
		t.each(a, func(s *Session) {
			n++
			if s.Assoc != a || s.Proven() != a.proven || s.IKE() != a.ike || s.Watch() != a.watch {
				f.Fatalf("session %d does not say what its association does", s.ID)
			}
		})
		if n != int(a.sessions) {
			f.Fatalf("an association has %d sessions, and counts %d", n, a.sessions)
		}
		sessions += n
	})
	if sessions != all || assocs != t.assocs.n || assocs != t.associations.inUse() {
		f.Fatalf("associations have %d sessions, the table %d; %d associations, %d can be found, %d are taken", sessions, all, assocs, t.assocs.n, t.associations.inUse())
	}
	for _, x := range [...]*index{&t.byID, &t.byFlow, &t.byOut, &t.assocs, &t.claims} {
		x.invariants(f)
	}
}
