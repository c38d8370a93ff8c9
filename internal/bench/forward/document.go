package forward

import (
	"fmt"
	"os"
	"strings"
)

// The section of the page that Document renews stands between these.
const (
	docBegin = "<!-- forward:begin -->"
	docEnd   = "<!-- forward:end -->"
)

// Document renews the result's section in a Markdown file, and adds it at the end
// when it is not there.
func (r *Result) Document(file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(file, []byte(replaceSection(string(old), docBegin, docEnd, r.markdown())), 0o644)
}

// Renew puts a section of that name into a Markdown file, in the place of the old one.
func Renew(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	begin, end := "<!-- "+name+":begin -->", "<!-- "+name+":end -->"
	return os.WriteFile(file, []byte(replaceSection(string(old), begin, end, text)), 0o644)
}

// replaceSection puts text between markers of page.
func replaceSection(page, begin, end, text string) string {
	section := begin + "\n" + text + end
	before, rest, ok := strings.Cut(page, begin)
	if ok {
		if _, after, ok := strings.Cut(rest, end); ok {
			return before + section + after
		}
	}
	if page == "" {
		page = "# Benchmarks"
	}
	return strings.TrimRight(page, "\n") + "\n\n" + section + "\n"
}

const aboutBegin = `## Forwarding: CPU time per packet

What it costs a machine to pass a packet on: beside the kernel's own NAT, nginx and
a proxy written with plain Go sockets, in the same minutes on the same core. Renew it with
` + "`make bench`" + ` (as root; it takes about five minutes, with the other benches of the packet path twelve), or look closer with ` + "`causeway bench forward --help`" + `.

`

const aboutMethod = `
**The rows.** *nft*: DNAT and SNAT with connection tracking. *go-sockets*: one socket and one
goroutine per client, a packet per system call. *nginx*: the stream module, one process.
*one-box*: a PoP that is ingress and egress at once, nothing sealed. *sealed-ingress*, *-egress*: the two
PoPs of a crossing, each by itself, with repair on as by default; *-crossing*: both together. *xdp-*: the same with what clients
send taken before the ingress's stack (AF_XDP, copy mode: a veth has no other). *xdp-forward*: *one-box* with established tunnels
forwarded in the kernel by a program on the devices; its sink is a TAP. *nft-frames*: *nft* fed as all of *xdp-* are (next paragraph but one); × nft is
the ratio to the row that the next column names. *wireguard-*: wireguard-go at both ends, routed, no address translated. *sealed-relay*: the PoP
in the middle of three; *sealed-over-relay*: all three; *through-relay* and *sealed-through-relay*: the same where it passes the datagrams of the other two on unopened, over sockets.
*xdp-passthrough*: that by the kernel, one box that passes on what one PoP sends another, here a single generator as if it were one (small packets are not packed, a packet is a datagram). PoPs are real ` + "`causeway pop`" + ` processes.

**How it is measured.** Each contender has a line of its own: a generator, one to three boxes, a sink, in network
namespaces joined by veth cables. Packets are ESP in UDP, every client with an address and a tunnel of its own,
the clients taking turns packet by packet. Nothing joins packets before the first box.

**Two ways of feeding a line.** A packet that a socket has sent comes over a veth as a kernel's own packet (an skb), checksum left to the device. So the boxes of
most rows are fed, and pay nothing for making it. A program on a device (XDP) must have the packet in a page with room in front, so
a veth copies each such packet first: half of what receiving then costs, and nothing that a network card's driver does, which has the packet in a page to
begin with and makes an skb only if the kernel is to have it. Rows beside *nft-frames*, and that one, are therefore fed with frames as a driver has them: a TAP device
makes them of what the generator writes, a program on it redirects them to the first box's cable, and both are paid by the generator. Who wants
an skb makes it then, *nft-frames* does; the two nft rows tell what that comes to. These packets have no UDP checksum, as RFC 3948
wants for ESP, so nobody verifies one, and the kernel joins none of them, not even of one flow. ` + "`--frames=false`" + ` feeds all alike, with packets of a socket.

**On one core.** All of a line runs on one core, generator and sink as well, with up to
2,048 packets on their way: so the boxes always have work, nothing is woken across cores (in a virtual machine
that costs more than a packet), and nothing is lost.

**What is counted.** The scheduler's own nanoseconds (schedstat) of the box's processes and of the kernel
threads that receive on its devices (threaded NAPI: all that would be softirq), divided by the
packets that reached the sink. Sending is paid by who sends, in both. The generator's thread, which also empties the
sink, is accounted apart. What is left to chance: timer interrupts and the machine's other programs
disturb caches and are charged to whom they hit, alike for all; a round trip through all contenders takes seconds, so that each
ratio compares neighbours in time. The spread of the ratios over the rounds, in the table, is the error.
Absolute numbers vary by a third with what else the machine does; the ratios by some 5 %.

**The generator is not the bottleneck**: boxes are measured by CPU time, not by rate, and while a packet waits
for the generator's turn it costs nobody anything. The rate column is that of the whole line on one core.

Egress sockets are one per port of the egress IP. Here all clients have the same port and the same
endpoint, so each has a socket of its own on the way out, which is the worst case for *one-box* and
*-egress*: a batch is cut into as many system calls as there are clients in it.
`

func (r *Result) markdown() string {
	var b strings.Builder
	b.WriteString(aboutBegin)
	fmt.Fprintf(&b, "Measured %s: %s, %d cores, Linux %s, %s; %d rounds of %s each, medians; other programs used %.0f %% of the machine meanwhile.\n",
		r.Measured, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Rounds, r.Length, 100*r.Machine.Elsewhere)
	if r.Software {
		b.WriteString("Devices do not cut joined datagrams; the kernel does.\n")
	} else {
		b.WriteString("Devices cut joined datagrams themselves (UDP segmentation offload), as many cards and virtio do; `--software-segmentation` measures those that do not.\n")
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "Left out: %s.\n", m)
	}
	for _, size := range r.sizes() {
		r.markdownTable(&b, size)
	}
	b.WriteString(aboutMethod)
	return b.String()
}

func (r *Result) sizes() (list []int) {
	seen := map[int]bool{}
	for _, row := range r.Rows {
		if !seen[row.Size] {
			seen[row.Size] = true
			list = append(list, row.Size)
		}
	}
	return list
}

func (r *Result) markdownTable(b *strings.Builder, size int) {
	fmt.Fprintf(b, "\n| %d bytes | flows | CPU ns per packet | of it program | receiving | × nft (lowest–highest) | of | kpps |\n|---|--:|--:|--:|--:|--:|---|--:|\n", size)
	for _, row := range r.Rows {
		if row.Size == size {
			fmt.Fprintf(b, "| %s | %d | %.0f | %.0f | %.0f | **%.2f** (%.2f–%.2f) | %s | %.0f |\n",
				row.Name, row.Flows, row.CPU, row.Process, row.NAPI, row.Ratio, row.Lowest, row.Highest, row.Baseline, row.Rate/1000)
		}
	}
}
