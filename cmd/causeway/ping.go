package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"causeway/internal/cli"
	"causeway/internal/pathwatch"
)

// pingOptions are the flags of `causeway ping`.
type pingOptions struct {
	at       atPoP
	route    string
	size     int
	count    int
	interval time.Duration
	wait     time.Duration
	mode     string
}

func newPingCommand() *command {
	var o pingOptions
	c := &command{
		Use:   "ping POP",
		Short: "Ask another PoP through the overlay, as packets of sessions go",
		Long: `Sends echoes from the PoP on this machine to another one, through the overlay:
sealed, repaired and routed as packets of sessions are. So what is lost here is what
users lose. The plain path beside it is shown by 'causeway mtr'.

--route sends them over given relays, with commas between, or directly (direct),
whatever way is in use; the answers take the way that the other PoP uses.`,
		Example: `  causeway ping se1
  causeway ping se1 --route tk1
  causeway ping se1 --route direct --count 100 --interval 100ms
  causeway ping se1 --count 5 -o json`,
		Args: exactlyPoP,
	}
	output := cli.OutputFlag(c, "text", "json")
	f := c.Flags()
	f.StringVar(&o.route, "route", "", "relays to pass, with commas between, or direct; default: the way in use")
	f.IntVar(&o.size, "size", 100, "bytes of payload, 0 to 1200")
	f.IntVarP(&o.count, "count", "c", 10, "how many; 0: until interrupted")
	f.DurationVarP(&o.interval, "interval", "i", time.Second, "time between two")
	f.DurationVar(&o.wait, "wait", 3*time.Second, "an answer later than this is a loss; at most 10s")
	f.StringVar(&o.mode, "mode", "balanced", "repair mode: balanced, latency, economy or off")
	o.at.flags(c)
	c.ValidArgsFunction = o.at.completeRoute
	c.RunE = func(c *command, args []string) error { return o.run(c, args[0], output.Is("json")) }
	return c
}

func exactlyPoP(c *command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes the name of a PoP, found %q", c.CommandPath(), args)
	}
	return nil
}

// pingResult is what -o json prints.
type pingResult struct {
	To       string    `json:"to"`
	Route    string    `json:"route,omitempty"`
	Sent     int       `json:"sent"`
	Received int       `json:"received"`
	Loss     float64   `json:"loss"`
	RTT      []float64 `json:"rtt_ms"` // of each answer
	Min      float64   `json:"min_ms"`
	Avg      float64   `json:"avg_ms"`
	P50      float64   `json:"p50_ms"`
	P99      float64   `json:"p99_ms"`
	Max      float64   `json:"max_ms"`
}

func (o pingOptions) run(c *command, to string, asJSON bool) error {
	if o.interval < 10*time.Millisecond || o.count < 0 {
		return cli.Misuse("--interval %v and --count %d: an interval of at least 10ms and a count from 0 on are allowed", o.interval, o.count)
	}
	ctx, cancel := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	r := pingResult{To: to, Route: o.route, RTT: []float64{}}
	text := c.OutOrStdout()
	if asJSON {
		text = io.Discard
	}
	began := time.Now()
	for n := 0; o.count == 0 || n < o.count; n++ {
		if !sleepUntil(ctx, began.Add(time.Duration(n)*o.interval)) {
			break
		}
		a, err := o.ask(ctx, to)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return unreachable(err)
		}
		r.Sent++
		if a.Lost {
			fmt.Fprintf(text, "%s: no answer to %d\n", to, n+1)
			continue
		}
		r.Received++
		r.RTT = append(r.RTT, a.RTT)
		fmt.Fprintf(text, "%s: %d bytes, %d, %.2f ms\n", to, o.size, n+1, a.RTT)
	}
	r.summarise()
	if asJSON {
		if err := cli.PrintJSON(c.OutOrStdout(), r); err != nil {
			return err
		}
	} else if r.Sent > 0 {
		fmt.Fprintf(text, "\n%d sent, %d answered, %.1f %% lost", r.Sent, r.Received, 100*r.Loss)
		if r.Received > 0 {
			fmt.Fprintf(text, "; min %.2f, avg %.2f, p50 %.2f, p99 %.2f, max %.2f ms", r.Min, r.Avg, r.P50, r.P99, r.Max)
		}
		fmt.Fprintln(text)
	}
	if r.Sent > 0 && r.Received == 0 {
		return &cli.Error{Err: fmt.Errorf("%s answered none of %d", to, r.Sent), Code: cli.Failed, Fix: "causeway route explain " + to + "; a PoP of an older version does not answer"}
	}
	return nil
}

func (o pingOptions) ask(ctx context.Context, to string) (a pathwatch.Answer, err error) {
	q := url.Values{"to": {to}, "size": {strconv.Itoa(o.size)}, "timeout": {o.wait.String()}, "mode": {o.mode}}
	switch o.route {
	case "":
	case "direct":
		q.Set("over", "")
	default:
		q.Set("over", strings.ReplaceAll(o.route, " ", ""))
	}
	ctx, cancel := context.WithTimeout(ctx, o.wait+o.at.timeout)
	defer cancel()
	body, err := o.at.client().Get(ctx, "/echo?"+q.Encode())
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(body, &a)
}

func (r *pingResult) summarise() {
	if r.Sent > 0 {
		r.Loss = 1 - float64(r.Received)/float64(r.Sent)
	}
	if len(r.RTT) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(r.RTT))
	for _, v := range sorted {
		r.Avg += v / float64(len(sorted))
	}
	rank := func(p float64) float64 { return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)] }
	r.Min, r.P50, r.P99, r.Max = sorted[0], rank(.5), rank(.99), sorted[len(sorted)-1]
}

// sleepUntil waits for at; false when ctx ended first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
