package handshake

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"causeway/internal/mono"
)

func TestScheduleIsEagerThenPatient(t *testing.T) {
	for _, random := range []uint64{0, 1 << 63, ^uint64(0)} {
		var s Schedule
		var at, last time.Duration
		for n := range 60 {
			gap := s.Next(random)
			at += gap
			switch {
			case n == 0 && gap != 0:
				t.Errorf("the first sending waits %v", gap)
			case n > 0 && n < eagerSends && (gap < 30*time.Millisecond || gap > 120*time.Millisecond):
				t.Errorf("gap %d is %v", n, gap)
			case n >= eagerSends && (gap < last || gap > 1200*time.Millisecond):
				t.Errorf("gap %d is %v after %v", n, gap, last)
			}
			last = gap
		}
		if last < 800*time.Millisecond {
			t.Errorf("the last gap is %v, want about 1 s", last)
		}
		if s.Sent() != 60 {
			t.Errorf("sent %d", s.Sent())
		}
		s.Reset()
		if s.Next(random) != 0 {
			t.Error("Reset does not start over")
		}
	}
}

// event is a datagram on its way, or the initiator's next sending.
type event struct {
	at   mono.Time
	kind byte
	data []byte
}

const (
	atResponder = iota
	atInitiator
	sending
)

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// timeToKeys runs one handshake over a path that loses each datagram with
// probability loss and delays it by 40 to 120 ms, and returns how long it took.
// To save curve operations all runs share the pair and its initiation, from
// which what an earlier run left is taken away.
func timeToKeys(p *pair, i *Initiation, seed uint64, loss float64, underLoad bool) time.Duration {
	p.responder.answers, p.responder.admission = answers{}, admission{salt: p.responder.admission.salt}
	if underLoad {
		p.responder.admission.anybody = bucket{used: 1e9, last: start}
	}
	i.cookie = nil
	clear(i.msg[len(i.msg)-macLen:])
	r := rand.New(rand.NewPCG(seed, 99))
	var s Schedule
	now := start
	queue := events{{at: now.Add(s.Next(r.Uint64())), kind: sending}}
	send := func(kind byte, data []byte) {
		if r.Float64() >= loss {
			delay := time.Duration(40+r.IntN(80)) * time.Millisecond
			heap.Push(&queue, event{now.Add(delay), kind, slices.Clone(data)})
		}
	}
	for now.Sub(start) < time.Minute {
		e := heap.Pop(&queue).(event)
		now = e.at
		switch e.kind {
		case sending:
			send(atResponder, i.Message())
			heap.Push(&queue, event{at: now.Add(s.Next(r.Uint64())), kind: sending})
		case atResponder:
			if reply, _, _ := p.responder.Respond(now, addressA, e.data); reply != nil {
				send(atInitiator, reply)
			}
		case atInitiator:
			if e.data[0] == TypeCookieReply {
				if i.Cookie(e.data) == nil {
					send(atResponder, i.Message())
				}
			} else {
				return now.Sub(start) // other tests show that Finish takes it
			}
		}
	}
	return time.Minute
}

// In virtual time, so these are facts about the schedule and not about the machine.
func TestHandshakeComesUpWhenHalfIsLostBothWays(t *testing.T) {
	const runs = 400
	p := newPair(t, 1, helloB)
	i := p.initiate(t, helloA)
	for _, v := range []struct {
		name      string
		loss      float64
		underLoad bool
	}{{"at 50 % loss", 0.5, false}, {"at 50 % loss with a cookie", 0.5, true}} {
		var took []time.Duration
		for seed := range uint64(runs) {
			took = append(took, timeToKeys(p, i, seed, v.loss, v.underLoad))
		}
		slices.Sort(took)
		p50, p99, most := took[runs/2], took[runs*99/100], took[runs-1]
		t.Logf("%s: p50 %v, p99 %v, max %v", v.name, p50, p99, most)
		if p99 > 3*time.Second {
			t.Errorf("%s: p99 %v, want at most 3 s", v.name, p99)
		}
	}
}
