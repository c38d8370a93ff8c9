package weather

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"causeway/internal/mono"
)

func readTestFile(name string) ([]byte, error) {
	if name == "evening.trace" {
		return []byte("# seen at home\n0011 0\n"), nil
	}
	return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
}

func TestParseLoss(t *testing.T) {
	for text, want := range map[string]Profile{
		"none":                                      {},
		"bernoulli:0.2":                             {Loss: Loss{Random: 0.2}},
		"gilbert:mean=0.2,bad=20ms,in=1":            {Loss: Loss{Burst: &Gilbert{Good: 80 * ms, Bad: 20 * ms, LossBad: 1}}},
		"gilbert:mean=0.25,bad=20ms,in=0.5":         {Loss: Loss{Burst: &Gilbert{Good: 20 * ms, Bad: 20 * ms, LossBad: 0.5}}},
		"gilbert:mean=0.5,bad=1ms,shared=c,rho=0.6": {Loss: Loss{Burst: &Gilbert{Good: ms, Bad: ms, LossBad: 1, Shared: "c", Correlation: 0.6}}},
		"policer:8mbit":                             {Policer: Policer{Rate: 8 * Mbit, Burst: 50000}},
		"policer:8mbit,3000":                        {Policer: Policer{Rate: 8 * Mbit, Burst: 3000}},
		"queue:20mbit,50ms":                         {Rate: 20 * Mbit, Queue: Queue{Delay: 50 * ms}},
		"trace:evening.trace":                       {Loss: Loss{Trace: Trace{false, false, true, true, false}}},
		"bernoulli:0.01 + queue:1gbit":              {Rate: Gbit, Loss: Loss{Random: 0.01}},
	} {
		got, err := ParseLoss(text, readTestFile)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseLossRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 `model: found "", want none, bernoulli, gilbert, trace, policer or queue`,
		"bernouli:0.2":                     `model: found "bernouli"`,
		"bernoulli:20":                     `bernoulli: found "20", want a probability from 0 to 1`,
		"bernoulli:NaN":                    `bernoulli: found "NaN"`,
		"bernoulli:0.1+bernoulli:0.2":      "bernoulli stands twice",
		"none+bernoulli:0.1":               "none stands beside others",
		"none:1":                           `none: found "1", want nothing after it`,
		"gilbert:bad=20ms":                 "gilbert.mean: found nothing",
		"gilbert:mean=0.2":                 "gilbert.bad: found 0s",
		"gilbert:mean=0.6,bad=20ms,in=0.5": "gilbert.mean: found 0.6, want above 0 and below in (0.5)",
		"gilbert:mean=0,bad=20ms":          "gilbert.mean: found 0,",
		"gilbert:mean=0.2,bad=20":          `gilbert.bad: found "20"`,
		"gilbert:mean=0.2,bad=20ms,x=1":    `gilbert: found "x=1"`,
		"gilbert:mean=0.2,bad=20ms,rho=1":  "loss.burst.shared: found nothing",
		"gilbert:mean=0.99999999,bad=1ms":  "good spells would last below 1µs",
		"policer:fast":                     `policer.rate: found "fast", want 1kbit to 1000gbit`,
		"policer:8mbit,12":                 "policer.burst: found 12, want a bucket",
		"policer:8mbit,x":                  `policer.burst: found "x"`,
		"queue:20mbit,never":               `queue.delay: found "never"`,
		"queue:20mbit,0s":                  "queue.delay: found 0s, want above 0",
		"queue:0":                          `queue.rate: found "0"`,
		"trace:":                           `trace: found ""`,
		"trace:gone":                       "file does not exist",
	} {
		_, err := ParseLoss(text, readTestFile)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", text, err, want)
		}
	}
	if _, err := ParseLoss("trace:gone", readTestFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := ParseLoss("trace:evening.trace", nil); err == nil {
		t.Error("a trace was read without a reader")
	}
}

func FuzzParseLoss(f *testing.F) {
	for _, s := range []string{"none", "bernoulli:0.2+gilbert:mean=0.2,bad=20ms,in=1+trace:evening.trace+policer:8mbit+queue:20mbit,50ms",
		"gilbert:mean=1e-300,bad=60s", "policer:1e-9gbit", "queue:1kbit,1ns", "gilbert:mean=0.2,bad=20ms,shared=x,rho=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseLoss(text, readTestFile)
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("%q gives a profile that is not valid: %v", text, err)
		}
		if m := p.MeanLoss(); !(m >= 0 && m <= 1) {
			t.Fatalf("%q: mean loss %v", text, m)
		}
		l := New(p, 1)
		for i := range 50 {
			if v := l.Offer(mono.Time(i)*mono.Time(ms), 1000); v.N > 0 && v.At[0] < mono.Time(i)*mono.Time(ms) {
				t.Fatalf("%q: packet %d arrives before it was sent: %+v", text, i, v)
			}
		}
	})
}

func FuzzParseTrace(f *testing.F) {
	f.Add([]byte("0110 # no\n1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := ParseTrace(b)
		if err != nil {
			return
		}
		text, _ := tr.MarshalText()
		if again, err := ParseTrace(text); err != nil || !reflect.DeepEqual(tr, again) {
			t.Fatalf("%q: %v became %v, %v", b, tr, again, err)
		}
	})
}

func TestRates(t *testing.T) {
	for text, want := range map[string]Rate{"50mbit": 50e6, "8.5Mbit": 85e5, "64kbit": 64000, "1 gbit": 1e9, "2000000": 2e6, "0": 0, "9600bit": 9600} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "fast", "-1mbit", "1e99gbit", "NaN", "Inf", "10mb", "1001gbit"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := Rate(rapid.Int64Range(0, int64(maxRate)).Draw(t, "rate"))
		if got, err := ParseRate(r.String()); err != nil || got != r {
			t.Fatalf("%d prints as %s and reads as %d, %v", r, r, got, err)
		}
	})
}

func TestProfilesCrossJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProfile(t)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got Profile
		if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%s: %+v, %v; want %+v", b, got, err, p)
		}
	})
}

func TestAProfileInYAML(t *testing.T) {
	const text = `
delay: 40ms
jitter: 20ms
jitter_correlation: 0.7
jitter_every: 20ms
spike: {probability: 0.02, scale: 20ms, shape: 1.5, max: 200ms}
loss:
  random: 0.01
  burst: {good: 300ms, bad: 150ms, loss_good: 0.07, loss_bad: 0.75, shared: cable, correlation: 0.6}
  trace: "0010"
policer: {rate: 8mbit, burst: 30000}
rate: 50mbit
queue: {delay: 50ms}
reorder: {probability: 0.01, extra: 3ms}
duplicate: 0.001
mtu: 1400
no_icmp: true
`
	want := Profile{
		Delay: 40 * ms, Jitter: 20 * ms, JitterCorrelation: 0.7, JitterEvery: 20 * ms,
		Spike: Spike{0.02, 20 * ms, 1.5, 200 * ms},
		Loss: Loss{Random: 0.01, Trace: Trace{false, false, true, false},
			Burst: &Gilbert{300 * ms, 150 * ms, 0.07, 0.75, "cable", 0.6}},
		Policer: Policer{8 * Mbit, 30000}, Rate: 50 * Mbit, Queue: Queue{Delay: 50 * ms},
		Reorder: Reorder{0.01, 3 * ms}, Duplicate: 0.001, MTU: 1400, NoICMP: true,
	}
	var got Profile
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	var s Schedule
	steps := "repeat: 120s\nsteps:\n- {at: 0s, loss: 0.05, rate: 30mbit}\n- {at: 10s, over: 50s, loss: 0.4}\n- {at: 90s, outage: 2s}\n"
	if err := yaml.UnmarshalWithOptions([]byte(steps), &s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if s.Repeat != 2*time.Minute || len(s.Steps) != 3 || *s.Steps[1].Loss != 0.4 || *s.Steps[0].Rate != 30*Mbit || s.Steps[2].Outage != 2*time.Second {
		t.Errorf("%+v", s)
	}
	var rate struct{ Rate Rate }
	if err := yaml.Unmarshal([]byte("rate: 2000000"), &rate); err != nil || rate.Rate != 2*Mbit {
		t.Errorf("a bare number: %v, %v", rate.Rate, err)
	}
}

func TestWrongProfilesAreRefusedByField(t *testing.T) {
	for want, p := range map[string]Profile{
		"delay: found -1ms, want 0s to 1m0s":                             {Delay: -ms},
		"jitter: found 1h0m0s":                                           {Jitter: time.Hour},
		"jitter_correlation: found 1, want 0 to 0.999":                   {JitterCorrelation: 1},
		"jitter_every: found 1µs":                                        {JitterEvery: time.Microsecond},
		"spike.scale: found 0s":                                          {Spike: Spike{Probability: 0.1, Shape: 1, Max: ms}},
		"spike.max: found 1ms, want 2ms to 1m0s":                         {Spike: Spike{Probability: 0.1, Scale: 2 * ms, Shape: 1, Max: ms}},
		"loss.random: found NaN":                                         {Loss: Loss{Random: math.NaN()}},
		"loss.burst.good: found 0s":                                      {Loss: Loss{Burst: &Gilbert{Bad: ms, LossBad: 1}}},
		"loss.burst.loss_bad: found 0.1, want more than loss_good (0.2)": {Loss: Loss{Burst: &Gilbert{Good: ms, Bad: ms, LossBad: 0.1, LossGood: 0.2}}},
		"loss.burst.correlation: found 1.5":                              {Loss: Loss{Burst: &Gilbert{Good: ms, Bad: ms, LossBad: 1, Shared: "x", Correlation: 1.5}}},
		"policer.burst: found 0":                                         {Policer: Policer{Rate: Mbit}},
		"queue: found a limit without rate":                              {Queue: Queue{Delay: ms}},
		"queue.bytes: found 10":                                          {Rate: Mbit, Queue: Queue{Bytes: 10}},
		"rate: found -5bit":                                              {Rate: -5},
		"reorder.extra: found 0":                                         {Reorder: Reorder{Probability: 0.1}},
		"duplicate: found 2":                                             {Duplicate: 2},
		"mtu: found 20":                                                  {MTU: 20},
	} {
		err := p.Validate()
		var fields FieldErrors
		if !errors.As(err, &fields) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := (Profile{}).Validate(); err != nil {
		t.Errorf("the perfect wire: %v", err)
	}
}
