package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
)

// hold gives a Watch to an association that saw a packet at now; nil: there was none.
func (c *crowd) hold(p *watches, now mono.Time, a *session.Association) *session.Watched {
	w := p.find(now, a.Proven())
	if w != nil {
		c.table.SetWatch(a, w)
		w.Last[0] = now
	}
	return w
}

// crowd makes associations that have a session each.
type crowd struct {
	table *session.Table
	n     int
}

func newCrowd() *crowd {
	return &crowd{table: session.NewTable(session.Limits{Unconfirmed: 4 * watchMost, PerPrefix: 256}, nil)}
}

func (c *crowd) alive(proven bool) *session.Association {
	c.n++
	client := netip.AddrFrom4([4]byte{100, 64 + byte(c.n>>16), byte(c.n >> 8), byte(c.n)})
	s, _ := c.table.Add(1, session.Opening{ID: uint64(c.n), Client: port(client, 1), Terms: session.Terms{Idle: time.Hour}})
	if proven {
		c.table.Prove(s.Assoc)
	}
	return s.Assoc
}

func TestStrangersDoNotTakeTheLastWatches(t *testing.T) {
	var p watches
	c := newCrowd()
	alive := c.alive
	now := mono.Time(time.Hour)
	for range watchMost {
		if c.hold(&p, now, alive(false)) == nil {
			t.Fatal("no Watch while there is room")
		}
	}
	if c.hold(&p, now, alive(false)) != nil || len(p.all) != watchMost {
		t.Error("one more stranger is watched")
	}
	proven := alive(true)
	w := c.hold(&p, now, proven)
	if w == nil || w.Owner() != proven {
		t.Fatal("a proven client is not watched for the sake of strangers")
	}
	for range watchMost - 1 {
		if c.hold(&p, now, alive(true)) == nil {
			t.Fatal("a proven client found no stranger's Watch")
		}
	}
	if c.hold(&p, now, alive(true)) != nil {
		t.Error("a proven client took another's Watch")
	}
	later := now.Add(watchSilent)
	late := alive(true)
	if w := c.hold(&p, later, late); w == nil || w.IKE.IKESAs != 0 {
		t.Error("a Watch that has seen nothing for long was not given on")
	}
}

func TestAWatchThatIsGivenOnIsAsNew(t *testing.T) {
	var p watches
	c := newCrowd()
	ended := c.alive(true)
	w := c.hold(&p, 1, ended)
	w.NoteESP(1, 0, 700, 1)
	w.NoteESP(1, 0, 700, 2)
	c.table.Remove(c.table.ByID(1))
	next := c.alive(true)
	again := c.hold(&p, 2, next)
	if again != w || w.Owner() != next || next.Watch() != w || w.ESP(0).Packets != 0 || w.NoteESP(2, 0, 700, 3) {
		t.Errorf("%+v", *w.ESP(0))
	}
}
