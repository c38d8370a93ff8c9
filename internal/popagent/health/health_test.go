package health

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"causeway/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name, seen string // + is an answer, - silence
		up, down   int
		want       string // the verdict after each: u, d, or . while unknown
	}{
		{"the first answer is enough", "+", 3, 3, "u"},
		{"silence from the start takes its time", "---", 3, 3, "..d"},
		{"one lost probe changes nothing", "+--+--+", 3, 3, "uuuuuuu"},
		{"so many in a row do", "+---", 3, 3, "uuud"},
		{"one answer does not bring it back", "---+-+-", 3, 3, "..ddddd"},
		{"so many in a row do", "--++-+++", 3, 2, ".ddddddu"},
		{"thresholds of one follow everything", "+-+-", 1, 1, "udud"},
	} {
		th, got := NewThreshold(c.up, c.down), ""
		for _, s := range c.seen {
			th.See(s == '+')
			switch {
			case !th.Known():
				got += "."
			case th.Up():
				got += "u"
			default:
				got += "d"
			}
		}
		if got != c.want {
			t.Errorf("%s: %s gives %s, want %s", c.name, c.seen, got, c.want)
		}
	}
}

// However answers and silences come, a verdict changes no more often than the
// thresholds allow.
func TestVerdictsDoNotFlapFasterThanTheirThresholds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		up, down := rapid.IntRange(1, 10).Draw(t, "up"), rapid.IntRange(1, 10).Draw(t, "down")
		th, last := NewThreshold(up, down), 0
		for i, answered := range rapid.SliceOfN(rapid.Bool(), 0, 200).Draw(t, "seen") {
			knew := th.Known()
			if !th.See(answered) {
				continue
			}
			least := down
			if th.Up() {
				least = up
			}
			if knew && i-last < least {
				t.Fatalf("changed %d probes after the change before, with thresholds of %d and %d", i-last, up, down)
			}
			last = i
		}
	})
}

// site is a web server that can be switched off.
type site struct {
	*httptest.Server
	off   atomic.Bool
	asked atomic.Int64
}

func newSite(t *testing.T) *site {
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		if s.off.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// asking is a snapshot whose groups, all of them of the one site, are checked.
func (s *site) asking(groups ...string) snapshot.Snapshot {
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	var list []snapshot.EndpointGroup
	for _, g := range groups {
		list = append(list, snapshot.EndpointGroup{
			Name: g, PoP: "here", EgressIP: snapshot.Address{Bind: loopback}, Endpoints: []snapshot.Endpoint{{Address: at.Addr()}},
			Health: &snapshot.HealthCheck{Probe: snapshot.ProbeHTTP, Port: at.Port(), Interval: 5 * time.Millisecond, Timeout: 20 * time.Second, Up: 2, Down: 2},
		})
	}
	return snapshot.Snapshot{PoP: snapshot.PoP{Name: "here"}, EndpointGroups: list}
}

// run runs a monitor for the test's length; what it tells comes out.
func run(t *testing.T) (*Monitor, <-chan string) {
	told := make(chan string, 10000)
	m := New(func(group string, endpoint netip.Addr, up bool, rtt time.Duration) error {
		if up != (rtt > 0) {
			t.Errorf("up %v with a round-trip time of %v", up, rtt)
		}
		told <- fmt.Sprintf("%s %v", group, up)
		return nil
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return m, told
}

// next waits for what is told next.
func next(t *testing.T, told <-chan string) string {
	t.Helper()
	select {
	case s := <-told:
		return s
	case <-time.After(time.Minute):
		t.Fatal("nothing is told")
		return ""
	}
}

func TestAMonitorTellsWhatChanges(t *testing.T) {
	s := newSite(t)
	m, told := run(t)
	m.Set(s.asking("a"))
	if got := next(t, told); got != "a true" {
		t.Fatal(got)
	}
	s.off.Store(true)
	if got := next(t, told); got != "a false" {
		t.Fatal(got)
	}
	s.off.Store(false)
	if got := next(t, told); got != "a true" {
		t.Fatal(got)
	}
}

func TestOneEndpointOfTwoGroupsIsAskedOnce(t *testing.T) {
	s := newSite(t)
	if n := len(Targets(s.asking("a", "b"))); n != 1 {
		t.Fatalf("%d targets", n)
	}
	m, told := run(t)
	m.Set(s.asking("a", "b"))
	got := map[string]bool{next(t, told): true, next(t, told): true}
	if !got["a true"] || !got["b true"] {
		t.Errorf("told %v", got)
	}
}

func TestANewGroupIsToldWhatIsKnownAndOneThatGoesIsLeftAlone(t *testing.T) {
	s := newSite(t)
	m, told := run(t)
	m.Set(s.asking("a"))
	next(t, told)
	m.Set(s.asking("b")) // told at once, not at the next change
	for next(t, told) != "b true" {
	}
	m.Set(snapshot.Snapshot{PoP: snapshot.PoP{Name: "here"}})
	for before := int64(-1); ; { // it stops asking
		now := s.asked.Load()
		if now == before {
			break
		}
		before = now
		time.Sleep(100 * time.Millisecond)
	}
}

func TestOnlyGroupsThatLeaveHereAndAreCheckedAreAsked(t *testing.T) {
	s := newSite(t).asking("a", "b", "c")
	s.EndpointGroups[0].PoP = "elsewhere"
	s.EndpointGroups[1].Health = nil
	for at, groups := range Targets(s) {
		if len(groups) != 1 || groups[0] != "c" || at.Check.Path != "/" {
			t.Errorf("%+v for %v", at, groups)
		}
	}
}

func TestIKEIsAskedNoMoreThanOnceASecondForAllGroupsTogether(t *testing.T) {
	m := New(nil, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // so that turn does not wait, and says so
	began := time.Now()
	if m.turn(ctx, loopback) {
		t.Error("a turn for what has ended")
	}
	for range 3 {
		m.turn(ctx, loopback)
	}
	if at := m.ikeAt[loopback]; at.Before(began.Add(4*ikeGap)) || at.After(time.Now().Add(4*ikeGap)) {
		t.Errorf("after four turns the next is %v after the first, want 4 s", at.Sub(began))
	}
}
