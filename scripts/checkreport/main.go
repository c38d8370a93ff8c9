// Command checkreport reads a lab report (report.json) from its standard input
// and fails unless it says what the lab exists to say: both ways were measured,
// the figures fit together, the accelerated way lost far less, and where the
// accelerator was made by commands, none failed and its egress IP stayed.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// way is what a report says about one way between the two sites.
type way struct {
	Sent     int                `json:"sent"`
	Received int                `json:"received"`
	Loss     float64            `json:"loss"` // 0–1
	RTT      map[string]float64 `json:"rtt_ms"`
}

// control is what a report says about the control plane.
type control struct {
	Commands []struct {
		Command string `json:"command"`
		Error   string `json:"error"`
	} `json:"commands"`
	Before string `json:"egress_ip_before"`
	After  string `json:"egress_ip_after"`
	End    string `json:"egress_ip_at_end"`
}

type report struct {
	Control     *control `json:"control"` // nil: snapshots by hand
	Direct      *way     `json:"direct"`
	Accelerated *way     `json:"accelerated"`
	Valid       *bool    `json:"valid"`
}

func main() {
	if err := check(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "checkreport: %v\n", err)
		os.Exit(1)
	}
}

// check reads a report from in and writes one line about it to out.
func check(in io.Reader, out io.Writer) error {
	var r report
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("the report is not JSON: %w", err)
	}
	if r.Direct == nil || r.Accelerated == nil || r.Valid == nil {
		return errors.New("the report lacks direct, accelerated or valid")
	}
	if err := errors.Join(r.Direct.check("direct"), r.Accelerated.check("accelerated")); err != nil {
		return err
	}
	if err := r.Control.check(); err != nil {
		return err
	}
	fmt.Fprintf(out, "direct: %d sent, %.1f %% lost, median %.1f ms; accelerated: %d sent, %.1f %% lost, median %.1f ms; valid: %t\n",
		r.Direct.Sent, 100*r.Direct.Loss, r.Direct.RTT["p50"], r.Accelerated.Sent, 100*r.Accelerated.Loss, r.Accelerated.RTT["p50"], *r.Valid)
	if !*r.Valid {
		fmt.Fprintln(out, "the machine was too busy for the figures to count, so they are not judged")
		return nil
	}
	if r.Direct.Loss < 0.2 {
		return fmt.Errorf("the direct way lost only %.1f %%: the bad Internet was not there", 100*r.Direct.Loss)
	}
	if r.Accelerated.Loss > r.Direct.Loss/4 {
		return fmt.Errorf("the accelerated way lost %.1f %%, the direct one %.1f %%: that is no acceleration", 100*r.Accelerated.Loss, 100*r.Direct.Loss)
	}
	return nil
}

// check says what must not be in the part about the control plane. It does not
// depend on how busy the machine was.
func (c *control) check() error {
	if c == nil {
		return nil
	}
	for _, k := range c.Commands {
		if k.Error != "" {
			return fmt.Errorf("control: %s failed: %s", k.Command, k.Error)
		}
	}
	if len(c.Commands) == 0 || c.Before == "" || c.After != c.Before || c.End != c.Before {
		return fmt.Errorf("control: %d commands, the egress IP was %q, then %q, at last %q: it must be given out and stay", len(c.Commands), c.Before, c.After, c.End)
	}
	return nil
}

// check says what cannot be true of w.
func (w *way) check(name string) error {
	switch {
	case w.Sent < 1 || w.Received < 0 || w.Received > w.Sent:
		return fmt.Errorf("%s: %d sent and %d received cannot be", name, w.Sent, w.Received)
	case w.Loss < 0 || w.Loss > 1 || differ(w.Loss, 1-float64(w.Received)/float64(w.Sent)):
		return fmt.Errorf("%s: a loss of %g does not fit %d of %d received", name, w.Loss, w.Received, w.Sent)
	}
	last := 0.0
	for _, k := range []string{"min", "p50", "p95", "p99", "max"} {
		v, ok := w.RTT[k]
		if !ok || v < last {
			return fmt.Errorf("%s: rtt_ms.%s is %g, after %g: missing or out of order", name, k, v, last)
		}
		last = v
	}
	if avg, ok := w.RTT["avg"]; !ok || avg < w.RTT["min"] || avg > w.RTT["max"] {
		return fmt.Errorf("%s: rtt_ms.avg is %g, not between min %g and max %g", name, avg, w.RTT["min"], w.RTT["max"])
	}
	return nil
}

// differ reports whether two ratios differ by more than rounding.
func differ(a, b float64) bool { return a-b > 0.001 || b-a > 0.001 }
