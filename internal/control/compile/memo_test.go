package compile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"causeway/internal/resource"
)

// TestAMemoChangesNothing edits a world again and again, and compiles each state
// with what came before and without.
func TestAMemoChangesNothing(t *testing.T) {
	w := busyWorld(12, 2)
	edits := []func(n int){
		func(int) {}, // nothing
		func(n int) { w.EndpointGroups[n%len(w.EndpointGroups)].Endpoints[0].Address = address(8, n) },
		func(n int) { w.EndpointGroups[n%len(w.EndpointGroups)].TrafficPercentage = new(n%100 + 1) },
		func(n int) { w.Listeners[n%len(w.Listeners)].Order = []string{"strict", "none", ""}[n%3] },
		func(n int) { w.PoPs[n%len(w.PoPs)].Overlay[0].MTU = 1300 + n%100 },
		func(n int) { w.PoPs[n%len(w.PoPs)].Given.Label = uint16(100 + n) },
		func(n int) { w.PoPs[n%len(w.PoPs)].Region = fmt.Sprint("region-", n%4) },
		func(n int) { // an address that contradicts: the snapshots of all are refused
			w.PoPs[0].Overlay[0].Public, w.PoPs[1].Overlay[0].Public = w.PoPs[1].Overlay[0].Public, w.PoPs[0].Overlay[0].Public
		},
		func(n int) { w.PoPs[1].Given.Label = w.PoPs[0].Given.Label }, // two with one label
		func(n int) { // a PoP comes, or goes
			if len(w.PoPs) > 4 {
				w.PoPs = slices.Delete(w.PoPs, 4, 5)
			} else {
				w.PoPs = append(w.PoPs, pop(77, "new", "region-1", "isp=192.0.2.77:4600"))
			}
		},
		func(n int) { // an enrolment
			e := w.PoPs[n%len(w.PoPs)].Given.Enrolment
			w.PoPs[n%len(w.PoPs)].Given.Enrolment = &resource.Enrolment{Revoked: e == nil || !e.Revoked}
		},
		func(n int) { w.Accelerators[n%len(w.Accelerators)].Enabled = []*bool{nil, new(bool)}[n%2] },
	}
	var m Memo
	rng := rand.New(rand.NewPCG(1, 2))
	refused, reused := 0, 0
	for n := range 120 {
		i := rng.IntN(len(edits))
		edits[i](n)
		w.Revision++
		before := m.judged
		plan, problems := m.Compile(again(t, w))
		fresh, freshProblems := Compile(w)
		if !reflect.DeepEqual(plan, fresh) || !reflect.DeepEqual(problems, freshProblems) {
			t.Fatalf("after edit %d of kind %d, what is remembered gives another plan", n, i)
		}
		for name, s := range plan.Snapshots {
			if s.Version != uint64(w.Revision) {
				t.Fatalf("%s has version %d, want %d", name, s.Version, w.Revision)
			}
			if was, known := before[name]; known && sameList(was.snapshot.Peers, s.Peers) {
				reused++
			}
		}
		if len(plan.Snapshots) < len(w.PoPs) {
			refused++
		}
	}
	if refused == 0 || reused == 0 {
		t.Errorf("the edits never led to a refusal (%d) or to anything that could be kept (%d)", refused, reused)
	}
}

// again is w as it is read from a store anew: nothing in it is shared with another.
func again(t *testing.T, w World) (read World) {
	t.Helper()
	text, err := json.Marshal(w)
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}
