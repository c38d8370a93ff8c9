package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causeway/internal/report"
)

// clock is a store's clock, set by hand.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

var noon = time.Unix(1_800_000_000, 0).Truncate(time.Hour)

func open(t *testing.T, dir string, c *clock, maxBytes int64) *Store {
	t.Helper()
	var log bytes.Buffer
	s, err := Open(dir, Options{Now: c.Now, MaxBytes: maxBytes, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
		s.Close()
	})
	return s
}

var seoul = Key{PoP: "sh1", Kind: "plain", Name: "se1"}

// probe is the row of one ping: its time, or NaN when it was lost.
func probe(rtt float64) []float64 {
	if math.IsNaN(rtt) {
		return []float64{1, 1, rtt, rtt, rtt}
	}
	return []float64{1, 0, rtt, rtt, rtt}
}

func add(t *testing.T, s *Store, k Key, at time.Time, row []float64) {
	t.Helper()
	if err := s.Add(k, at, row); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s *Store, q Query) Series {
	t.Helper()
	got, err := s.Read(q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func sum(values []float64) (n float64) {
	for _, v := range values {
		if !math.IsNaN(v) {
			n += v
		}
	}
	return n
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	c := &clock{noon}
	s := open(t, t.TempDir(), c, 0)
	for i := range 1200 { // every fourth is lost
		c.now = noon.Add(time.Duration(i) * time.Second)
		rtt := 30 + float64(i%10)
		if i%4 == 0 {
			rtt = math.NaN()
		}
		add(t, s, seoul, c.now, probe(rtt))
	}
	fine := read(t, s, Query{Key: seoul, From: noon, To: noon.Add(time.Hour)})
	if fine.Step != time.Second || len(fine.Times) != 1200 || sum(fine.Column("lost")) != 300 || fine.Column("rtt_ms")[1] != 31 || !math.IsNaN(fine.Column("rtt_ms")[4]) {
		t.Errorf("a second apart: step %v, %d points, %v lost", fine.Step, len(fine.Times), sum(fine.Column("lost")))
	}
	for points, step := range map[int]time.Duration{400: 10 * time.Second, 12: 5 * time.Minute, 2: 30 * time.Minute} {
		got := read(t, s, Query{Key: seoul, From: noon, To: noon.Add(time.Hour), Points: points})
		if got.Step != step || len(got.Times) > points || sum(got.Column("sent")) != 1200 || sum(got.Column("lost")) != 300 {
			t.Errorf("with %d points: step %v, %d points, %v of %v lost", points, got.Step, len(got.Times), sum(got.Column("lost")), sum(got.Column("sent")))
		}
		if low, high := got.Column("rtt_min_ms")[0], got.Column("rtt_max_ms")[0]; low < 30 || low > 31 || high < 38 || high > 39 {
			t.Errorf("with %d points: delays from %v to %v", points, low, high)
		}
	}
}

// A ring has what its span says and no more, whatever was in it before.
func TestOldSlotsMakePlaceForNew(t *testing.T) {
	c := &clock{noon}
	s := open(t, t.TempDir(), c, 0)
	k := Key{PoP: "sh1", Kind: "route", Name: "se1"}
	row := []float64{1, 30, 30, 0, 0, 0, 0}
	for i := 0; i < 3*3600; i += 7 {
		c.now = noon.Add(time.Duration(i) * time.Second)
		row[1] = float64(i)
		add(t, s, k, c.now, row)
	}
	got := read(t, s, Query{Key: k, From: c.now.Add(-time.Hour), To: c.now})
	if len(got.Times) < 3600/7-1 || len(got.Times) > 3600/7+2 {
		t.Errorf("an hour has %d of %d slots", len(got.Times), 3600/7)
	}
	for i, at := range got.Times {
		if want := float64(at - noon.Unix()); got.Column("rtt_ms")[i] != want {
			t.Fatalf("at %v stands %v", want, got.Column("rtt_ms")[i])
		}
	}
	if all := read(t, s, Query{Key: k, From: noon, To: c.now}); all.Step != 10*time.Second {
		t.Errorf("three hours are read %v apart", all.Step)
	}
	if month := read(t, s, Query{Key: k, From: noon.AddDate(0, 0, -30), To: c.now}); month.Step != 5*time.Minute {
		t.Errorf("a month is read %v apart", month.Step)
	}
}

// Killed means: nothing was closed. What was written is there, and the coarse
// slot that was open goes on.
func TestAStoreThatWasKilledGoesOn(t *testing.T) {
	c, dir := &clock{noon}, t.TempDir()
	s := open(t, dir, c, 0)
	for i := range 100 {
		c.now = noon.Add(time.Duration(i) * time.Second)
		add(t, s, seoul, c.now, probe(30))
	}
	again := open(t, dir, c, 0) // beside the old one, which closes later: the same content
	for i := 100; i < 200; i++ {
		c.now = noon.Add(time.Duration(i) * time.Second)
		add(t, again, seoul, c.now, probe(50))
	}
	for _, points := range []int{0, 60, 12} {
		got := read(t, again, Query{Key: seoul, From: noon, To: noon.Add(time.Hour), Points: points})
		if n := sum(got.Column("sent")); n != 200 {
			t.Errorf("%d points: %v of 200 are there, %v apart", points, n, got.Step)
		}
	}
}

func TestATornSlotIsAbsentAndItsNeighboursAreThere(t *testing.T) {
	c, dir := &clock{noon}, t.TempDir()
	s := open(t, dir, c, 0)
	for i := range 10 {
		c.now = noon.Add(time.Duration(i) * time.Second)
		add(t, s, seoul, c.now, probe(30))
	}
	h := headOf(seoul)
	file, err := os.OpenFile(filepath.Join(dir, fileName(seoul)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	slot := noon.Add(4*time.Second).Unix() % int64(h.tiers[0].Slots)
	if _, err := file.WriteAt([]byte{0xde, 0xad}, h.offset(0, slot)+9); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, Query{Key: seoul, From: noon, To: c.now}); len(got.Times) != 9 {
		t.Errorf("%d of 10 slots are there, one being torn", len(got.Times))
	}
}

// Whatever happens to a file, the store opens, sets it aside and goes on.
func TestADamagedFileIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"its head is overwritten": func(p string) error { return patch(p, 20, []byte{1, 2, 3}) },
		"it is cut short":         func(p string) error { return os.Truncate(p, 1000) },
		"its head is cut short":   func(p string) error { return os.Truncate(p, 100) },
		"it is something else":    func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) },
		"it is another series'":   func(p string) error { return patch(p, 0, headBytes(Key{"x", "plain", "y"})) },
		"it is of another version": func(p string) error {
			h := headOf(seoul)
			h.tiers = h.tiers[:1]
			return patch(p, 0, h.encode())
		},
	} {
		c, dir := &clock{noon}, t.TempDir()
		s := open(t, dir, c, 0)
		add(t, s, seoul, noon, probe(30))
		s.Close()
		path := filepath.Join(dir, fileName(seoul))
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s, err := Open(dir, Options{Now: c.Now, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		add(t, s, seoul, noon.Add(time.Second), probe(31))
		if got := read(t, s, Query{Key: seoul, From: noon, To: noon.Add(time.Minute)}); len(got.Times) != 1 {
			t.Errorf("%s: %d slots after it was begun anew", name, len(got.Times))
		}
		if _, n := s.Stats(); n != 1 || !strings.Contains(log.String(), "set aside") {
			t.Errorf("%s: %d set aside; the log says %s", name, n, log.String())
		}
		if kept, _ := filepath.Glob(path + ".aside-*"); len(kept) != 1 {
			t.Errorf("%s: kept %v", name, kept)
		}
		s.Close()
	}
}

func headBytes(k Key) []byte { h := headOf(k); return h.encode() }

func patch(path string, at int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(b, at)
	return err
}

func TestFilesSetAsideDoNotPileUp(t *testing.T) {
	c, dir := &clock{noon}, t.TempDir()
	for range 20 {
		c.now = c.now.Add(time.Second)
		if err := os.WriteFile(filepath.Join(dir, fileName(seoul)), []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, dir, c, 0).Close()
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*.aside-*")); len(kept) != asideKept {
		t.Errorf("%d files are kept", len(kept))
	}
}

// The disk is bounded: a new series gets the place of one that nobody writes to.
func TestTheStoreIsBounded(t *testing.T) {
	c := &clock{noon}
	h := headOf(Key{Kind: "route"})
	s := open(t, t.TempDir(), c, 2*h.size())
	row := make([]float64, len(h.columns))
	key := func(name string) Key { return Key{PoP: "p", Kind: "route", Name: name} }
	add(t, s, key("a"), c.now, row)
	add(t, s, key("b"), c.now, row)
	if err := s.Add(key("c"), c.now, row); !errors.Is(err, ErrFull) {
		t.Errorf("a third series: %v", err)
	}
	c.now = noon.Add(2 * time.Hour)
	add(t, s, key("b"), c.now, row)
	add(t, s, key("c"), c.now, row)
	if keys := s.List(); len(keys) != 2 || keys[0].Name != "b" || keys[1].Name != "c" {
		t.Errorf("kept are %v", keys)
	}
}

func TestWrongInputIsRefused(t *testing.T) {
	c := &clock{noon}
	s := open(t, t.TempDir(), c, 0)
	for name, err := range map[string]error{
		"a kind that is not":    s.Add(Key{Kind: "x"}, noon, nil),
		"too few values":        s.Add(seoul, noon, []float64{1}),
		"a clock before 1970":   s.Add(seoul, time.Time{}, probe(1)),
		"a very long name":      s.Add(Key{Kind: "plain", Name: strings.Repeat("x", 500)}, noon, probe(1)),
		"a series that is not":  errOf(s.Read(Query{Key: seoul, From: noon, To: noon.Add(1)})),
		"a time that is none":   errOf(s.Read(Query{Key: seoul, From: noon, To: noon})),
		"kinds read by mistake": errOf(s.Read(Query{From: noon, To: noon.Add(1)})),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	s.Close()
	if err := s.Add(seoul, noon, probe(1)); err == nil {
		t.Error("a closed store takes values")
	}
}

func errOf(_ Series, err error) error { return err }

func TestJSONHasNullWhereThereIsNoValue(t *testing.T) {
	c := &clock{noon}
	s := open(t, t.TempDir(), c, 0)
	add(t, s, seoul, noon, probe(math.NaN()))
	q := Query{Key: seoul, From: noon.Add(-time.Minute), To: noon.Add(time.Minute)}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/history"+q.URL(), nil))
	var back Series
	if err := json.Unmarshal(w.Body.Bytes(), &back); err != nil || w.Code != 200 {
		t.Fatalf("%d %v: %s", w.Code, err, w.Body)
	}
	if back.Key != seoul || len(back.Times) != 1 || !math.IsNaN(back.Column("rtt_ms")[0]) || back.Column("lost")[0] != 1 || back.Column("x") != nil {
		t.Errorf("came back as %+v", back)
	}
	for path, code := range map[string]int{
		"/history": 200, "/history?kind=plain": 400, "/history?kind=plain&from=1&to=2": 404, "/history?kind=plain&from=1&to=x": 400,
		"/history?kind=zzz&from=1&to=2": 422, "/history?kind=plain&from=1&to=2&points=-1": 400,
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != code {
			t.Errorf("%s: %d, not %d", path, w.Code, code)
		}
	}
}

// Rates come from what counters did between two reports; a restart gives none.
func TestReportsBecomeSeries(t *testing.T) {
	c := &clock{noon}
	s := open(t, t.TempDir(), c, 0)
	r := NewRecorder(s)
	at := func(second int, started time.Time, bytes, arrived, expired uint64) report.PoP {
		return report.PoP{
			Name: "sh1", At: noon.Add(time.Duration(second) * time.Second), Started: started,
			Sessions:  report.Sessions{Confirmed: 3},
			Listeners: []report.Listener{{Name: "l", Accelerator: "a", Sessions: 3, Traffic: report.Traffic{BytesToPeer: bytes}}, {Name: "m", Accelerator: "a", Traffic: report.Traffic{BytesToPeer: bytes}}},
			Segments: []report.Segment{{Peer: "se1", Up: true, RTT: 31, Repair: report.Repair{ToPeer: report.RepairCost{Carried: bytes},
				ToHere: report.RepairResult{RawLoss: .3, Arrived: arrived, Expired: expired}}}},
			Routes: []report.Route{{To: "se1", Up: true, Traffic: report.Traffic{PacketsToPeer: bytes}, Candidates: []report.Candidate{{Chosen: true, RTT: 31, Loss: .3}}}},
		}
	}
	for i, p := range []report.PoP{at(0, noon, 0, 0, 0), at(1, noon, 1000, 90, 10), at(2, noon, 3000, 190, 10), at(3, noon.Add(1), 10, 0, 0), at(4, noon.Add(1), 135, 5, 0)} {
		if err := r.Add(p); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	c.now = noon.Add(time.Minute)
	got := func(kind, name, column string) []float64 {
		series := read(t, s, Query{Key: Key{"sh1", kind, name}, From: noon, To: c.now})
		return series.Column(column)
	}
	for what, pair := range map[string][2][]float64{
		"listener":    {got("listener", "l", "to_client_bps"), {8000, 16000, 1000}},
		"accelerator": {got("accelerator", "a", "to_client_bps"), {16000, 32000, 2000}},
		"residual":    {got("segment", "se1", "residual_loss"), {.1, 0, 0}},
		"route":       {got("route", "se1", "rtt_ms"), {31, 31, 31}},
		"pop":         {got("pop", "", "sessions"), {3, 3, 3}},
	} {
		if len(pair[0]) != len(pair[1]) {
			t.Errorf("%s: %v, not %v", what, pair[0], pair[1])
			continue
		}
		for i := range pair[0] {
			if math.Abs(pair[0][i]-pair[1][i]) > 1e-6 {
				t.Errorf("%s: %v, not %v", what, pair[0], pair[1])
			}
		}
	}
}

func TestKindNamesAreThoseOfKinds(t *testing.T) {
	if len(KindNames()) != len(Kinds) {
		t.Errorf("%d names, %d kinds", len(KindNames()), len(Kinds))
	}
	for _, name := range KindNames() {
		k := Kinds[name]
		for i, tier := range k.Tiers {
			if tier.Step%time.Second != 0 || i > 0 && tier.Step%k.Tiers[i-1].Step != 0 {
				t.Errorf("%s: tier %d has a step of %v", name, i, tier.Step)
			}
		}
		if h := headOf(Key{Kind: name}); len(h.encode()) != headSize {
			t.Errorf("%s: its head has %d bytes", name, len(h.encode()))
		}
	}
}
