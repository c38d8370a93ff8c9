package dataplane

import (
	"context"
	"testing"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/route"
	"causeway/internal/snapshot"
)

// withRelay gives Shanghai a second way to Seoul, over Tokyo.
func withRelay(r *rig) {
	r.sh.snap.Routes = []snapshot.Route{{To: "se", Candidates: [][]string{{}, {"tk"}}}}
}

func (r *rig) echo(to string, over *route.Route, size int) (answers []time.Duration, err error) {
	err = r.sh.engine.Echo(r.now, to, over, size, 0, func(rtt time.Duration) { answers = append(answers, rtt) })
	r.sh.engine.Flush(r.now)
	r.run(time.Second)
	return answers, err
}

func TestAnEchoComesBackOnceOverTheWayAskedFor(t *testing.T) {
	r := newRig(t, withRelay)
	for name, c := range map[string]struct {
		over *route.Route
		size int
		tk   bool
	}{
		"the way in use":     {nil, 56, false},
		"direct":             {&route.Route{}, 0, false},
		"over a relay":       {&route.Route{Via: []string{"tk"}}, 100, true},
		"as large as can be": {nil, MaxEcho, false},
	} {
		carried := r.sh.engine.plan.ways[2].carried
		before := r.tk.engine.drops
		relayed := false
		r.lose = func(p parcel) bool {
			relayed = relayed || p.to.Addr() == r.tk.addr && len(p.data) > 80 && c.size > 56
			return false
		}
		answers, err := r.echo("se", c.over, c.size)
		r.lose = nil
		if err != nil || len(answers) != 1 || answers[0] < 0 || answers[0] > time.Second {
			t.Errorf("%s: %v, %v", name, answers, err)
		}
		if c.tk && !relayed {
			t.Errorf("%s: it did not go there", name)
		}
		if r.sh.engine.plan.ways[2].carried != carried || r.tk.engine.drops != before {
			t.Errorf("%s: it counts as use of the way, or was dropped", name)
		}
	}
	if n := len(r.sh.engine.echo.pending); n != 0 {
		t.Errorf("%d are still waited for", n)
	}
}

func TestALostEchoIsForgotten(t *testing.T) {
	r := newRig(t, withRelay)
	r.lose = func(parcel) bool { return true }
	if answers, err := r.echo("se", nil, 56); err != nil || len(answers) != 0 {
		t.Errorf("%v, %v", answers, err)
	}
	r.sh.engine.forgetEchoes(r.now.Add(echoPatience + time.Second))
	if n := len(r.sh.engine.echo.pending); n != 0 {
		t.Errorf("%d are still waited for", n)
	}
}

func TestEchoesThatCannotBeAreRefused(t *testing.T) {
	r := newRig(t, withRelay)
	for name, try := range map[string]func() error{
		"to nobody":              func() error { _, err := r.echo("nobody", nil, 1); return err },
		"over one not a relay":   func() error { _, err := r.echo("se", &route.Route{Via: []string{"xx"}}, 1); return err },
		"larger than can be":     func() error { _, err := r.echo("se", nil, MaxEcho+1); return err },
		"smaller than nothing":   func() error { _, err := r.echo("se", nil, -1); return err },
		"before there is a plan": func() error { return NewEngine(r.sh.engine.cfg).Echo(r.now, "se", nil, 1, 0, nil) },
		"more than are waited for": func() error {
			for i := range echoesPending {
				r.sh.engine.echo.pending[uint64(i)+1<<40] = echo{sent: r.now}
			}
			_, err := r.echo("se", nil, 1)
			return err
		},
	} {
		r.sh.engine.echo.pending = map[uint64]echo{}
		if try() == nil {
			t.Errorf("an echo %s is taken", name)
		}
	}
}

// An answer that nobody asked for, or from another PoP than was asked, is nothing.
func TestStrayAnswersAreNothing(t *testing.T) {
	r := newRig(t, withRelay)
	answered := 0
	r.sh.engine.echo.pending = map[uint64]echo{7: {to: 2, sent: r.now, answered: func(time.Duration) { answered++ }}}
	for _, h := range []frame.Header{{Session: 8, Origin: 2}, {Session: 7, Origin: 3}, {Session: 7, Origin: 2}, {Session: 7, Origin: 2}} {
		h.Kind, h.Flags = frame.Echo, frame.ToClient
		r.sh.engine.hearEcho(r.now, &h, nil)
	}
	if answered != 1 {
		t.Errorf("answered %d times", answered)
	}
}

// A PoP answers so many a second, and no payload that could not be.
func TestEchoesAreBounded(t *testing.T) {
	r := newRig(t, withRelay)
	sent := func(n, size int) uint64 {
		s := r.se.engine.plan.peers[1].segment
		was := s.Counters.SentDatagrams
		for i := range n {
			r.se.engine.hearEcho(r.now, &frame.Header{Kind: frame.Echo, Origin: 1, Session: uint64(i) + 1}, make([]byte, size))
			r.se.engine.Flush(r.now)
		}
		return s.Counters.SentDatagrams - was
	}
	if n := sent(1, MaxEcho+1); n != 0 {
		t.Errorf("one that is too large was answered with %d datagrams", n)
	}
	if first, second := sent(echoesAnswered, 0), sent(echoesAnswered, 0); first == 0 || second > first/10 {
		t.Errorf("%d datagrams for the first %d, %d for as many more", first, echoesAnswered, second)
	}
}

func TestAPlaneThatDoesNotRunEchoesNothing(t *testing.T) {
	p, err := New(Config{Key: key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Echo(t.Context(), "se", nil, 1, 0); err == nil {
		t.Error("it echoes")
	}
}
