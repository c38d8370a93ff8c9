package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"causeway/internal/mono"

	"pgregory.net/rapid"
)

const epoch = mono.Time(time.Hour)

// stage lets time pass for a Chooser, ten looks a second, and notes what changes.
type stage struct {
	t        *testing.T
	c        Chooser
	all      []Candidate
	now      mono.Time
	last     Decision
	switches []time.Duration // when, since the beginning
}

// newStage has one candidate for each word: its relays, joined by +, or direct.
func newStage(t *testing.T, routes string) *stage {
	s := &stage{t: t, now: epoch, last: Decision{Main: -1, Also: -1}}
	for _, word := range strings.Fields(routes) {
		c := Candidate{Route: Route{To: "kr"}, Alive: true}
		if word != "direct" {
			c.Route.Via = strings.Split(word, "+")
		}
		c.Segments = make([]Quality, len(c.Route.Via)+1)
		s.all = append(s.all, c)
	}
	return s
}

func (s *stage) find(name string) *Candidate {
	for i := range s.all {
		if strings.Join(s.all[i].Route.Via, "+") == name || name == "direct" && s.all[i].Route.Direct() {
			return &s.all[i]
		}
	}
	s.t.Fatalf("the script names %q", name)
	return nil
}

// do obeys one line and returns what is in use afterwards, "b" or "b and a". Lines:
//
//	ROUTE rtt=MS loss=PERCENT doubt=PERCENT price=N   its segments from now on, evenly
//	ROUTE dead | alive | unknown
//	pin ROUTE | unpin
//	wait MS                              in looks of 100 ms
//	look                                 at once
func (s *stage) do(line string) string {
	word := strings.Fields(line)
	switch word[0] {
	case "wait":
		var n int
		fmt.Sscan(word[1], &n)
		for end := s.now.Add(time.Duration(n) * time.Millisecond); s.now < end; {
			s.now = s.now.Add(100 * time.Millisecond)
			s.look()
		}
	case "look":
		s.look()
	case "pin":
		s.c.Pinned = &s.find(word[1]).Route
		return ""
	case "unpin":
		s.c.Pinned = nil
		return ""
	default:
		s.set(s.find(word[0]), word[1:])
		return ""
	}
	return s.using()
}

func (s *stage) set(c *Candidate, words []string) {
	for _, w := range words {
		var x float64
		n := float64(len(c.Segments))
		for i := range c.Segments {
			q := &c.Segments[i]
			switch {
			case w == "dead" || w == "alive":
				c.Alive = w == "alive"
			case w == "unknown":
				*q = Quality{}
			case scan(w, "rtt=%g", &x):
				q.Known, q.RTT = true, time.Duration(x/n*1e6)
				q.OneWay = q.RTT / 2
			case scan(w, "loss=%g", &x):
				q.Loss = x / n / 100
				q.Conditional = q.Loss
			case scan(w, "doubt=%g", &x):
				q.Doubt = x / n / 100
			case scan(w, "burst=%g", &x):
				q.Conditional = x / 100
			case scan(w, "price=%g", &x):
				c.Price = x
			default:
				s.t.Fatalf("the script says %q", w)
			}
		}
	}
}

func scan(w, format string, x *float64) bool {
	n, _ := fmt.Sscanf(w, format, x)
	return n == 1
}

func (s *stage) look() {
	d := s.c.Choose(s.now, s.all)
	if d.Switched {
		s.switches = append(s.switches, s.now.Sub(epoch))
	}
	s.last = d
}

func (s *stage) using() string {
	name := func(i int) string { return strings.Join(append([]string{}, s.all[i].Route.Via...), "+") }
	if s.last.Main < 0 {
		return "nothing"
	}
	text := name(s.last.Main)
	if text == "" {
		text = "direct"
	}
	if s.last.Also >= 0 {
		other := name(s.last.Also)
		if other == "" {
			other = "direct"
		}
		text += " and " + other
	}
	return text
}

func TestChoose(t *testing.T) {
	tests := []struct {
		name   string
		mode   Mode
		routes string
		script []string // line, what is in use then, line, ...
	}{
		{"with nothing measured the first listed that is alive is taken", Measured, "direct a b", []string{
			"direct dead", "", "look", "a", "wait 60000", "a"}},
		{"with nothing alive the first listed is taken", Measured, "direct a", []string{
			"direct dead", "", "a dead", "", "look", "direct", "wait 60000", "direct", "a alive", "", "look", "a"}},
		{"with all measured the best is taken at once", Measured, "direct a", []string{
			"direct rtt=100", "", "a rtt=60", "", "look", "a"}},
		{"a choice made blind is put right after a second", Measured, "direct a", []string{
			"look", "direct", "direct rtt=100", "", "a rtt=60", "", "wait 1000", "direct", "wait 200", "a"}},
		{"what is not measured is not taken for better", Measured, "direct a", []string{
			"direct rtt=300 loss=30", "", "look", "direct", "wait 60000", "direct"}},
		{"a little better is not better", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=100", "", "look", "direct", "a rtt=52", "", "wait 60000", "direct"}},
		{"a tenth of a long way is not enough either", Measured, "direct a", []string{
			"direct rtt=300", "", "a rtt=400", "", "look", "direct", "a rtt=280", "", "wait 60000", "direct"}},
		{"better must last three seconds", Measured, "direct a", []string{
			"direct rtt=100", "", "a rtt=110", "", "look", "direct", "wait 60000", "direct",
			"a rtt=40", "", "wait 2900", "direct", "a rtt=110", "", "wait 1000", "direct",
			"a rtt=40", "", "wait 3000", "direct", "wait 200", "a"}},
		{"a route in use is kept for fifteen seconds", Measured, "direct a", []string{
			"direct rtt=100", "", "a rtt=110", "", "look", "direct", "a rtt=60", "", "wait 14900", "direct", "wait 300", "a"}},
		{"loss counts as the delay that repair takes", Measured, "direct a", []string{
			"direct rtt=60 loss=20", "", "a rtt=90", "", "look", "a"}},
		{"a dead route is left at the first look", Measured, "direct a b", []string{
			"direct rtt=40", "", "a rtt=90", "", "b rtt=80", "", "look", "direct", "wait 1000", "direct", "direct dead", "", "look", "b"}},
		{"dead routes that come back are not trusted at once", Measured, "direct a", []string{
			"direct rtt=40", "", "a rtt=90", "", "look", "direct", "direct dead", "", "wait 100", "a", "direct alive", "",
			"wait 14000", "a", "wait 2000", "direct"}},
		{"both dead: the one in use stays, and the first to come back is taken", Measured, "direct a", []string{
			"direct rtt=40", "", "a rtt=90", "", "look", "direct", "wait 20000", "direct", "direct dead", "", "a dead", "", "wait 1000", "direct",
			"a alive", "", "look", "a"}},
		{"a second death too soon: both carry everything", Measured, "direct a b", []string{
			"direct rtt=40", "", "a rtt=60", "", "b rtt=80", "", "look", "direct", "wait 20000", "direct",
			"direct dead", "", "look", "a", "wait 1000", "a", "a dead", "", "look", "a and b", "wait 8900", "a and b", "wait 200", "b"}},
		{"a sudden loss is left without waiting for the dwell", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=80", "", "look", "direct", "wait 2000", "direct", "direct loss=30", "", "wait 500", "direct", "wait 200", "a"}},
		{"a sudden delay too", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=80", "", "look", "direct", "wait 2000", "direct", "direct rtt=200", "", "wait 700", "a and direct"}},
		{"loss that may be chance is no reason to leave", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=80", "", "look", "direct", "direct loss=5 doubt=5", "", "wait 60000", "direct"}},
		{"nor is it a reason to come back when it is gone, if it may have been more than chance", Measured, "direct a", []string{
			"direct rtt=60 loss=5 doubt=5", "", "a rtt=80", "", "look", "a", "wait 60000", "a"}},
		{"trouble that all share moves nothing", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=80", "", "look", "direct", "direct loss=20", "", "a loss=20", "", "wait 60000", "direct"}},
		{"a pinned route is taken at once and kept although others are better", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=200", "", "look", "direct", "pin a", "", "look", "a and direct", "wait 60000", "a"}},
		{"a pinned route that dies is left, and taken again when it can be trusted", Measured, "direct a", []string{
			"direct rtt=60", "", "a rtt=200", "", "pin a", "", "look", "a", "wait 20000", "a", "a dead", "", "look", "direct", "a alive", "",
			"wait 9900", "direct", "wait 200", "a and direct", "unpin", "", "wait 14000", "a", "wait 2000", "direct"}},
		{"fixed: the first listed is used, however bad", Fixed, "direct a", []string{
			"direct rtt=200 loss=40", "", "a rtt=20", "", "wait 60000", "direct"}},
		{"fixed: a dead route is left at once and taken again later", Fixed, "direct a", []string{
			"look", "direct", "direct dead", "", "look", "a", "direct alive", "", "wait 14900", "a", "wait 200", "direct"}},
		{"what came alive first is left for what is better as soon as that is trusted", Measured, "direct a", []string{
			"direct dead", "", "a dead", "", "look", "direct", "a alive", "", "a rtt=80", "", "look", "a", "direct alive", "", "direct rtt=40", "",
			"wait 3000", "a", "wait 1500", "direct"}},
		{"a few probes that all arrived do not beat a loss that is well known", Measured, "direct a", []string{
			"direct rtt=60", "", "look", "direct", "direct loss=3", "", "a rtt=70 loss=0 doubt=6", "", "wait 60000", "direct", "a doubt=0", "", "wait 3200", "a"}},
		{"price decides between equals", Measured, "direct a", []string{
			"direct rtt=60 price=2", "", "a rtt=60", "", "look", "a"}},
		{"no candidates: nothing", Measured, "", []string{"look", "nothing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.routes)
			s.c.Mode = tt.mode
			for i := 0; i+1 < len(tt.script); i += 2 {
				if got := s.do(tt.script[i]); got != tt.script[i+1] {
					t.Fatalf("line %d, %q: using %s, want %s (%s)", i/2+1, tt.script[i], got, tt.script[i+1], s.last.Reason)
				}
			}
		})
	}
}

func TestTwoRoutesCarryEverythingWhenOneCannotMeetTheTarget(t *testing.T) {
	s := newStage(t, "direct a")
	apart := &Joint{}
	at := epoch
	for i := range 20000 { // each loses a tenth, apart from one another
		at = at.Add(10 * time.Millisecond)
		apart.Pair(at, i%10 == 0, i/10%10 == 0)
	}
	s.c.Joint = func(a, b Route) *Joint { return apart }
	s.c.Policy.Budget = 30 * time.Millisecond // no time for a second try
	s.do("direct rtt=60 loss=4")
	s.do("a rtt=70 loss=4")
	if got := s.do("look"); got != "direct and a" {
		t.Fatalf("using %s: %+v", got, s.last)
	}
	if !strings.Contains(s.last.Reason, "alone would lose") || !s.last.Until.IsZero() {
		t.Errorf("decision %+v", s.last)
	}
	if got := s.do("wait 30000"); got != "direct and a" || len(s.switches) != 1 {
		t.Errorf("using %s after %d switches", got, len(s.switches))
	}
	s.do("direct loss=0")
	if got := s.do("wait 2900"); got != "direct and a" {
		t.Errorf("the copy ended after less than 3 s: %s", got)
	}
	if got := s.do("wait 300"); got != "direct" {
		t.Errorf("the copy did not end: %s", got)
	}
}

func TestACopyThatWouldBeLostTogetherIsNotSent(t *testing.T) {
	s := newStage(t, "direct a")
	same := &Joint{}
	for i := range 20000 {
		same.Pair(epoch.Add(time.Duration(i)*time.Millisecond), i%25 == 0, i%25 == 0)
	}
	s.c.Joint = func(a, b Route) *Joint { return same }
	s.c.Policy.Budget = 30 * time.Millisecond
	s.do("direct rtt=60 loss=4")
	s.do("a rtt=70 loss=4")
	if got := s.do("wait 5000"); got != "direct" {
		t.Errorf("using %s: %s", got, s.last.Reason)
	}
}

// From the packets themselves: a route that begins to lose, or to queue, is left
// within two seconds although nothing is ever reported dead.
func TestAGrayPathIsLeftWithinTwoSecondsOfItsFirstLoss(t *testing.T) {
	tests := []struct {
		name    string
		rate    int
		trouble func(i int) (lost bool, more time.Duration)
	}{
		{"a tenth lost at 1000 packets a second", 1000, func(i int) (bool, time.Duration) { return i%10 == 3, 0 }},
		{"a third lost at 100 packets a second", 100, func(i int) (bool, time.Duration) { return i%3 == 1, 0 }},
		{"bursts of 50 ms at 1000 packets a second", 1000, func(i int) (bool, time.Duration) { return i%300 < 50, 0 }},
		{"half lost among ten probes a second", 10, func(i int) (bool, time.Duration) { return i%2 == 1, 0 }},
		{"150 ms more delay", 100, func(i int) (bool, time.Duration) { return false, 150 * time.Millisecond }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, "direct a")
			s.all[1].Segments = s.all[1].Segments[:1]
			var one, two Estimator
			gap := time.Second / time.Duration(tt.rate)
			begin := epoch.Add(20 * time.Second)
			for i := 0; s.now < begin.Add(10*time.Second); i++ {
				s.now = epoch.Add(time.Duration(i) * gap)
				lost, more := false, time.Duration(0)
				if s.now >= begin {
					lost, more = tt.trouble(i)
				}
				// Fates are known half a round trip and a little later.
				sent := s.now.Add(-50 * time.Millisecond)
				one.Fate(sent, lost)
				two.Fate(sent, false)
				if !lost {
					one.RTT(s.now, 60*time.Millisecond+more)
					one.OneWay(s.now, 30*time.Millisecond+more)
				}
				two.RTT(s.now, 80*time.Millisecond)
				two.OneWay(s.now, 40*time.Millisecond)
				if i%max(1, tt.rate/10) == 0 {
					s.all[0].Segments[0], s.all[1].Segments[0] = one.Quality(s.now), two.Quality(s.now)
					s.look()
				}
				if s.last.Main == 1 {
					break
				}
			}
			if took := s.now.Sub(begin); s.last.Main != 1 || took < 0 || took > 2*time.Second {
				t.Errorf("left after %v (%s)", took, s.last.Reason)
			}
		})
	}
}

func TestTheOldRouteIsMadeUseOfUntilTheNewOneHasArrived(t *testing.T) {
	s := newStage(t, "direct a")
	s.do("direct rtt=300")
	s.do("look")
	s.do("a rtt=120")
	for range 600 {
		if s.do("wait 100"); s.last.Main == 1 {
			break
		}
	}
	if s.last.Also != 0 || s.last.Until != s.now.Add(300*time.Millisecond) {
		t.Fatalf("at the switch: %+v", s.last)
	}
	if got := s.do("wait 200"); got != "a and direct" {
		t.Errorf("after 200 ms: %s", got)
	}
	if got := s.do("wait 100"); got != "a" {
		t.Errorf("after a round trip: %s", got)
	}
	s.do("direct dead")
	s.do("wait 20000")
	s.do("direct alive")
	s.do("wait 5000")
	s.do("a dead")
	if got := s.do("look"); got != "direct" {
		t.Errorf("a dead route still gets copies: %s", got)
	}
}

// A route that loses one probe in two hundred may be left for a longer one that loses
// none, once. The luck of a few probes must not lead back to it, and to and fro.
func TestTheLuckOfAFewProbesDoesNotFlap(t *testing.T) {
	for seed := range uint64(20) {
		s := newStage(t, "direct a")
		s.all[1].Segments = s.all[1].Segments[:1]
		r := rand.New(rand.NewPCG(seed, 3))
		var one, two Estimator
		for i := range 6000 { // ten minutes of ten probes a second
			s.now = epoch.Add(time.Duration(i) * 100 * time.Millisecond)
			one.Fate(s.now, i > 100 && r.Float64() < .005)
			two.Fate(s.now, false)
			one.RTT(s.now, 60*time.Millisecond)
			two.RTT(s.now, 75*time.Millisecond)
			s.all[0].Segments[0], s.all[1].Segments[0] = one.Quality(s.now), two.Quality(s.now)
			s.look()
		}
		if len(s.switches) > 2 {
			t.Errorf("seed %d: switches at %v", seed, s.switches)
		}
	}
}

// Two routes that are better by turns must not pull the traffic to and fro.
func TestHoldDownGrowsWithEachFlap(t *testing.T) {
	s := newStage(t, "direct a")
	s.do("a rtt=60")
	for i := range 60 { // twenty minutes
		s.do(fmt.Sprintf("direct rtt=%d", []int{50, 90}[i%2]))
		s.do("wait 20000")
	}
	if n := len(s.switches); n < 4 || n > 9 {
		t.Errorf("%d switches in 20 minutes at %v", n, s.switches)
	}
}

// Whatever dies and comes back, and whatever the measurements say: two switches
// are 10 s apart, and whenever some route lives, what is in use lives.
func TestNoStormMakesItFlapOrSilent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStage(t, "direct a b a+b")
		if rapid.Bool().Draw(rt, "fixed") {
			s.c.Mode = Fixed
		}
		if rapid.IntRange(0, 3).Draw(rt, "pinned") == 0 {
			s.c.Pinned = &s.all[1].Route
		}
		last := mono.Time(0)
		for range rapid.IntRange(10, 400).Draw(rt, "looks") {
			c := &s.all[rapid.IntRange(0, len(s.all)-1).Draw(rt, "which")]
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1:
				c.Alive = !c.Alive
			case 2:
				loss := rapid.SampledFrom([]int{0, 0, 5, 30}).Draw(rt, "loss")
				s.set(c, []string{fmt.Sprintf("rtt=%d", rapid.SampledFrom([]int{20, 60, 200}).Draw(rt, "rtt")), fmt.Sprintf("loss=%d", loss)})
			}
			s.now = s.now.Add(time.Duration(rapid.SampledFrom([]int{50, 100, 100, 1000, 4000}).Draw(rt, "pass")) * time.Millisecond)
			first := s.last.Main < 0
			s.look()
			d := s.last
			if d.Switched && !first {
				if !last.IsZero() && s.now.Sub(last) < spacing {
					rt.Fatalf("switched again after %v: %s", s.now.Sub(last), d.Reason)
				}
				last = s.now
			}
			any := false
			for _, c := range s.all {
				any = any || c.Alive
			}
			if used := s.all[d.Main].Alive || d.Also >= 0 && s.all[d.Also].Alive; any && !used {
				rt.Fatalf("what is in use is dead, but not everything: %+v", d)
			}
			if d.Main == d.Also || d.Reason == "" {
				rt.Fatalf("%+v", d)
			}
			for i, verdict := range s.c.Explain(s.now, s.all) {
				if verdict.InUse != (i == d.Main) || verdict.Copy != (i == d.Also) || verdict.Why == "" {
					rt.Fatalf("decided %+v, explained %+v", d, verdict)
				}
			}
		}
	})
}

func TestExplainSaysWhyNot(t *testing.T) {
	s := newStage(t, "direct a b c d a+b")
	for _, line := range []string{"direct rtt=100", "a rtt=102", "b rtt=160", "c dead", "a+b rtt=110"} {
		s.do(line)
	}
	s.do("wait 20000")
	s.do("a+b rtt=60")
	s.do("a rtt=98")
	s.do("c alive")
	s.do("wait 1000")
	want := []string{
		"in use: the best of those measured",
		"better than the one in use by 1ms only; it takes 5ms",
		"costs 30ms more than the one in use",
		"has only just come back; it is trusted after 3s",
		"not measured yet",
		"better than the one in use by 20ms; taken if it stays so: better for 2.1s more, dwell 0s more, hold-down 0s more",
	}
	for i, v := range s.c.Explain(s.now, s.all) {
		if v.Why != want[i] {
			t.Errorf("%v: %q\nwant %q", v.Route, v.Why, want[i])
		}
	}
}

// A route that spares the relay is taken where both are clean and it takes no longer, in
// calm, and not otherwise.
func TestARelayIsSparedWhereThatIsAsGood(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"both clean":               {"through:a rtt=40 loss=0 doubt=0; wait 20000", "through:a"},
		"not at once":              {"through:a rtt=40 loss=0 doubt=0; wait 10000", "a"},
		"doubtful, but clean":      {"through:a rtt=40 loss=0.5 doubt=0.5; wait 20000", "through:a"},
		"a bit longer":             {"through:a rtt=40.8 loss=0 doubt=0; wait 20000", "through:a"},
		"longer":                   {"through:a rtt=43 loss=0 doubt=0; wait 30000", "a"},
		"lossy":                    {"through:a rtt=40 loss=1 doubt=0; wait 30000", "a"},
		"the legs are lossy":       {"a rtt=40 loss=2 doubt=0; through:a rtt=40 loss=0.3 doubt=0; wait 30000", "a"},
		"dead":                     {"through:a dead; wait 30000", "a"},
		"through another relay":    {"through:b rtt=40 loss=0 doubt=0; wait 30000", "a"},
		"clean for a moment":       {"through:a rtt=40 loss=0 doubt=0; wait 11000; through:a loss=1 rtt=40 doubt=0; wait 2000; through:a rtt=40 loss=0 doubt=0; wait 2000", "a"},
		"pinned":                   {"pin a; through:a rtt=40 loss=0 doubt=0; wait 30000", "a"},
		"it stays when both are":   {"through:a rtt=40 loss=0 doubt=0; wait 20000; a rtt=39.5 loss=0 doubt=0; wait 30000", "through:a"},
		"it is left when it fails": {"through:a rtt=40 loss=0 doubt=0; wait 20000; wait 10000; through:a dead; wait 200", "a"},
	} {
		s := newStage(t, "a through:a through:b")
		s.find("through:a").Spares, s.find("through:b").Spares = "a", "b"
		for _, through := range []string{"through:a", "through:b"} { // one segment
			s.find(through).Segments = s.find(through).Segments[:1]
			s.do(through + " unknown")
		}
		s.do("a rtt=40 loss=0 doubt=0")
		got := ""
		s.do("wait 2000")
		for _, line := range strings.Split(c.script, ";") {
			if now := s.do(strings.TrimSpace(line)); now != "" {
				got = now
			}
		}
		if got != c.want && got != c.want+" and a" {
			t.Errorf("%s: %s, want %s (%s)", name, got, c.want, s.last.Reason)
		}
	}
}
