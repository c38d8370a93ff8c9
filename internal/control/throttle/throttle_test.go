package throttle

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// clock is a time that the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) pass(d time.Duration)    { c.at = c.at.Add(d) }
func addr(s string) (a netip.Addr)       { return netip.MustParseAddr(s) }
func start(l Limits) (*Throttle, *clock) { c := &clock{time.Unix(1, 0)}; return New(l, c.now), c }

func TestACallerMayAskSoOftenAndNoOtherPaysForIt(t *testing.T) {
	s, c := start(Limits{Rate: 2, Burst: 3})
	for i := range 3 {
		if wait := s.Ask("a"); wait != 0 {
			t.Fatalf("request %d must wait %v", i, wait)
		}
	}
	if wait := s.Ask("a"); wait != 500*time.Millisecond {
		t.Errorf("the fourth at once must wait %v, want 500ms", wait)
	}
	if wait := s.Ask("b"); wait != 0 {
		t.Errorf("another caller must wait %v", wait)
	}
	c.pass(500 * time.Millisecond)
	if s.Ask("a") != 0 {
		t.Error("after the wait it is refused")
	}
	if s.Ask("a") == 0 {
		t.Error("one wait let two requests through")
	}
	c.pass(time.Hour)
	for i := range 3 {
		if s.Ask("a") != 0 {
			t.Errorf("after an hour, request %d is refused", i)
		}
	}
	if s.Ask("a") == 0 {
		t.Error("an hour of silence saved up more than the burst")
	}
	if n := s.Refused(); n.Rate != 3 || n.SignIns != 0 {
		t.Errorf("refused are %+v, want 3 by rate", n)
	}
}

func TestAClockThatIsSetBackDoesNotLockOut(t *testing.T) {
	s, c := start(Limits{Rate: 1, Burst: 1})
	s.Ask("a")
	c.pass(-time.Hour)
	if wait := s.Ask("a"); wait > time.Second {
		t.Errorf("it must wait %v", wait)
	}
	c.pass(time.Second)
	if s.Ask("a") != 0 {
		t.Error("it is refused a second later")
	}
}

func TestNoLimitAndNoThrottleLetEverythingThrough(t *testing.T) {
	unlimited, _ := start(Limits{Rate: -1})
	for _, s := range []*Throttle{unlimited, nil} {
		for range DefaultBurst * 2 {
			if s.Ask("a") != 0 {
				t.Fatal("a request was refused")
			}
		}
	}
	var none *Throttle
	none.Failed(addr("192.0.2.1"))
	none.Proven(addr("192.0.2.1"), "a")
	if none.Knock(addr("192.0.2.1"), "a") != 0 || none.Refused() != (Counts{}) {
		t.Error("without a throttle something was refused")
	}
}

func TestAnAddressThatFailsIsHeldOffAndNobodyElse(t *testing.T) {
	s, c := start(Limits{})
	guesser, same := addr("2001:db8:0:1::1"), addr("2001:db8:0:1::2")
	s.Proven(same, "CWKNOWN")
	for i := range FailedBurst {
		if wait := s.Knock(guesser, fmt.Sprint("guess", i)); wait != 0 {
			t.Fatalf("guess %d must wait %v", i, wait)
		}
		s.Failed(guesser)
	}
	for name, k := range map[string]struct {
		from netip.Addr
		name string
		held bool
	}{
		"the guesser":                            {guesser, "guess", true},
		"the guesser without a name":             {guesser, "", true},
		"its neighbour in the same /64":          {same, "CWOTHER", true},
		"a key that signed in from there before": {same, "CWKNOWN", false},
		"the next /64":                           {addr("2001:db8:0:2::1"), "guess", false},
		"an IPv4 address":                        {addr("192.0.2.1"), "guess", false},
	} {
		if wait := s.Knock(k.from, k.name); (wait > 0) != k.held || wait > FailedEvery {
			t.Errorf("%s must wait %v", name, wait)
		}
	}
	c.pass(FailedEvery)
	if s.Knock(guesser, "guess") != 0 {
		t.Error("after the wait it is refused")
	}
	s.Failed(guesser)
	c.pass(provenFor)
	for range FailedBurst + 1 {
		s.Failed(same)
	}
	if s.Knock(same, "CWKNOWN") == 0 {
		t.Error("a key that signed in long ago is let through")
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	s, _ := start(Limits{Rate: 1, Burst: 2})
	for i := range maxKept + 500 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		s.Ask(a.String())
		s.Failed(a)
		s.Proven(a, "x")
	}
	if len(s.callers.of) > maxKept || len(s.failed.of) > maxKept || len(s.proven) > maxKept {
		t.Errorf("it remembers %d callers, %d addresses, %d pairs; allowed %d", len(s.callers.of), len(s.failed.of), len(s.proven), maxKept)
	}
}

func TestWhoComesWithoutACertificateIsBoundedByItsFailures(t *testing.T) {
	s, _ := start(Limits{})
	status := http.StatusUnauthorized
	h := s.Agents(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	ask := func(from string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/causeway.agent.v1.EnrolmentService/Enrol", nil)
		r.RemoteAddr = from
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(w, r)
		return w
	}
	for range FailedBurst {
		if w := ask("192.0.2.1:1000"); w.Code != status {
			t.Fatalf("a request ends with %d", w.Code)
		}
	}
	if w := ask("192.0.2.1:1001"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "5" {
		t.Errorf("the next ends with %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	status = http.StatusOK
	for range FailedBurst * 2 {
		if w := ask("192.0.2.2:1000"); w.Code != http.StatusOK {
			t.Fatalf("a good request ends with %d", w.Code)
		}
	}
}
