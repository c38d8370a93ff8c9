package forward

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/bench/netbench"
	"causeway/internal/lab/netns"
)

func TestRatiosCompareNumbersOfTheSameRound(t *testing.T) {
	r := newResult(Options{Sizes: []int{256}, Flows: []int{64}, Rounds: 3, Length: time.Second})
	give := func(round int, name string, ns int) {
		r.add(round, 256, 64, []sample{{
			name: name, baseline: Baseline, datagrams: 1000, took: time.Second,
			usage: netbench.Usage{Process: time.Duration(ns * 600), NAPI: time.Duration(ns * 400)},
		}})
	}
	// The machine gets slower from round to round, and one round is disturbed.
	for round, ns := range []int{1000, 2000, 4000} {
		give(round, Baseline, ns)
	}
	for round, ns := range []int{1500, 3000, 40000} {
		give(round, "ours", ns)
	}
	r.finish(nil)
	if len(r.Rows) != 2 {
		t.Fatalf("%d rows, want 2", len(r.Rows))
	}
	base, ours := r.Rows[0], r.Rows[1]
	if base.Name != Baseline || base.CPU != 2000 || base.Ratio != 1 {
		t.Errorf("baseline %+v, want 2000 ns and ratio 1", base)
	}
	if ours.CPU != 3000 || ours.Process != 1800 || ours.NAPI != 1200 || ours.Ratio != 1.5 || ours.Lowest != 1.5 || ours.Highest != 10 || ours.Rate != 1000 {
		t.Errorf("ours %+v, want 3000 ns (1800 + 1200), ratio 1.5 of 1.5 to 10, 1000 a second", ours)
	}
}

func TestARatioIsToTheRowThatIsFedAlike(t *testing.T) {
	r := newResult(Options{Sizes: []int{256}, Flows: []int{64}, Rounds: 1, Length: time.Second})
	for _, s := range []struct {
		name, baseline string
		ns             int
	}{{Baseline, Baseline, 1000}, {FramesBaseline, FramesBaseline, 800}, {"sockets", Baseline, 500}, {"devices", FramesBaseline, 200}} {
		r.add(0, 256, 64, []sample{{name: s.name, baseline: s.baseline, datagrams: 1000, took: time.Second, usage: netbench.Usage{NAPI: time.Duration(s.ns * 1000)}}})
	}
	r.finish(nil)
	for i, want := range []Row{{Baseline: Baseline, Ratio: 1}, {Baseline: FramesBaseline, Ratio: 1}, {Baseline: Baseline, Ratio: 0.5}, {Baseline: FramesBaseline, Ratio: 0.25}} {
		if got := r.Rows[i]; got.Baseline != want.Baseline || got.Ratio != want.Ratio {
			t.Errorf("%s: ratio %v to %s, want %v to %s", got.Name, got.Ratio, got.Baseline, want.Ratio, want.Baseline)
		}
	}
	if text := r.markdown(); !strings.Contains(text, "| devices | 64 | 200 | 0 | 200 | **0.25** (0.25–0.25) | nft-frames |") {
		t.Errorf("the page does not say what the ratio is to:\n%s", text)
	}
}

// A contender that is for few clients only has no row where there are more.
func TestWhatWasNotMeasuredHasNoRow(t *testing.T) {
	r := newResult(Options{Sizes: []int{256}, Flows: []int{1, 64}, Rounds: 1, Length: time.Second})
	one := func(name string) []sample {
		return []sample{{name: name, baseline: Baseline, datagrams: 1000, took: time.Second, usage: netbench.Usage{NAPI: time.Millisecond}}}
	}
	r.add(0, 256, 1, one(Baseline))
	r.add(0, 256, 1, one("for one"))
	r.add(0, 256, 64, one(Baseline))
	r.finish(nil)
	if len(r.Rows) != 3 || r.Rows[1].Name != "for one" || r.Rows[2].Flows != 64 || r.Rows[2].Name != Baseline {
		t.Errorf("rows are %+v", r.Rows)
	}
}

func TestASecondNFTRunsWhereOneIsNeeded(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{Only: []string{"sealed"}, Frames: true}, []string{"nft", "sealed"}},
		{Options{Only: []string{"xdp-forward"}, Frames: true}, []string{"nft", "nft-frames", "xdp-forward"}},
		{Options{Only: []string{"xdp-forward"}}, []string{"nft", "xdp-forward"}},
		{Options{Only: []string{"nft-frames"}, Frames: true}, []string{"nft", "nft-frames"}},
	} {
		var got []string
		for _, c := range (&bench{Options: c.o}).contenders() {
			got = append(got, c.name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("only %v, frames %v: %v run, want %v", c.o.Only, c.o.Frames, got, c.want)
		}
	}
}

func TestTheJSONHasWhatReadersLookFor(t *testing.T) {
	text, err := json.Marshal(Result{Rows: []Row{{Name: "x", Size: 1, Flows: 2, CPU: 3, Ratio: 4, Baseline: Baseline}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"rows":[{`, `"name":"x"`, `"size":1`, `"flows":2`, `"cpu_ns_per_packet":3`, `"ratio_to_nft":4`, `"baseline":"nft"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func TestOnlyTheOwnSectionOfThePageIsRenewed(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"an empty page", "", "# Benchmarks\n\n" + docBegin + "\nnew\n" + docEnd + "\n"},
		{"a page without the section", "# Title\n", "# Title\n\n" + docBegin + "\nnew\n" + docEnd + "\n"},
		{"a page with it", "a\n" + docBegin + "\nold\n" + docEnd + "\nb\n", "a\n" + docBegin + "\nnew\n" + docEnd + "\nb\n"},
		{"a section without an end", "a\n" + docBegin + "\nold\n", "a\n" + docBegin + "\nold\n\n" + docBegin + "\nnew\n" + docEnd + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := replaceSection(c.page, docBegin, docEnd, "new\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOptionsThatCannotBeRunAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"a size without room for ESP": {Sizes: []int{8}},
		"a size beyond the cable":     {Sizes: []int{1473}},
		"no flow":                     {Flows: []int{0}},
		"too many flows":              {Flows: []int{10001}},
		"an unknown contender":        {Only: []string{"sealed", "haproxy"}},
		"a negative number of rounds": {Rounds: -1},
		"a moment":                    {Length: time.Millisecond},
	} {
		if _, err := o.withDefaults(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestClientsHaveAddressesOfTheirOwn(t *testing.T) {
	list := clients(maxFlows)
	seen := map[any]bool{}
	for _, c := range list {
		if seen[c.Addr()] || !c.Addr().Is4() || c.Addr().As4()[0] != 10 || c.Port() != port {
			t.Fatalf("client %v is not one of 10.0.0.0/8, port %d, and only there once", c, port)
		}
		seen[c.Addr()] = true
	}
}

// The whole bench, as short as it goes: every row is there, nothing is lost on the
// way, and nothing is left behind.
func TestTheBenchMeasuresRealProcesses(t *testing.T) {
	if err := netns.Check(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	exe := filepath.Join(t.TempDir(), "causeway")
	if out, err := exec.Command("go", "build", "-o", exe, "causeway/cmd/causeway").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := Run(ctx, Options{
		Exe: exe, Only: []string{"go-sockets", "one-box", "sealed", "nft-frames"}, Frames: true, Sizes: []int{256}, Flows: []int{3}, Rounds: 1, Length: minLength,
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Name)
		if row.CPU <= 0 || row.NAPI <= 0 || row.Ratio <= 0 || row.Rate <= 0 {
			t.Errorf("row %+v has something that is not above 0", row)
		}
	}
	if want := []string{"nft", "nft-frames", "go-sockets", "one-box", "sealed-ingress", "sealed-egress", "sealed-crossing"}; !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v", names, want)
	}
	left, err := netns.List(netns.Prefix(labName(os.Getpid())))
	if err != nil || len(left) > 0 {
		t.Errorf("namespaces %v are left over (%v)", left, err)
	}
}
