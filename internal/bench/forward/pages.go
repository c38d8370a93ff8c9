package forward

import (
	"fmt"
	"strings"
)

// machine is a line about what something was measured on.
func machineLine(day string, m Machine) string {
	return fmt.Sprintf("Measured %s: %s, %d cores, Linux %s, %s.\n", day, m.CPU, m.Cores, m.Kernel, m.Go)
}

// Markdown is the section of docs/benchmarks.md.
func (d *Delays) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Delay\n\nOne-way delay of packets of %d bytes over %d flows, in microseconds: the generator sends at a rate from a core of its\n"+
		"own, all boxes share the other; generator, cables and sink are in it. *Added*: over kernel NAT in the same round, for each box on\n"+
		"the way. Medians of %d rounds. Renew it with `make bench-latency`.\n\n"+
		"Who carries packets runs as soon as it is woken, before all else on that core, as on a machine that has a core for it: a box's worker, and the kernel threads\n"+
		"that receive on its devices. Those of a box come before those in front of it; in the order of their waking, a packet would wait in the\n"+
		"second box until the first has taken in later ones, three turns of the core in place of one. What two boxes on one core still do: each turn pays for\n"+
		"both. A receiving thread does not interrupt its box, as a card does not interrupt for each packet. PoPs' workers are bound to that core (`--cpus`). The programs' further threads (Go's garbage\n"+
		"collector, reports) are on the generator's core and come before it. What is on its way while other work keeps the generator from running is not judged, nor what is sent in the\n"+
		"10 ms after a pause of more than 1 ms.\n\n%s\n", latencySize, latencyFlows, d.Rounds, machineLine(d.Measured, d.Machine))
	rate := 0.0
	for _, r := range d.Rows {
		if r.Rate != rate {
			rate = r.Rate
			fmt.Fprintf(&b, "%s| %.0f packets/s | boxes | p50 | p99 | added per box, p50 | added per box, p99 | lost |\n|---|--:|--:|--:|--:|--:|--:|\n", gap(rate != d.Rows[0].Rate), r.Rate)
		}
		fmt.Fprintf(&b, "| %s | %d | %.1f | %.1f | %.1f | %.1f | %.2g %% |\n", r.Name, r.Hops, r.P50, r.P99, r.AddedP50, r.AddedP99, 100*r.Lost)
	}
	return b.String()
}

func gap(yes bool) string {
	if yes {
		return "\n"
	}
	return ""
}

// Markdown is the section of docs/benchmarks.md.
func (f *Floods) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Flood\n\n%d honest tunnels send %d packets of 256 bytes a second over two PoPs, which share a core; strangers send packets of 64\n"+
		"bytes at the ingress from 65,536 addresses. *Added loss*: the tunnels' with the flood less theirs without. Renew it with `make bench-flood`.\n"+
		"\n"+
		"In front of the ingress wait up to %s packets, as at a network card; the cable alone has room for 256, which is 1.7 ms of this flood, and whenever something kept the\n"+
		"core from the receiving thread for so long the loss of honest packets was to the packet what had found no room there (*no room at the device*). That\n"+
		"column says how much of all that was sent nobody has seen, this program included. Who runs before whom is as for delays.\n\n%s\n", honestTunnels, honestRate, "1,024", machineLine(f.Measured, f.Machine))
	fmt.Fprintf(&b, "| ingress | flood | packets/s | honest loss without | with | added, pp | honest delay p99, µs | strangers let through | no room at the device |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range f.Rows {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.2g %% | %.2g %% | **%.3f** | %.0f | %.2g %% | %.2g %% |\n", r.Name, r.Flood, r.Rate, 100*r.Alone, 100*r.Honest, r.Added, r.P99, 100*r.Strangers, 100*r.Ring)
	}
	return b.String()
}

// Markdown is the section of docs/benchmarks.md.
func (s *Scales) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Cores\n\nA sealed crossing of 256-byte packets over 64 flows, as fast as it goes, generator and sink included: on one core with one worker in each PoP, on the\n"+
		"same core with two, and with two of which each has a core. A round has all three; ratios are medians over those of %d rounds. Renew it with `make bench-scale`.\n"+
		"\n"+
		"What a packet costs is what counts here. On one core two workers halve each other's batches (a turn of the egress has 15\n"+
		"datagrams in place of 32), so what a turn costs is shared by fewer packets: that is the price of lanes without anything across cores. On two it is that and what\n"+
		"goes from core to core, as the kernel's receiving threads do. The ratios vary by a quarter while other programs use the machine. The rate\n"+
		"says little: the generator is one thread, every cable has one receive queue, and on a machine of two cores all its other work takes from the last row.\n\n%s\n", s.Rounds, machineLine(s.Measured, s.Machine))
	fmt.Fprintf(&b, "| cores | workers per PoP | CPU ns per packet, both PoPs | times one worker's (lowest–highest) | packets/s | times one worker's |\n|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range s.Rows {
		fmt.Fprintf(&b, "| %d | %d | %.0f | **%.2f** (%.2f–%.2f) | %.0f | %.2f |\n", r.Cores, r.Workers, r.CPU, r.Costs, r.Lowest, r.Highest, r.Rate, r.Times)
	}
	return b.String()
}
