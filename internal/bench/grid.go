package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"causeway/internal/dataplane/segment/repair"
)

// Grid is the standing set of cells, each run with the baselines that make sense.
type Grid struct {
	Only     string  // only cells whose name contains this
	Scale    float64 // times the usual number of packets
	Seed     uint64
	Progress io.Writer
}

// Cell is one place of the grid: a configuration, what is due there, and which
// schemes stand beside it.
type Cell struct {
	Group    string
	Name     string
	Config   Config
	Residual float64 // due; 0: nothing is
	Overhead float64 // due; 0: nothing is
	Stretch  float64 // the goal beyond
	Beside   []Scheme
}

// CellResult is a cell with what each scheme came to.
type CellResult struct {
	Cell    Cell      `json:"-"`
	Group   string    `json:"group"`
	Name    string    `json:"name"`
	Results []*Result `json:"results"`
}

// all are the baselines.
var all = []Scheme{Nothing, Twice, Thrice, Blocks, ARQOnly, FECOnly}

// Cells returns the grid.
func Cells() []Cell {
	var cells []Cell
	add := func(group, name string, residual, overhead, stretch float64, beside []Scheme, change func(c *Config)) {
		c := Default()
		change(&c)
		cells = append(cells, Cell{group, name, c, residual, overhead, stretch, beside})
	}
	budget := func(s string) Budget {
		b, err := ParseBudget(s)
		if err != nil {
			panic(err) // the grid's own text
		}
		return b
	}
	random := func(loss, b string) func(c *Config) {
		return func(c *Config) { c.Loss, c.Budget = "bernoulli:"+loss, budget(b) }
	}
	with := func(first func(*Config), more func(*Config)) func(*Config) {
		return func(c *Config) { first(c); more(c) }
	}

	const due = "Targets: 1000 packets/s of 1400 bytes, RTT 100 ms unless said"
	add(due, "1 %, RTT+50", 1e-5, 1.05, 1.03, all, random("0.01", "rtt+50ms"))
	add(due, "5 %, RTT+50", 1e-5, 1.15, 1.09, all, random("0.05", "rtt+50ms"))
	add(due, "5 %, 2RTT+20", 1e-5, 1.10, 1.07, nil, random("0.05", "2rtt+20ms"))
	add(due, "20 %, 0.6 RTT", 1e-5, 1.65, 1.58, all, random("0.2", "0.6rtt"))
	add(due, "20 %, RTT+50", 1e-5, 1.45, 1.35, all, random("0.2", "rtt+50ms"))
	add(due, "20 %, 2RTT+20", 1e-5, 1.37, 1.30, all, random("0.2", "2rtt+20ms"))
	add(due, "50 %, RTT+50", 1e-5, 2.5, 2.25, all, random("0.5", "rtt+50ms"))
	add(due, "50 %, 2RTT+20", 1e-5, 2.35, 2.15, nil, random("0.5", "2rtt+20ms"))
	add(due, "20 %, RTT 30, +100", 1e-5, 1.38, 1.29, all, with(random("0.2", "100ms"), func(c *Config) { c.RTT = 30 * time.Millisecond }))
	add(due, "20 %, 100/s, +240", 1e-5, 1.65, 1.45, all, with(random("0.2", "240ms"), func(c *Config) { c.Rate, c.Packets = 100, 500_000 }))

	const bursts = "Bursts"
	gilbert := func(mean, bad, b string, wires int, rho float64) func(c *Config) {
		return func(c *Config) {
			c.Loss, c.Budget = "gilbert:mean="+mean+",bad="+bad+",in=1", budget(b)
			c.Wires, c.Correlation, c.Packets = wires, rho, 4_000_000
		}
	}
	add(bursts, "20 % in 20 ms, 2 wires, 2RTT+20", 1e-3, 1.6, 1.5, all, gilbert("0.2", "20ms", "2rtt+20ms", 2, 0))
	add(bursts, "5 % in 20 ms, 2 wires, RTT+50", 1e-4, 1.25, 1.2, all, gilbert("0.05", "20ms", "rtt+50ms", 2, 0))
	add(bursts, "20 % in 20 ms, 2 wires, rho 0.6, 2RTT+20", 0, 0, 0, nil, gilbert("0.2", "20ms", "2rtt+20ms", 2, 0.6))
	add(bursts, "5 % in 5 ms, 1 wire, RTT+50", 0, 0, 0, all, gilbert("0.05", "5ms", "rtt+50ms", 1, 0))
	add(bursts, "20 % in 5 ms, 1 wire, 2RTT+20", 0, 0, 0, nil, gilbert("0.2", "5ms", "2rtt+20ms", 1, 0))
	add(bursts, "5 % in 20 ms, 1 wire, RTT+50", 0, 0, 0, nil, gilbert("0.05", "20ms", "rtt+50ms", 1, 0))
	add(bursts, "20 % in 20 ms, 1 wire, 2RTT+20", 0, 0, 0, nil, gilbert("0.2", "20ms", "2rtt+20ms", 1, 0))
	add(bursts, "5 % in 100 ms, 1 wire, RTT+50", 0, 0, 0, nil, gilbert("0.05", "100ms", "rtt+50ms", 1, 0))
	add(bursts, "20 % in 100 ms, 1 wire, 2RTT+20", 0, 0, 0, nil, gilbert("0.2", "100ms", "2rtt+20ms", 1, 0))

	const sparse = "Alone: pings and IKE"
	ping := func(loss string) func(*Config) {
		return func(c *Config) {
			c.Pattern, c.Loss = Ping, "bernoulli:"+loss
			c.Natural()
			c.Packets = 17280 * 5
		}
	}
	add(sparse, "ping 1/s, 5 %", 1.2e-4, 0, 0, []Scheme{Nothing, Twice, Thrice}, ping("0.05"))
	add(sparse, "ping 1/s, 20 %", 1.2e-4, 0, 0, []Scheme{Nothing, Twice, Thrice}, ping("0.2"))
	add(sparse, "ping 1/s, 50 %", 1.2e-4, 0, 0, []Scheme{Nothing, Twice, Thrice}, ping("0.5"))
	ike := func(loss, back string) func(*Config) {
		return func(c *Config) {
			c.Pattern, c.Loss, c.ReverseLoss = IKE, "bernoulli:"+loss, back
			c.Natural()
		}
	}
	add(sparse, "IKE, 50 % one way", 0, 0, 0, []Scheme{Nothing, Thrice}, ike("0.5", "none"))
	add(sparse, "IKE, 50 % both ways", 0, 0, 0, []Scheme{Nothing, Thrice}, ike("0.5", "0.5"))
	add(sparse, "10/s, 20 %", 0, 0, 0, []Scheme{Nothing, Twice}, with(random("0.2", "240ms"), func(c *Config) { c.Rate, c.Packets = 10, 100_000 }))

	const other = "Rates, sizes, the way back"
	add(other, "20 %, 4000/s, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.Rate = 4000 }))
	add(other, "20 %, 20000/s, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.Rate = 20000 }))
	add(other, "20 %, 50000/s, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.Rate = 50000 }))
	add(other, "20 %, 178000/s, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.Rate = 178000 }))
	add(other, "20 % in 5 ms, 20000/s, 2RTT+20", 0, 0, 0, nil, with(gilbert("0.2", "5ms", "2rtt+20ms", 1, 0), func(c *Config) { c.Rate, c.Packets = 20000, 1_000_000 }))
	add(other, "20 %, on and off, 2RTT+20", 0, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.Pattern = OnOff }))
	add(other, "20 %, IMIX, 2RTT+20", 0, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.Pattern = IMIX }))
	add(other, "20 %, RTT 200, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.RTT = 200 * time.Millisecond }))
	add(other, "20 %, RTT 60, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.RTT = 60 * time.Millisecond }))
	add(other, "20 %, way back 20 %, 2RTT+20", 1e-5, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.ReverseLoss = "0.2" }))
	add(other, "20 %, way back 50 %, 2RTT+20", 1e-5, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.ReverseLoss = "0.5" }))
	add(other, "20 %, jitter 5 ms, 2RTT+20", 0, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.Jitter = 5 * time.Millisecond }))
	add(other, "1 to 20 %, 2RTT+20", 0, 0, 0, nil, with(random("0.01", "2rtt+20ms"), func(c *Config) { c.Packets, c.Step = 200_000, &Step{100 * time.Second, 0.2} }))
	add(other, "20 %, latency, RTT+50", 0, 0, 0, nil, with(random("0.2", "rtt+50ms"), func(c *Config) { c.Mode = repair.Latency }))
	add(other, "20 %, economy, 2RTT+20", 0, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.Mode = repair.Economy }))
	add(other, "evening, 0 to 40 %, 2RTT+20", 0, 0, 0, []Scheme{Nothing, Blocks}, func(c *Config) {
		c.Loss, c.ReverseLoss, c.Evening, c.Budget = "none", "0.001", 0.4, budget("2rtt+20ms")
	})
	add(other, "20 %, both ways busy, 2RTT+20", 0, 0, 0, nil, with(random("0.2", "2rtt+20ms"), func(c *Config) { c.Back = 500 }))

	const own = "Loss of our own making: 11.7 Mbit/s offered"
	limit := func(loss, cross string) func(*Config) {
		return func(c *Config) {
			c.Loss, c.Cross, c.Budget, c.Packets = loss, cross, budget("2rtt+20ms"), 120_000
		}
	}
	add(own, "policer 0.8 × offered", 0, 0, 0, []Scheme{Nothing, Twice, Blocks}, limit("policer:9.34mbit", ""))
	add(own, "policer 1.0 × offered", 0, 0, 0, []Scheme{Nothing, Twice, Blocks}, limit("policer:11.68mbit", ""))
	add(own, "policer 1.2 × offered", 0, 0, 0, []Scheme{Nothing, Twice, Blocks}, limit("policer:14mbit", ""))
	add(own, "policer 0.7 × offered and 5 %", 0, 0, 0, []Scheme{Nothing}, limit("policer:8mbit+bernoulli:0.05", ""))
	for _, cross := range []string{"cubic", "bbr"} {
		add(own, "queue of 20 Mbit/s with "+cross, 0, 0, 0, []Scheme{Nothing, Twice, Blocks}, limit("queue:20mbit,50ms", cross))
		add(own, "queue of 20 Mbit/s with "+cross+" and 5 %", 0, 0, 0, []Scheme{Nothing}, limit("queue:20mbit,50ms+bernoulli:0.05", cross))
	}

	const dead = "A wire dies in the middle of 20 s"
	outage := func(loss string, wires int, d time.Duration) func(*Config) {
		return func(c *Config) {
			c.Loss, c.Wires, c.Budget, c.Packets = loss, wires, budget("2rtt+20ms"), 20_000
			c.Outage = &Outage{10 * time.Second, d}
		}
	}
	add(dead, "one of 2 for 300 ms", 0, 0, 0, []Scheme{Nothing, Twice}, outage("none", 2, 300*time.Millisecond))
	add(dead, "one of 2 for 3 s", 0, 0, 0, []Scheme{Nothing, Twice}, outage("none", 2, 3*time.Second))
	add(dead, "one of 2 for 3 s, 20 %", 0, 0, 0, []Scheme{Nothing, Twice}, outage("bernoulli:0.2", 2, 3*time.Second))
	add(dead, "the only one for 300 ms, 5 %", 0, 0, 0, []Scheme{Nothing}, outage("bernoulli:0.05", 1, 300*time.Millisecond))
	return cells
}

// Run runs the grid.
func (g Grid) Run(ctx context.Context) ([]CellResult, error) {
	if g.Progress == nil {
		g.Progress = io.Discard
	}
	if g.Scale <= 0 {
		g.Scale = 1
	}
	var out []CellResult
	for _, cell := range Cells() {
		if g.Only != "" && !strings.Contains(cell.Group+": "+cell.Name, g.Only) {
			continue
		}
		cr := CellResult{Cell: cell, Group: cell.Group, Name: cell.Name}
		for _, scheme := range append([]Scheme{Causeway}, cell.Beside...) {
			c := cell.Config
			c.Scheme, c.Seed = scheme, g.Seed
			if c.Outage == nil && c.Step == nil {
				c.Packets = max(int(float64(c.Packets)*g.Scale), 1000)
			}
			if scheme != Causeway {
				c.Packets = min(c.Packets, 300_000) // enough to tell them apart
			}
			fmt.Fprintf(g.Progress, "bench: %s: %s, %s\n", cell.Group, cell.Name, scheme)
			r, err := RunContext(ctx, c, nil)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", cell.Name, scheme, err)
			}
			cr.Results = append(cr.Results, r)
		}
		out = append(out, cr)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no cell of the grid has %q in its name", g.Only)
	}
	return out, nil
}

// WriteGrid writes the results as a page's tables.
func WriteGrid(w io.Writer, cells []CellResult) error {
	group := ""
	for _, c := range cells {
		if c.Group != group {
			group = c.Group
			if _, err := fmt.Fprintf(w, "\n### %s\n\n%s", group, gridHead); err != nil {
				return err
			}
		}
		for i, r := range c.Results {
			name := c.Name
			if i > 0 {
				name = ""
			}
			if _, err := fmt.Fprintln(w, gridRow(&c.Cell, name, r)); err != nil {
				return err
			}
		}
	}
	return nil
}

const gridHead = `| cell | scheme | lost (95 % below) | packets | bytes | to the bound | added delay as they came, ms | in order, ms | window 32 | |
|---|---|---|---|---|---|---|---|---|---|
`

func gridRow(c *Cell, name string, r *Result) string {
	scheme := string(r.Config.Scheme)
	lost := fmt.Sprintf("%.1e (%.1e)", r.Residual, r.ResidualUpper)
	packets := fmt.Sprintf("%.3f", r.OverheadPackets)
	if r.Config.Scheme == Causeway {
		scheme = "**causeway**"
		if c.Overhead > 0 {
			packets += fmt.Sprintf(" (due %.2f)", c.Overhead)
		}
		if c.Residual > 0 {
			lost += fmt.Sprintf(", due %.0e", c.Residual)
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %.3f | %.3f | %.1f / %.1f / %.1f | %.1f / %.1f / %.1f | %.4f | %s |",
		name, scheme, lost, packets, r.OverheadBytes, r.DPRatio,
		r.Added.P50, r.Added.P99, r.Added.P999, r.AddedOrdered.P50, r.AddedOrdered.P99, r.AddedOrdered.P999, r.AcceptedW32, remark(r))
}

// remark is what else there is to say of a result.
func remark(r *Result) string {
	var s []string
	if r.Config.Rated() {
		s = append(s, fmt.Sprintf("goodput %.2f Mbit/s, %.3f dropped by the limit", r.Goodput, r.SelfInflicted))
	}
	if r.Config.Cross != "" {
		s = append(s, fmt.Sprintf("%s beside it %.2f Mbit/s", r.Config.Cross, r.CrossGoodput))
	}
	if r.Setup != nil {
		s = append(s, fmt.Sprintf("set-up p50 %.0f, p99 %.0f ms, %d failed", r.Setup.P50, r.Setup.P99, r.SetupFailed))
	}
	if r.Config.Pattern == Ping && r.Config.Scheme == Causeway {
		s = append(s, fmt.Sprintf("%.2f copies", r.CopiesEach))
	}
	if r.StepRecover != nil {
		s = append(s, fmt.Sprintf("below 1e-4 again after %.0f ms", *r.StepRecover))
	}
	return strings.Join(s, "; ")
}

// gridIntro says how to read the tables.
const gridIntro = `## Loss repair

The real repair code in virtual time, over seeded weather, beside what one could do instead. Renew it with
` + "`make bench-repair`" + ` (about ten minutes), or look at one cell with ` + "`causeway bench repair --help`" + `.

1,000 packets/s of 1,400 bytes over a round trip of 100 ms unless said. *Lost*: not delivered by the deadline
(the budget after an unrepaired packet's arrival), with the exact 95 % bound. *Packets* and *bytes*: sent both ways,
feedback included, per packet and byte that would have been sent without repair; 60 bytes of seal, UDP and IPv4
count for each datagram. *To the bound*: packets over the least that a scheme with as many rounds of feedback and as
many packets to share repairs could send for a residual of 1e-5, without its feedback, if losses were independent.
*Added delay*: p50 / p99 / p99.9 over an unrepaired packet's. *Window 32*: share of what is given out in order
that an anti-replay window of 32 accepts. *due*: what the project demands of itself. *arq* and *fec* are our code
without repairs beforehand, and without feedback.
`

// The section of the page that Document renews stands between these lines.
const (
	docBegin = "<!-- repair:begin -->"
	docEnd   = "<!-- repair:end -->"
)

// Document renews the grid's section of a page, which is made if it does not exist.
func Document(page string, cells []CellResult) error {
	text, err := os.ReadFile(page)
	if os.IsNotExist(err) {
		text = []byte("# Benchmarks\n\n" + docBegin + "\n" + docEnd + "\n")
	} else if err != nil {
		return fmt.Errorf("renew the benchmarks page: %w", err)
	}
	before, rest, ok := strings.Cut(string(text), docBegin)
	_, after, ok2 := strings.Cut(rest, docEnd)
	if !ok || !ok2 {
		before, after = strings.TrimRight(string(text), "\n")+"\n\n", "\n"
	}
	var b strings.Builder
	b.WriteString(before + docBegin + "\n" + gridIntro)
	if err := WriteGrid(&b, cells); err != nil {
		return err
	}
	b.WriteString(docEnd + after)
	if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("renew the benchmarks page: %w", err)
	}
	return nil
}
