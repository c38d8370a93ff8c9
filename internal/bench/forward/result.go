package forward

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/cli"
)

// Row is one case of the result. CPU times are of the forwarding boxes alone,
// medians over the rounds.
type Row struct {
	Name  string `json:"name"`
	Size  int    `json:"size"`  // UDP payload, bytes
	Flows int    `json:"flows"` // clients that send in turn

	CPU     float64 `json:"cpu_ns_per_packet"`
	Process float64 `json:"process_ns_per_packet"` // of it: programs, sending included
	NAPI    float64 `json:"napi_ns_per_packet"`    // of it: receiving from the device up to the socket
	Ratio   float64 `json:"ratio_to_nft"`          // median of the rounds' ratios, to Baseline's row
	Lowest  float64 `json:"ratio_lowest"`
	Highest float64 `json:"ratio_highest"`
	// Baseline is which nft: the one whose line is fed as this row's, with packets of a
	// socket (nft) or with frames as a driver has them (nft-frames).
	Baseline string `json:"baseline"`
	// ToOther is the ratio to the other build's row, where one runs beside: median of
	// the rounds' ratios, too.
	ToOther float64 `json:"ratio_to_other,omitempty"`

	Generator float64 `json:"generator_ns_per_packet"` // and sink; not in CPU
	Rate      float64 `json:"packets_per_second"`      // with generator and sink on the same core
	Loss      float64 `json:"loss"`                    // share of packets, worst round
}

// Machine is what it was measured on.
type Machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	Elsewhere float64 `json:"other_work"` // mean share of all cores that other programs used meanwhile
}

// Result is a whole run.
type Result struct {
	Measured string   `json:"measured"` // day
	Machine  Machine  `json:"machine"`
	Rounds   int      `json:"rounds"`
	Length   string   `json:"length"`
	Software bool     `json:"segmentation_in_software"` // the forwarder's device could not cut joined datagrams
	Missing  []string `json:"missing,omitempty"`        // contenders that could not run, and why
	Rows     []Row    `json:"rows"`

	options Options
	cells   map[cell][]*measured
	order   []string          // of names
	base    map[string]string // by name
	share   []float64
}

type cell struct {
	name        string
	size, flows int
}

// measured is a sample with the round it is of.
type measured struct {
	round int
	sample
}

func (m *measured) perPacket(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / float64(m.datagrams)
}

func newResult(o Options) *Result {
	r := &Result{
		Measured: time.Now().UTC().Format(time.DateOnly), Rounds: o.Rounds, Length: o.Length.String(),
		Software: o.Cables.NoSegmentation,
		options:  o, cells: map[cell][]*measured{}, base: map[string]string{},
		Machine: Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: cpuModel()},
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Machine.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return r
}

func (r *Result) add(round, size, flows int, samples []sample) {
	for _, s := range samples {
		c := cell{s.name, size, flows}
		r.cells[c] = append(r.cells[c], &measured{round, s})
		if !slices.Contains(r.order, s.name) {
			r.order = append(r.order, s.name)
			r.base[s.name] = s.baseline
		}
		r.share = append(r.share, max(0, s.elsewhere.Seconds())/(s.took.Seconds()*float64(r.Machine.Cores)))
	}
}

// finish makes rows of the samples.
func (r *Result) finish(absent []string) {
	r.Missing = absent
	for _, size := range r.options.Sizes {
		for _, flows := range r.options.Flows {
			for _, name := range r.order {
				if c := (cell{name, size, flows}); len(r.cells[c]) > 0 { // some are for few clients only
					r.Rows = append(r.Rows, r.row(c))
				}
			}
		}
	}
	sum := 0.0
	for _, s := range r.share {
		sum += s
	}
	r.Machine.Elsewhere = round(sum/float64(len(r.share)), 3)
}

func (r *Result) row(c cell) Row {
	base, other := r.byRound(cell{r.base[c.name], c.size, c.flows}), r.byRound(cell{c.name + otherBuild, c.size, c.flows})
	var toOther []float64
	var cpu, process, napi, generator, rate, ratio []float64
	loss := 0.0
	for _, m := range r.cells[c] {
		cpu = append(cpu, m.perPacket(m.usage.Sum()))
		process, napi = append(process, m.perPacket(m.usage.Process)), append(napi, m.perPacket(m.usage.NAPI))
		generator = append(generator, m.perPacket(m.generator))
		rate = append(rate, float64(m.datagrams)/m.took.Seconds())
		if b := base[m.round]; b != nil {
			ratio = append(ratio, m.perPacket(m.usage.Sum())/b.perPacket(b.usage.Sum()))
		}
		if o := other[m.round]; o != nil {
			toOther = append(toOther, m.perPacket(m.usage.Sum())/o.perPacket(o.usage.Sum()))
		}
		loss = max(loss, m.lost)
	}
	row := Row{
		Name: c.name, Size: c.size, Flows: c.flows, Baseline: r.base[c.name],
		CPU: round(median(cpu), 0), Process: round(median(process), 0), NAPI: round(median(napi), 0),
		Generator: round(median(generator), 0), Rate: round(median(rate), 0), Loss: round(loss, 4),
	}
	row.ToOther = round(median(toOther), 3)
	if len(ratio) > 0 {
		row.Ratio, row.Lowest, row.Highest = round(median(ratio), 3), round(slices.Min(ratio), 3), round(slices.Max(ratio), 3)
	}
	return row
}

// byRound is what was measured in a cell, by round.
func (r *Result) byRound(c cell) map[int]*measured {
	all := map[int]*measured{}
	for _, m := range r.cells[c] {
		all[m.round] = m
	}
	return all
}

// median sorts v.
func median(v []float64) float64 {
	slices.Sort(v)
	switch n := len(v); {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

func round(v float64, digits int) float64 {
	scale := 1.0
	for range digits {
		scale *= 10
	}
	return float64(int64(v*scale+0.5)) / scale
}

// Write prints the table.
func (r *Result) Write(w io.Writer, colour bool) error {
	t := cli.NewTable("forwarder", ">size", ">flows", ">CPU ns/packet", ">program", ">receiving", ">× nft", ">lowest", ">highest", "which nft", ">generator", ">kpps", "note")
	for i, row := range r.Rows {
		if i > 0 && row.Name == r.Rows[0].Name {
			t.Row(cli.Cell{Text: " "}, " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ")
		}
		note := " "
		if row.Loss > 0 {
			note = fmt.Sprintf("%.2g %% lost", 100*row.Loss)
		}
		if row.ToOther > 0 {
			note = strings.TrimSpace(fmt.Sprintf("× other build %.3f %s", row.ToOther, note))
		}
		t.Row(row.Name, row.Size, row.Flows, fmt.Sprintf("%.0f", row.CPU), fmt.Sprintf("%.0f", row.Process), fmt.Sprintf("%.0f", row.NAPI),
			fmt.Sprintf("%.2f", row.Ratio), fmt.Sprintf("%.2f", row.Lowest), fmt.Sprintf("%.2f", row.Highest), row.Baseline, fmt.Sprintf("%.0f", row.Generator), fmt.Sprintf("%.0f", row.Rate/1000), note)
	}
	if err := t.Write(w, colour); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d rounds of %s; %s, %d cores, Linux %s, %s; other programs used %.0f %% of the machine.\n"+
		"%s",
		r.Rounds, r.Length, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, 100*r.Machine.Elsewhere, r.absent())
	return err
}

func (r *Result) absent() string {
	text := ""
	for _, m := range r.Missing {
		text += "Left out: " + m + "\n"
	}
	return text
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
