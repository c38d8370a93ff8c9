package lab

import (
	"context"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"time"

	"causeway/internal/lab/netns"
	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/trace"
)

// Status is a lab at one instant, as `causeway lab status` shows it.
type Status struct {
	Lab       string          `json:"lab"`
	Scenario  string          `json:"scenario"`
	Seed      uint64          `json:"seed"`
	State     string          `json:"state"`
	Backend   string          `json:"ipsec"`
	Nodes     []NodeStatus    `json:"nodes"`
	Processes []ProcessStatus `json:"processes"`
	Tunnels   []TunnelStatus  `json:"tunnels"`
	Segments  []SegmentStatus `json:"segments"`
}

// NodeStatus is one host of the lab.
type NodeStatus struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Addresses []string `json:"addresses"`
}

// ProcessStatus is one process of the lab.
type ProcessStatus struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	State string `json:"state"` // running, ended
}

// TunnelStatus is one tunnel, as its initiator sees it.
type TunnelStatus struct {
	Name       string `json:"name"`
	State      string `json:"state"` // up, down
	Initiator  string `json:"initiator"`
	Peer       string `json:"peer"`
	SPIIn      string `json:"spi_in"`
	SPIOut     string `json:"spi_out"`
	PacketsIn  uint64 `json:"packets_in"`
	PacketsOut uint64 `json:"packets_out"`
}

// SegmentStatus is one direction of a segment, as its sender sees it.
type SegmentStatus struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	State   string  `json:"state"`
	RTTMs   float64 `json:"rtt_ms"`
	RawLoss float64 `json:"raw_loss"`
}

// Status looks at everything in the lab.
func (l *Lab) Status(ctx context.Context) Status {
	st := Status{Lab: l.Name, Scenario: l.Scenario.Name, Seed: l.state.Seed, State: "running", Backend: string(l.Backend)}
	switch {
	case l.state.stale():
		st.State = "stale"
	case l.state.Kept:
		st.State = "up"
	}
	for _, n := range l.Nodes() {
		st.Nodes = append(st.Nodes, NodeStatus{Name: n, Namespace: netns.Name(l.Name, n), Addresses: l.addressesOf(n)})
	}
	for _, p := range l.state.Processes {
		state := "running"
		if !p.Alive() {
			state = "ended"
		}
		st.Processes = append(st.Processes, ProcessStatus{Name: p.Name, PID: p.PID, State: state})
	}
	for _, t := range l.Scenario.Tunnels {
		ts := TunnelStatus{Name: t.Name, State: "down", Initiator: l.callingSite(t), Peer: l.calledPeer(t).String()}
		if _, c, err := l.initiator(t).Up(ctx, t.Name); err == nil {
			ts.State, ts.SPIIn, ts.SPIOut, ts.PacketsIn, ts.PacketsOut = "up", c.SPIIn, c.SPIOut, c.PacketsIn, c.PacketsOut
		}
		st.Tunnels = append(st.Tunnels, ts)
	}
	reports := l.popReports(ctx)
	for _, name := range slices.Sorted(maps.Keys(reports)) {
		for _, s := range reports[name].Segments {
			st.Segments = append(st.Segments, SegmentStatus{From: name, To: s.Name(), State: s.State, RTTMs: s.RTT, RawLoss: s.Repair.ToPeer.RawLoss})
		}
	}
	return st
}

// addressesOf lists a node's addresses, those of its LANs too.
func (l *Lab) addressesOf(node string) []string {
	var list []string
	for _, a := range l.addrs[node] {
		list = append(list, a.String())
	}
	for name, s := range l.Scenario.Sites {
		if s.Behind != "" && node == scenario.GatewayNode(name) {
			list = append(list, s.Gateway.String())
		}
	}
	for _, t := range l.Scenario.Tunnels {
		for _, e := range []scenario.TunnelEnd{t.From, t.To} {
			switch node {
			case scenario.GatewayNode(e.Site):
				list = append(list, e.GatewayIP().String())
			case scenario.HostNode(e.Site):
				list = append(list, e.HostIP().String())
			}
		}
	}
	return slices.Compact(list)
}

// Exec runs a command on a node, with the input and output that cmd was given,
// and waits for it.
func (l *Lab) Exec(node string, cmd *exec.Cmd) error {
	ns, err := l.node(node)
	if err != nil {
		return err
	}
	if node == scenario.ControllerNode && l.managed() && cmd.Env == nil {
		cmd.Env = l.operator()
	}
	if err := ns.Do(cmd.Start); err != nil {
		return err
	}
	return cmd.Wait()
}

// MtrOptions say what `lab mtr` probes.
type MtrOptions struct {
	Tunnels  []string // none: all
	Count    int
	Interval time.Duration
	Progress *Progress
}

// MtrTable is one tunnel's hops.
type MtrTable struct {
	Tunnel         string
	Source, Target netip.Addr
	Hops           []report.Hop
}

// Mtr probes tunnels at the same time, hop by hop.
func (l *Lab) Mtr(ctx context.Context, o MtrOptions) ([]MtrTable, error) {
	l.say = o.Progress
	m := &Measurement{Traces: map[string]*trace.Result{}}
	tunnels := l.Scenario.Tunnels
	if len(o.Tunnels) > 0 {
		tunnels = nil
		for _, name := range o.Tunnels {
			t, err := l.tunnel(name)
			if err != nil {
				return nil, err
			}
			tunnels = append(tunnels, t)
		}
	}
	if err := l.probe(ctx, Plan{Interval: o.Interval, Count: o.Count}, tunnels, m); err != nil {
		return nil, err
	}
	var tables []MtrTable
	for _, t := range tunnels {
		table := MtrTable{Tunnel: t.Name, Source: t.From.HostIP(), Target: t.To.HostIP()}
		r := m.Traces[t.Name]
		for _, row := range append(slices.Clone(r.Hops), r.Target) {
			host := ""
			if row.Host.IsValid() {
				host = row.Host.String()
			}
			table.Hops = append(table.Hops, report.NewHop(host, "", probesOf(row)))
		}
		tables = append(tables, table)
	}
	return tables, nil
}
