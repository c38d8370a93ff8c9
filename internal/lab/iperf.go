package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"causeway/internal/lab/process"
	"causeway/internal/lab/scenario"
)

// IperfResult is one iperf3 run through one tunnel.
type IperfResult struct {
	Tunnel      string
	Run         scenario.Iperf
	Mbit        float64 // received, Mbit/s of 10⁶ bits
	Loss        float64 // UDP: share lost
	Sent        int     // UDP: datagrams
	Retransmits int     // TCP
	Err         error   // why there is no number; Mbit and the rest mean nothing then
}

// iperfPorts gives each run a port of its own, so that a run never meets what
// is left of the one before.
var iperfPorts atomic.Int32

// iperf runs iperf3 from host to host through a tunnel.
func (l *Lab) iperf(ctx context.Context, t scenario.Tunnel, run scenario.Iperf) IperfResult {
	r := IperfResult{Tunnel: t.Name, Run: run}
	r.Err = l.runIperf(ctx, t, &r)
	if r.Err == nil {
		l.say.Step("iperf3 %s through %s: %.1f Mbit/s%s", iperfName(run), t.Name, r.Mbit, iperfLoss(r))
	} else {
		l.say.Step("iperf3 %s through %s: %v", iperfName(run), t.Name, r.Err)
	}
	return r
}

// iperfName is what runs that belong beside one another are called.
func iperfName(i scenario.Iperf) string {
	name := "TCP " + strings.ToUpper(i.Congestion)
	if i.Protocol == "udp" {
		name = fmt.Sprintf("UDP %s, %d bytes", i.Rate, i.Length)
	}
	if i.Reverse {
		name += ", reverse"
	}
	return name
}

func iperfLoss(r IperfResult) string {
	if r.Run.Protocol == "udp" {
		return fmt.Sprintf(", %.2f %% lost", 100*r.Loss)
	}
	return fmt.Sprintf(", %d retransmissions", r.Retransmits)
}

// iperfGrace is how long a run may take beyond its time: through a tunnel that
// loses half its packets iperf3's own talk takes long, too.
const iperfGrace = 10 * time.Second

func (l *Lab) runIperf(ctx context.Context, t scenario.Tunnel, r *IperfResult) error {
	port := fmt.Sprint(5201 + iperfPorts.Add(1)%1000)
	log := l.path("iperf-" + port + ".json")
	server, err := process.Start(process.Spec{
		Name: "iperf/" + port,
		Args: []string{"iperf3", "--server", "--one-off", "--json", "--bind", t.To.HostIP().String(), "--port", port},
		Log:  log,
		In:   l.nodes[scenario.HostNode(t.To.Site)].Do,
		Nice: process.First,
	})
	if err != nil {
		return err
	}
	if err := l.record(server); err != nil {
		return err
	}
	sleep(ctx, 200*time.Millisecond) // for the server to listen
	out, runErr := l.iperfClient(ctx, t, r.Run, port)
	server.Signal(syscall.SIGINT) // it writes what it has
	if err := server.Stop(2 * time.Second); err != nil {
		return err
	}
	received, _ := os.ReadFile(log)
	return r.read(out, received, runErr)
}

func (l *Lab) iperfClient(ctx context.Context, t scenario.Tunnel, run scenario.Iperf, port string) ([]byte, error) {
	args := []string{"--client", t.To.HostIP().String(), "--bind", t.From.HostIP().String(), "--port", port, "--json",
		"--time", fmt.Sprint(int(run.Duration.Seconds())), "--connect-timeout", "10000"}
	if run.Protocol == "udp" {
		args = append(args, "--udp", "--bitrate", fmt.Sprint(int64(run.Rate)), "--length", fmt.Sprint(run.Length), "--window", "4M")
	} else {
		args = append(args, "--congestion", run.Congestion)
		if run.Rate > 0 {
			args = append(args, "--bitrate", fmt.Sprint(int64(run.Rate)))
		}
	}
	if run.Reverse {
		args = append(args, "--reverse")
	}
	ctx, cancel := context.WithTimeout(ctx, run.Duration+iperfGrace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "iperf3", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Second
	var out strings.Builder
	cmd.Stdout = &out
	if err := l.nodes[scenario.HostNode(t.From.Site)].Do(cmd.Start); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return []byte(out.String()), err
}

// iperfSum is a sum in iperf3's JSON.
type iperfSum struct {
	Bits        float64 `json:"bits_per_second"`
	Bytes       float64 `json:"bytes"`
	Retransmits int     `json:"retransmits"`
	Lost        float64 `json:"lost_percent"`
	Packets     int     `json:"packets"`
	LostPackets int     `json:"lost_packets"`
}

type iperfJSON struct {
	Intervals []struct {
		Sum iperfSum `json:"sum"`
	} `json:"intervals"`
	End struct {
		Sum      iperfSum `json:"sum"`
		Sent     iperfSum `json:"sum_sent"`
		Received iperfSum `json:"sum_received"`
	} `json:"end"`
	Error string `json:"error"`
}

// read takes the numbers from what client and server said. A client that did
// not finish (its last words cannot get through a bad tunnel) still has a rate:
// what the server counted, over the time that was meant.
func (r *IperfResult) read(client, server []byte, runErr error) error {
	var c, s iperfJSON
	if err := json.Unmarshal(client, &c); err == nil && c.Error == "" && runErr == nil {
		r.Mbit = c.End.Received.Bits / 1e6
		r.Retransmits = c.End.Sent.Retransmits
		r.Loss, r.Sent = c.End.Sum.Lost/100, c.End.Sum.Packets
		return nil
	}
	if json.Unmarshal(server, &s) == nil && len(s.Intervals) > 0 && !r.Run.Reverse {
		r.addUp(s)
		r.Retransmits = c.End.Sent.Retransmits
		return nil
	}
	switch {
	case c.Error != "":
		return fmt.Errorf("iperf3: %s", c.Error)
	case runErr != nil:
		return fmt.Errorf("iperf3 did not finish within %v: %w", r.Run.Duration+iperfGrace, runErr)
	}
	return fmt.Errorf("iperf3 said nothing that could be read")
}

// addUp takes the numbers from what the server saw second by second.
func (r *IperfResult) addUp(s iperfJSON) {
	var bytes float64
	var lost int
	for _, i := range s.Intervals {
		bytes += i.Sum.Bytes
		lost += i.Sum.LostPackets
		r.Sent += i.Sum.Packets
	}
	r.Mbit = bytes * 8 / r.Run.Duration.Seconds() / 1e6
	if r.Sent > 0 {
		r.Loss = float64(lost) / float64(r.Sent)
	}
}
