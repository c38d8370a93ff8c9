package failover

import (
	"testing"
	"time"

	"causeway/internal/mono"
)

// pair is two tunnels under a script: each step says what happens at a second
// and which tunnel must be in use afterwards.
type pair struct {
	life   [2]Life
	up     [2]bool
	choice Choice
}

func (p *pair) at(second float64) int {
	now := mono.Time(time.Hour).Add(time.Duration(second * float64(time.Second)))
	for i := range p.life {
		p.life[i].Alive(now, p.up[i])
	}
	return p.choice.Next(now, []*Life{&p.life[0], &p.life[1]})
}

func (p *pair) hear(i int, second float64) {
	p.life[i].Hear(mono.Time(time.Hour).Add(time.Duration(second * float64(time.Second))))
}

func TestTheFirstTunnelIsUsedWhileItLives(t *testing.T) {
	p := pair{up: [2]bool{true, true}}
	for s := range 100 {
		p.hear(0, float64(s))
		p.hear(1, float64(s))
		if got := p.at(float64(s)); got != 0 {
			t.Fatalf("second %d: tunnel %d", s, got)
		}
	}
}

func TestASilentTunnelIsLeftWhenQuestionsGoUnanswered(t *testing.T) {
	p := pair{up: [2]bool{true, true}}
	p.hear(0, 0)
	p.hear(1, 0)
	if p.at(10) != 0 {
		t.Error("left for silence alone: nobody had asked")
	}
	p.hear(0, 10)
	p.hear(1, 11.9)
	p.life[0].Ask()
	if p.at(11.9) != 0 {
		t.Error("left after one repeated question")
	}
	p.life[0].Ask()
	if p.at(12) != 1 {
		t.Error("still used after two unanswered questions and two seconds")
	}
}

func TestTrafficGoesBackOnlyWhenStable(t *testing.T) {
	p := pair{up: [2]bool{true, true}}
	p.at(0)
	p.up[0] = false
	if p.at(1) != 1 {
		t.Fatal("a tunnel that is down is used")
	}
	p.up[0] = true
	if p.at(2) != 1 || p.at(31) != 1 {
		t.Error("went back before 30 s were over")
	}
	p.up[0] = false
	p.at(31.5)
	p.up[0] = true
	if p.at(32) != 1 || p.at(61) != 1 {
		t.Error("a tunnel that flaps was trusted")
	}
	if p.at(62) != 0 {
		t.Error("did not go back after 30 s")
	}
}

func TestAtTheFirstChoiceNothingIsWaitedFor(t *testing.T) {
	p := pair{}
	if p.at(0) != 0 {
		t.Error("with none up, the first is the one to use")
	}
	p.up[1] = true
	if p.at(1) != 1 {
		t.Error("the second is up and not used")
	}
	p.up[0] = true
	if p.at(3) != 0 {
		t.Error("the first came up two seconds later and is not chosen")
	}
}

func TestWithAllDeadTheChoiceStays(t *testing.T) {
	p := pair{up: [2]bool{false, true}}
	p.at(0)
	p.up[1] = false
	if p.at(1) != 1 {
		t.Error("changed although nothing is better")
	}
	p.up[0] = true
	if p.at(2) != 0 {
		t.Error("the only one alive is not used")
	}
}

func TestAConnectionThatLosesATunnelForgetsIt(t *testing.T) {
	var c Choice
	now := mono.Time(time.Hour)
	a, b := &Life{}, &Life{}
	b.Alive(now, true)
	if c.Next(now, []*Life{a, b}) != 1 || c.Next(now, []*Life{a}) != 0 {
		t.Error("a tunnel that is gone is used")
	}
}
