package session

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

var hour = mono.Time(time.Hour)

func addrPort(t *rapid.T, label string) netip.AddrPort {
	port := rapid.Uint16().Draw(t, label+" port")
	if rapid.Bool().Draw(t, label+" is IPv6") {
		b := [16]byte{0x20, 1, 0xd, 0xb8, 15: rapid.Byte().Draw(t, label)}
		return netip.AddrPortFrom(netip.AddrFrom16(b), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, rapid.Byte().Draw(t, label)}), port)
}

// kept is what of a session goes to disk and comes back.
func kept(s Opening) Opening {
	s.Confirmed, s.egressIP = false, netip.Addr{}
	return s
}

func TestARecordHoldsTheSession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proves := rapid.Bool().Draw(t, "proven")
		s := Opening{
			ID: rapid.Uint64Min(1).Draw(t, "id"), Role: Role(rapid.IntRange(1, 3).Draw(t, "role")),
			Client: addrPort(t, "client"), Egress: addrPort(t, "egress"), Seen: Seen(rapid.Byte().Draw(t, "seen")),
		}
		s.Terms = Terms{
			Accelerated: addrPort(t, "accelerated"), Endpoint: addrPort(t, "endpoint"),
			IngressPoP: snapshot.Label(rapid.Uint16().Draw(t, "ingress")), EgressPoP: snapshot.Label(rapid.Uint16().Draw(t, "egress")),
			Group: Name(rapid.Uint64().Draw(t, "group")), Listener: Name(rapid.Uint64().Draw(t, "listener")),
			Idle: time.Duration(rapid.IntRange(0, 86400).Draw(t, "idle")) * time.Second,
			Mode: rapid.Byte().Draw(t, "mode"), Order: rapid.Byte().Draw(t, "order"), Window: rapid.Uint16().Draw(t, "window"),
		}
		s.Alias = rapid.Uint64().Filter(func(n uint64) bool { return n != s.ID }).Draw(t, "alias")
		last := rapid.Int64().Draw(t, "last active")
		var rec [RecordLen]byte
		encode(rec[:], &s, proves, last)
		got, proven, at, ok := decode(rec[:])
		if !ok || kept(got) != kept(s) || proven != proves || at != last {
			t.Fatalf("got %+v %v %d %v, want %+v", got, proven, at, ok, s)
		}
	})
}

func TestEveryBitOfARecordIsGuarded(t *testing.T) {
	s := example(1)
	var rec [RecordLen]byte
	encode(rec[:], &s, false, 1)
	for bit := range 8 * RecordLen {
		damaged := rec
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, _, _, ok := decode(damaged[:]); ok {
			t.Errorf("bit %d of byte %d was changed unnoticed", bit%8, bit/8)
		}
	}
	for n := range rec {
		if _, _, _, ok := decode(rec[:n]); ok {
			t.Errorf("%d bytes were taken for a record", n)
		}
	}
}

// example is a session that a PoP has both ends of, another one for every n.
func example(n int) Opening {
	return Opening{
		ID: uint64(n) + 1, Role: Ingress | Egress,
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, byte(n >> 16), byte(n >> 8), byte(n)}), 4500),
		Egress: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.2"), uint16(1024+n/8)),
		Terms: Terms{
			Accelerated: netip.MustParseAddrPort("203.0.113.1:4500"),
			Endpoint:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n % 8)}), 4500),
			IngressPoP:  1, EgressPoP: 1, Group: 1, Listener: 3, Idle: 300 * time.Second, Window: 32,
		},
	}
}

func add(t testing.TB, table *Table, now mono.Time, s Opening, confirm bool) *Session {
	t.Helper()
	n, refusal := table.Add(now, s)
	if refusal != Admitted {
		t.Fatalf("refused: %v", refusal)
	}
	if confirm && !table.Confirm(now, n) {
		t.Fatal("not confirmed")
	}
	return n
}

func newTable(store Store, wall *time.Time) *Table {
	table := NewTable(Limits{Confirmed: 1000, Unconfirmed: 100, PerPrefix: 1000}, store)
	table.Wall = func() time.Time { return *wall }
	return table
}

func everything(*Session) bool { return true }

func TestConfirmedSessionsOutliveTheProcessInTheirSlots(t *testing.T) {
	wall, store := wallBase, memory{}
	before := newTable(store, &wall)
	for i := range 20 {
		add(t, before, hour, example(i), i%2 == 0)
	}
	before.Prove(before.ByID(3).Assoc)
	before.Save(hour, before.ByID(3))
	wall = wall.Add(100 * time.Second)
	after := newTable(store, &wall)
	now := mono.Time(5 * time.Hour) // another process's clock
	restored, damaged := after.Restore(now, everything)
	if restored != 10 || damaged != 0 {
		t.Fatalf("restored %d, damaged %d; want 10, 0", restored, damaged)
	}
	for i := range 20 {
		s, old := after.ByID(uint64(i)+1), before.ByID(uint64(i)+1)
		if i%2 != 0 {
			if s != nil {
				t.Errorf("session %d was never confirmed and came back", i)
			}
			continue
		}
		if s == nil || kept(s.Opening()) != kept(old.Opening()) || s.slot != old.slot || !s.Confirmed() || s.Proven() != (i == 2) {
			t.Fatalf("session %d came back as %+v, was %+v", i, s, old)
		}
		if idle := now.Sub(s.LastActive); idle > 100*time.Second || idle < 100*time.Second-saveEvery {
			t.Errorf("session %d is idle for %v, want about 100 s", i, idle)
		}
	}
	after.invariants(t)
	// The slots in between are free, and new sessions fit in.
	for i := 100; i < 120; i++ {
		add(t, after, now, example(i), true)
	}
	after.invariants(t)
}

func TestSessionsThatIdledOutWhileThePoPWasDownStayAway(t *testing.T) {
	for _, c := range []struct {
		name string
		away time.Duration
		want int
	}{
		{"a second", time.Second, 1},
		{"nearly the idle timeout", 299 * time.Second, 1},
		{"longer than idle timeout and saving interval", 321 * time.Second, 0},
		{"ten years", 10 * 365 * 24 * time.Hour, 0},
		{"a clock set back by a day", -24 * time.Hour, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			wall, store := wallBase, memory{}
			add(t, newTable(store, &wall), hour, example(1), true)
			wall = wall.Add(c.away)
			if got, _ := newTable(store, &wall).Restore(hour, everything); got != c.want {
				t.Errorf("restored %d, want %d", got, c.want)
			}
			if len(store) != c.want {
				t.Errorf("%d records are left, want %d", len(store), c.want)
			}
		})
	}
}

func TestDamagedAndDoubleRecordsAreLeftOut(t *testing.T) {
	wall, store := wallBase, memory{}
	before := newTable(store, &wall)
	for i := range 5 {
		add(t, before, hour, example(i), true)
	}
	rec := store[1]
	rec[50] ^= 1
	store[1] = rec
	store[7] = store[2] // the same session twice
	other := example(3) // the same flow under another name
	other.ID = 99
	encode(rec[:], &other, false, wall.UnixNano())
	store[9] = rec
	after := newTable(store, &wall)
	restored, damaged := after.Restore(hour, everything)
	if restored != 4 || damaged != 1 || len(store) != 4 {
		t.Errorf("restored %d, damaged %d, %d records left; want 4, 1, 4", restored, damaged, len(store))
	}
	after.invariants(t)
	for _, id := range []uint64{1, 3, 4, 5} {
		s := after.ByID(id)
		if s == nil {
			t.Fatalf("session %d is gone", id)
		}
		after.Remove(s)
	}
	after.invariants(t)
}

func TestWhatTheOwnerRefusesIsErased(t *testing.T) {
	wall, store := wallBase, memory{}
	before := newTable(store, &wall)
	for i := range 5 {
		add(t, before, hour, example(i), true)
	}
	restored, _ := newTable(store, &wall).Restore(hour, func(s *Session) bool { return s.ID != 3 })
	if restored != 4 || len(store) != 4 {
		t.Errorf("restored %d, %d records left; want 4", restored, len(store))
	}
}

func openFile(t *testing.T, path string, slots int) *File {
	t.Helper()
	f, setAside, err := OpenFile(path, slots)
	if err != nil || setAside {
		t.Fatalf("open: %v, set aside %v", err, setAside)
	}
	return f
}

func records(f *File) map[int]string {
	m := map[int]string{}
	f.Records(func(slot int, rec []byte) { m[slot] = string(rec) })
	return m
}

func rec(fill byte) []byte { return bytes.Repeat([]byte{fill}, RecordLen) }

func TestAFileKeepsItsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	f := openFile(t, path, 10)
	f.Write(0, rec(1))
	f.Write(9, rec(2))
	f.Write(10, rec(3)) // no room
	f.Write(-1, rec(3))
	f.Write(5, rec(4))
	f.Erase(5)
	f.Erase(99)
	want := map[int]string{0: string(rec(1)), 9: string(rec(2))}
	same := func(f *File) {
		t.Helper()
		got := records(f)
		if len(got) != 2 || got[0] != want[0] || got[9] != want[9] {
			t.Errorf("records %v", got)
		}
	}
	same(f)
	if f.Lost != 2 {
		t.Errorf("lost %d, want 2", f.Lost)
	}
	// A process that is killed closes nothing: another sees the same bytes.
	same(openFile(t, path, 10))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	same(openFile(t, path, 10))
	same(openFile(t, path, 5)) // smaller than before: nothing is cut off
	same(openFile(t, path, 1000))
}

func TestAFileOfAnotherFormatIsSetAside(t *testing.T) {
	header := func(edit func([]byte)) []byte {
		path := filepath.Join(t.TempDir(), "x")
		if err := openFile(t, path, 4).Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		edit(b)
		return b
	}
	for name, content := range map[string][]byte{
		"text":                   []byte("what is this\n"),
		"a few bytes":            []byte("cw"),
		"zeros":                  make([]byte, 200),
		"another version":        header(func(b []byte) { b[7] = '9' }),
		"another record length":  header(func(b []byte) { b[11]++ }),
		"larger than the header": bytes.Repeat([]byte("x"), 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sessions")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, setAside, err := OpenFile(path, 4)
			if err != nil || !setAside {
				t.Fatalf("err %v, set aside %v", err, setAside)
			}
			defer f.Close()
			if old, err := os.ReadFile(path + ".old"); err != nil || !bytes.Equal(old, content) {
				t.Errorf("what was there is lost: %v", err)
			}
			if got := records(f); len(got) != 0 {
				t.Errorf("records %v in a new file", got)
			}
			f.Write(3, rec(7))
			if got := records(f); got[3] != string(rec(7)) {
				t.Errorf("the new file keeps nothing: %v", got)
			}
		})
	}
}

func TestATruncatedFileLosesOnlyItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	f := openFile(t, path, 10)
	f.Write(1, rec(1))
	f.Write(9, rec(2))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, fileHeader+9*RecordLen+10); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, path, 10)
	defer f.Close()
	if got := records(f); got[1] != string(rec(1)) || got[9] == string(rec(2)) {
		t.Errorf("records %v", got)
	}
}

// A full disk answers a write to a sparse mapping as a file that was cut short
// does: with SIGBUS.
func TestAMappingWithoutADiskBehindItDoesNotEndTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	f := openFile(t, path, 1000)
	f.Write(0, rec(1))
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	f.Write(900, rec(2))
	f.Erase(901)
	if f.Lost != 2 {
		t.Errorf("lost %d, want 2", f.Lost)
	}
	if got := records(f); got[0] != string(rec(1)) || len(got) != 1 {
		t.Errorf("records %v", got)
	}
}

func TestNoSessionFileWhereThereCanBeNone(t *testing.T) {
	if _, _, err := OpenFile(filepath.Join(t.TempDir(), "no", "such", "folder"), 4); err == nil {
		t.Error("opened a file in a folder that is not there")
	}
}

// FuzzDecode gives records that pass the sum, whatever they say.
func FuzzDecode(f *testing.F) {
	s := example(1)
	var good [RecordLen]byte
	encode(good[:], &s, false, 1)
	f.Add(good[:])
	f.Add(make([]byte, RecordLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > RecordLen {
			b = b[:RecordLen]
		}
		if len(b) == RecordLen { // let the fuzzer past the sum
			b[0] = recordFormat
			be32(b[2:], sum(b[:RecordLen]))
		}
		s, proven, last, ok := decode(b)
		if !ok {
			return
		}
		var again [RecordLen]byte
		encode(again[:], &s, proven, last)
		got, proven2, last2, ok := decode(again[:])
		if !ok || kept(got) != kept(s) || proven2 != proven || last2 != last {
			t.Errorf("changed on its way: %+v, %+v", got, s)
		}
		// Whatever it says, a table takes it in or leaves it out.
		store := memory{0: [RecordLen]byte(b[:RecordLen]), 3: again}
		wall := time.Unix(0, last)
		table := newTable(store, &wall)
		table.Restore(hour, everything)
		table.invariants(t)
		table.Sweep(hour, 10)
		table.invariants(t)
	})
}

func be32(b []byte, v uint32) { b[0], b[1], b[2], b[3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v) }
