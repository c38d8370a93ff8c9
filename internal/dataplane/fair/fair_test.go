package fair

import (
	"testing"

	"pgregory.net/rapid"
)

// source is work that has so much left and is done in bites.
type source struct {
	name       string
	left, bite int
}

// serve works on a source as a worker does on a socket: bite by bite, the last one
// perhaps beyond the budget.
func serve(done map[string]int) func(s *source, budget int) (int, bool) {
	return func(s *source, budget int) (cost int, more bool) {
		for cost < budget && s.left > 0 {
			n := min(s.bite, s.left)
			s.left -= n
			cost += n
		}
		done[s.name] += cost
		return cost, s.left > 0
	}
}

func TestAPartyWithMuchDoesNotKeepOneWithLittleWaiting(t *testing.T) {
	r := Rota[*source]{Quantum: 100}
	var flood, honest Party[*source]
	done := map[string]int{}
	for range 50 { // many sockets are no more than one
		r.Add(&flood, &source{"flood", 10_000, 64})
	}
	r.Add(&honest, &source{"honest", 10, 1})
	r.Round(serve(done))
	if done["honest"] != 10 {
		t.Errorf("in the first round %d of the honest party's 10 were done", done["honest"])
	}
	if done["flood"] > 100+64 {
		t.Errorf("the other had %d of a share of 100", done["flood"])
	}
}

func TestPartiesThatAlwaysHaveMoreShareEqually(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rota[*source]{Quantum: rapid.IntRange(1, 1000).Draw(t, "quantum")}
		parties := make([]Party[*source], rapid.IntRange(2, 6).Draw(t, "parties"))
		largest := 0
		for i := range parties {
			for range rapid.IntRange(1, 5).Draw(t, "sockets") {
				bite := rapid.IntRange(1, 2000).Draw(t, "bite")
				largest = max(largest, bite)
				r.Add(&parties[i], &source{string(rune('a' + i)), 1 << 40, bite})
			}
		}
		done := map[string]int{}
		rounds := rapid.IntRange(1, 200).Draw(t, "rounds")
		for range rounds {
			r.Round(serve(done))
		}
		for i := range parties {
			name := string(rune('a' + i))
			if got, due := done[name], rounds*r.Quantum; got < due || got >= due+largest {
				t.Fatalf("party %s had %d in %d rounds of %d, bites are of up to %d", name, got, rounds, r.Quantum, largest)
			}
		}
	})
}

func TestAllWorkIsDoneOnceWhateverComesMeanwhile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rota[*source]{Quantum: 50}
		parties := make([]Party[*source], 4)
		done, due := map[string]int{}, map[string]int{}
		add := func() {
			i := rapid.IntRange(0, 3).Draw(t, "party")
			s := &source{string(rune('a' + i)), rapid.IntRange(1, 300).Draw(t, "work"), rapid.IntRange(1, 60).Draw(t, "bite")}
			due[s.name] += s.left
			r.Add(&parties[i], s)
		}
		work := serve(done)
		for range rapid.IntRange(1, 20).Draw(t, "items") {
			add()
		}
		added := 0
		for rounds := 0; r.Waiting(); rounds++ {
			if rounds > 1000 {
				t.Fatal("it never ends")
			}
			r.Round(func(s *source, budget int) (int, bool) {
				if added < 20 && rapid.Bool().Draw(t, "more comes") {
					added++
					add()
				}
				return work(s, budget)
			})
		}
		for name := range due {
			if done[name] != due[name] {
				t.Fatalf("party %s had %d of %d done", name, done[name], due[name])
			}
		}
	})
}

func TestWhoIsDoneOwesNothing(t *testing.T) {
	r := Rota[*source]{Quantum: 10}
	var p Party[*source]
	done := map[string]int{}
	r.Add(&p, &source{"p", 1000, 1000}) // far beyond its share, but nobody is waiting for it
	r.Round(serve(done))
	if r.Waiting() {
		t.Fatal("there is work left")
	}
	r.Add(&p, &source{"p", 5, 1})
	r.Round(serve(done))
	if done["p"] != 1005 {
		t.Errorf("%d done, want 1005", done["p"])
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r := Rota[*source]{Quantum: 10}
	parties := make([]Party[*source], 3)
	sources := make([]source, 30)
	left := 0
	work := func(s *source, budget int) (int, bool) { left--; return 3, left > 0 }
	if n := testing.AllocsPerRun(100, func() {
		for i := range sources {
			r.Add(&parties[i%3], &sources[i])
		}
		left = 100
		for r.Waiting() {
			r.Round(work)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
