package wan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"causeway/internal/lab/netns"
	"causeway/internal/mono"
	"causeway/internal/weather"
)

// What the self-test says of loss, rate and seeds does not hang on how fast the machine
// is, unless it says so itself; delays are logged and not judged here.
func TestSelftestProvesTheEmulator(t *testing.T) {
	needRoot(t)
	if testing.Short() {
		t.Skip("short tests were asked for: this one takes 15 s")
	}
	var table bytes.Buffer
	r, err := Selftest(context.Background(), &table, SelftestOptions{Quick: true, Command: []string{os.Args[0], "lab", "wan", "--config", "-"}})
	must(t, err)
	t.Logf("\n%s", &table)
	if len(r.Delay) != 2 || len(r.Loss) != len(lossModels) || len(r.Rate) != 2 || len(r.Repeat) != len(lossModels)-1 {
		t.Errorf("not all checks were made: %+v", r)
	}
	if !r.Valid {
		t.Skipf("nothing can be said: %s", r.Reason)
	}
	for _, c := range r.Delay {
		if c.Came != c.Sent {
			t.Errorf("%+v", c)
		}
	}
	for _, c := range r.Loss {
		if !c.Passed {
			t.Errorf("%+v", c)
		}
	}
	for _, c := range r.Repeat {
		if !c.Passed {
			t.Errorf("%+v", c)
		}
	}
	for _, c := range r.Rate {
		if math.Abs(c.Measured/float64(c.Rate)-1) > 0.01 {
			t.Errorf("%+v", c)
		}
	}
}

func TestSelftestSaysWhyItCannotRunAndLeavesNothing(t *testing.T) {
	needRoot(t)
	for want, o := range map[string]SelftestOptions{
		"no such file":    {Command: []string{"/no/such/causeway"}},
		"unknown command": {Command: []string{"sh", "-c", "echo unknown command >&2; exit 2"}},
	} {
		_, err := Selftest(context.Background(), os.Stderr, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*ms)
	defer cancel()
	if _, err := Selftest(ctx, &bytes.Buffer{}, SelftestOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if left, _ := netns.List(netns.Prefix(fmt.Sprintf("self%d", os.Getpid()))); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTheLawOfLossHoldsForTheWeather(t *testing.T) {
	for _, model := range lossModels[1:] {
		p, err := weather.ParseLoss(model, nil)
		must(t, err)
		const seeds, n = 400, 2000
		var sum, squares float64
		mean, sigma := lossLaw(p, n, time.Second/lossPPS)
		for seed := range seeds {
			l, lost := weather.New(p, uint64(seed)), 0.0
			for i := range n {
				if l.Offer(mono.Time(i)*mono.Time(time.Second/lossPPS), 100).N == 0 {
					lost++
				}
			}
			sum += lost
			squares += (lost - mean) * (lost - mean)
		}
		if got := sum / seeds; math.Abs(got-mean) > 4.5*sigma/math.Sqrt(seeds) {
			t.Errorf("%s: mean %.1f, the law says %.1f", model, got, mean)
		}
		if got := math.Sqrt(squares / seeds); math.Abs(got-sigma) > 0.2*sigma {
			t.Errorf("%s: sigma %.2f, the law says %.2f", model, got, sigma)
		}
	}
}
