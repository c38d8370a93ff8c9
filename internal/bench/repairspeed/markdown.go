package repairspeed

import (
	"fmt"
	"strings"
	"time"
)

// Markdown is the section of the page.
func Markdown(list []*Cost) string {
	var b strings.Builder
	b.WriteString(about)
	for _, c := range list {
		fmt.Fprintf(&b, "| %.0f | %.1f | %d | %g | %d of %d | %.3f | %.0f | %.0f | %.1f | %.1f | %.0f | %.0f | **%.1f** | **%.1f** |\n",
			c.Rate, c.Rate*float64(8*c.Size)/1e9, c.RTT/time.Millisecond, 100*c.Loss, c.Lost, c.Packets, c.Overhead,
			c.Send, c.Receive, c.SendRatio, c.RecvRatio, c.Seal, c.Open, c.SendGbit, c.ReceiveGbit)
	}
	return b.String()
}

const about = `## Loss repair: what it takes of a core

Two real endpoints of loss repair over wires in memory that lose packets independently, in virtual time; packets of 1,400 bytes, a
budget of a round trip and 50 ms. Renew it with ` + "`make bench-repair-speed`" + ` (a minute). *Sending* and *receiving* are processor time
of each end in nanoseconds per packet, all repairs and reports included, sealing and sockets not; *to sealing* is that beside the sealing of one such packet
(AES-GCM) in the same rounds. *Sealed* and *opened* is what sealing takes of all that is sent of a packet, and opening of all that comes. The last columns are what a core
could carry that did nothing else than both. Due: 2 Gbit/s at 20 % loss.

| packets/s | Gbit/s | RTT, ms | lost on the wire, % | lost by the deadline | sent | sending | receiving | sending to sealing | receiving to sealing | sealed | opened | Gbit/s a core sends | Gbit/s a core receives |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`
