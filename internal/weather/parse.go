package weather

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseLoss reads a loss model in one line, parts joined by "+":
//
//	none
//	bernoulli:0.2                        each packet by itself
//	gilbert:mean=0.2,bad=20ms,in=1       bursts; mean loss, mean bad spell, loss inside
//	        [,shared=NAME,rho=0.6]       in step with the links that share NAME
//	trace:FILE                           a recording, see Trace
//	policer:8mbit[,BYTES]                a token bucket; BYTES is 50 ms of the rate if not given
//	queue:20mbit,50ms                    a rate with a tail-drop queue
//
// FILE is read by readFile (os.ReadFile, usually); nil refuses traces. Each part may
// stand once. Impossible input is refused with field, found and allowed.
func ParseLoss(text string, readFile func(name string) ([]byte, error)) (Profile, error) {
	var p Profile
	seen := map[string]bool{}
	for _, part := range strings.Split(text, "+") {
		kind, args, _ := strings.Cut(strings.TrimSpace(part), ":")
		if seen[kind] {
			return Profile{}, fmt.Errorf("loss model %q: %s stands twice, want each part once", text, kind)
		}
		seen[kind] = true
		if err := p.addLoss(kind, args, readFile); err != nil {
			return Profile{}, fmt.Errorf("loss model %q: %w", text, err)
		}
	}
	if seen["none"] && len(seen) > 1 {
		return Profile{}, fmt.Errorf("loss model %q: none stands beside others, want it alone", text)
	}
	if err := p.Validate(); err != nil {
		return Profile{}, fmt.Errorf("loss model %q: %w", text, err)
	}
	return p, nil
}

func (p *Profile) addLoss(kind, args string, readFile func(string) ([]byte, error)) (err error) {
	switch kind {
	case "none":
		if args != "" {
			return FieldError{"none", strconv.Quote(args), "nothing after it"}
		}
	case "bernoulli":
		p.Loss.Random, err = parseProbability("bernoulli", args)
	case "gilbert":
		p.Loss.Burst, err = parseGilbert(args)
	case "trace":
		p.Loss.Trace, err = readTrace(args, readFile)
	case "policer":
		p.Policer, err = parsePolicer(args)
	case "queue":
		p.Rate, p.Queue, err = parseQueue(args)
	default:
		return FieldError{"model", strconv.Quote(kind), "none, bernoulli, gilbert, trace, policer or queue, joined by +"}
	}
	return err
}

func parseGilbert(args string) (*Gilbert, error) {
	mean, bad, in := -1.0, time.Duration(0), 1.0
	var shared string
	var rho float64
	var err error
	for _, arg := range strings.Split(args, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(arg), "=")
		switch key {
		case "mean":
			mean, err = parseProbability("gilbert.mean", value)
		case "bad":
			bad, err = parseSpan("gilbert.bad", value)
		case "in":
			in, err = parseProbability("gilbert.in", value)
		case "shared":
			shared = value
		case "rho":
			rho, err = parseProbability("gilbert.rho", value)
		default:
			err = FieldError{"gilbert", strconv.Quote(arg), "mean=, bad=, in=, shared= and rho="}
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case mean < 0:
		return nil, FieldError{"gilbert.mean", "nothing", "the mean loss, above 0 and below in"}
	case bad < 100*time.Microsecond:
		return nil, FieldError{"gilbert.bad", bad.String(), "the mean bad spell, at least 100µs"}
	case !(mean > 0 && mean < in):
		return nil, FieldError{"gilbert.mean", fmt.Sprint(mean), fmt.Sprintf("above 0 and below in (%v)", in)}
	}
	g := GilbertOf(mean, bad, in)
	if g.Good < time.Microsecond {
		return nil, FieldError{"gilbert.mean", fmt.Sprint(mean), "less, or a longer bad: good spells would last below 1µs"}
	}
	g.Shared, g.Correlation = shared, rho
	return &g, nil
}

func readTrace(name string, readFile func(string) ([]byte, error)) (Trace, error) {
	if name == "" || readFile == nil {
		return nil, FieldError{"trace", strconv.Quote(name), "the name of a readable file of 0 and 1"}
	}
	b, err := readFile(name)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return ParseTrace(b)
}

func parsePolicer(args string) (p Policer, err error) {
	rate, burst, given := strings.Cut(args, ",")
	if p.Rate, err = parseLossRate("policer", rate); err != nil {
		return p, err
	}
	p.Burst = max(1500, int(bytesIn(50*time.Millisecond, p.Rate)))
	if given {
		if p.Burst, err = strconv.Atoi(strings.TrimSpace(burst)); err != nil {
			return p, FieldError{"policer.burst", strconv.Quote(burst), "a number of bytes"}
		}
	}
	return p, nil
}

func parseQueue(args string) (r Rate, q Queue, err error) {
	rate, wait, given := strings.Cut(args, ",")
	if r, err = parseLossRate("queue", rate); err != nil || !given {
		return r, q, err
	}
	q.Delay, err = parseSpan("queue.delay", wait)
	if err == nil && q.Delay <= 0 {
		err = FieldError{"queue.delay", wait, "above 0"}
	}
	return r, q, err
}

func parseLossRate(field, text string) (Rate, error) {
	r, err := ParseRate(text)
	if err != nil || r < Kbit {
		return 0, FieldError{field + ".rate", strconv.Quote(text), "1kbit to 1000gbit, as 8mbit"}
	}
	return r, nil
}

func parseProbability(field, text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, FieldError{field, strconv.Quote(text), "a probability from 0 to 1"}
	}
	return v, nil
}

func parseSpan(field, text string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || d < 0 || d > MaxDelay {
		return 0, FieldError{field, strconv.Quote(text), "a duration from 0 to 1m0s, as 20ms"}
	}
	return d, nil
}
