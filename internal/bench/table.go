package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Table writes the result for people.
func (r *Result) Table(w io.Writer) error {
	c := &r.Config
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("cell", "%s, %s over %s, %d wire(s), back %s", c.Scheme, c.Pattern, c.Loss, c.Wires, c.ReverseLoss)
	row("", "%g packets/s of %d bytes, RTT %v, budget %v, mode %s, seed %d", c.Rate, c.Size, c.RTT, c.budget(), c.ModeName, c.Seed)
	row("packets", "%d, %d lost by their deadline, %d for ever", r.Packets, r.Lost, r.NeverDelivered)
	row("raw loss", "%.4f of datagrams", r.RawLoss)
	row("residual loss", "%.3g (95 %%: below %.3g)", r.Residual, r.ResidualUpper)
	row("overhead", "%.4f packets, %.4f bytes (feedback included: %.4f packets of it)", r.OverheadPackets, r.OverheadBytes, r.Reports)
	row("to capacity", "%.3f × 1/(1-loss)", r.CapacityRatio)
	row("to the bound", "%.3f × %.4f (%d rounds, %d packets pooled, residual %.0e)", r.DPRatio, r.DPBound, r.DPRounds, r.DPPool, r.DPResidual)
	row("added delay", "p50 %.1f  p95 %.1f  p99 %.1f  p99.9 %.1f ms as packets came", r.Added.P50, r.Added.P95, r.Added.P99, r.Added.P999)
	row("", "p50 %.1f  p95 %.1f  p99 %.1f  p99.9 %.1f ms in order", r.AddedOrdered.P50, r.AddedOrdered.P95, r.AddedOrdered.P99, r.AddedOrdered.P999)
	row("replay windows", "of 32: %.4f, of 64: %.4f accepted (as they came: %.4f, %.4f)", r.AcceptedW32, r.AcceptedW64, r.AcceptedW32Unordered, r.AcceptedW64Unordered)
	row("duplicates", "%d", r.Duplicates)
	row("goodput", "%.3f Mbit/s in time, %.4f of datagrams dropped by policer or queue", r.Goodput, r.SelfInflicted)
	if c.Cross != "" {
		row("beside us", "%s: %.3f Mbit/s", c.Cross, r.CrossGoodput)
	}
	if r.Setup != nil {
		row("IKE set-up", "p50 %.0f  p99 %.0f  p99.9 %.0f ms, %d failed", r.Setup.P50, r.Setup.P99, r.Setup.P999, r.SetupFailed)
	}
	if r.StepRecover != nil {
		row("after the step", "below 1e-4 again %.0f ms later", *r.StepRecover)
	}
	row("CPU", "%.2f µs per packet for both ends and the weather", r.CPUPerPacket/1e3)
	return t.Flush()
}

// SchemeNames lists the schemes.
func SchemeNames() []string {
	names := make([]string, len(Schemes))
	for i, s := range Schemes {
		names[i] = string(s)
	}
	return names
}
