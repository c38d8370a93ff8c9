package forward

import (
	"fmt"
	"strings"

	"causeway/internal/bench/netbench"
	"causeway/internal/dataplane/segment/seal"
)

// contender is a way to forward packets.
type contender struct {
	name string // of the line; rows are named by accounts
	hops int
	// total, when not 0, bounds what is on its way more than usual, for a contender
	// whose socket buffer holds little.
	total int
	// begin starts it on r's line and says whose CPU time counts as what. The last
	// account has all the line's boxes.
	begin func(r *running) error
	ours  bool // runs PoPs
	aside bool // only where it is asked for
	// rate, in bit/s, is that of an allowance that all packets are held against; 0: none.
	rate  int64
	apart bool // on a line that is bound to no core
	most  int  // clients at a time; 0: any
	kind  byte // of what clients send; see netbench.Stream
	// ethernet: the sink is a device that the kernel can redirect packets to.
	ethernet bool
	// frames: where Options.Frames says so, packets come as a network card's driver has
	// them, and FramesBaseline is what it is compared with.
	frames bool
	exe    string // another build of causeway to run; empty: the one of the options
}

// title names a contender in messages, host in namespaces and files.
func (c *contender) title() string { return c.name + c.suffix() }
func (c *contender) host() string  { return c.name + strings.ReplaceAll(c.suffix(), "/", "-") }

// otherBuild ends the names of another build's rows.
const otherBuild = "/against"

// suffix tells another build's rows from ours.
func (c *contender) suffix() string {
	if c.exe != "" {
		return otherBuild
	}
	return ""
}

// missing is why a contender cannot run on this machine.
type missing struct{ why string }

func (m *missing) Error() string { return m.why }

// Baseline is the contender that all others are compared with, but for those whose line is fed
// with frames: they are with FramesBaseline, whose is, too.
const (
	Baseline       = "nft"
	FramesBaseline = "nft-frames"
)

var contenders = []contender{
	{name: Baseline, hops: 1, begin: beginNFT},
	{name: FramesBaseline, hops: 1, begin: beginNFT, frames: true},
	{name: "go-sockets", hops: 1, begin: beginMirror},
	// nginx cannot force a buffer beyond net.core.rmem_max, 208 KiB by default.
	{name: "nginx", hops: 1, total: 128, begin: beginNginx},
	{name: "wireguard-go", hops: 2, begin: beginWireGuard},
	{name: "one-box", hops: 1, begin: beginOneBox, ours: true},
	{name: "sealed", hops: 2, begin: beginSealed, ours: true},
	{name: "xdp", hops: 2, begin: beginXDP, ours: true, frames: true},
	{name: "xdp-forward", hops: 1, begin: beginForward, ours: true, ethernet: true, frames: true},
	{name: "xdp-forward-bounded", hops: 1, begin: beginForward, ours: true, ethernet: true, frames: true, aside: true, rate: 100_000_000_000},
	{name: "xdp-passthrough", hops: 1, begin: beginPassthrough, ours: true, ethernet: true, frames: true, most: 1, kind: seal.Type},
	{name: "workers", hops: 2, begin: beginWorkers, ours: true, aside: true},
	{name: "workers-apart", hops: 2, begin: beginWorkersApart, ours: true, aside: true, apart: true},
	{name: "relay", hops: 3, begin: beginRelay, ours: true},
	{name: "through-relay", hops: 3, begin: beginThroughRelay, ours: true},
}

// pay makes an account of a single hop.
func (r *running) pay(name string, hop int, p *process) {
	r.payAll(name, r.payer(hop, p))
}

// payAll makes an account of several.
func (r *running) payAll(name string, payers ...netbench.Payer) {
	r.accounts = append(r.accounts, account{name + r.suffix(), payers})
}

func (r *running) payer(hop int, p *process) netbench.Payer {
	payer := netbench.Payer{Ports: r.line.ports(hop)}
	if p != nil {
		payer.PID = p.cmd.Process.Pid
	}
	return payer
}

// beginNFT makes the kernel forward: DNAT to the endpoint, SNAT to the egress IP.
func beginNFT(r *running) error {
	if err := r.line.hop(1).Router(false); err != nil {
		return err
	}
	r.pay(r.name, 1, nil)
	return netbench.NFT(r.line.hop(1), fmt.Sprintf(`
table ip nat {
	chain to_endpoint {
		type nat hook prerouting priority dstnat
		ip daddr %s udp dport %d dnat to %v
	}
	chain from_egress {
		type nat hook postrouting priority srcnat
		ip daddr %s udp dport %d snat to %s
	}
}
`, r.line.accelerated().Addr(), port, r.line.endpoint(), r.line.endpoint().Addr(), port, r.line.egress()))
}

// beginMirror starts the forwarder that one would write in Go in an hour.
func beginMirror(r *running) error {
	p, err := r.start(1, append([]string{r.exe}, MirrorArgs(r.line.accelerated(), r.line.endpoint())...)...)
	if err != nil {
		return err
	}
	r.pay("go-sockets", 1, p)
	return nil
}
