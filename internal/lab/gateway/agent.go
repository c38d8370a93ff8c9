package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"causeway/internal/lab/process"
	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
	"causeway/internal/vpngw"
)

// Snapshot writes what tells our own agent to do what c says, and returns the
// flags by which it is told. Connections that have a name in common under which
// they stand in group are two tunnels of one connection.
func (c Config) Snapshot(group map[string]string) (told []string, err error) {
	s, err := snapshotOf(c, group)
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	text, err := strictyaml.Encode(s)
	if err == nil {
		err = os.MkdirAll(c.Dir, 0o700)
	}
	file := filepath.Join(c.Dir, "gateway.yaml")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	return []string{"--snapshot", file}, nil
}

// StartAgent has our own agent run the gateway: `causeway gateway`, with flags
// that say who tells it what to do. It starts charon, brings tunnels up and keeps
// routes by itself. exe is the program; of c, Connections are not looked at.
func StartAgent(ctx context.Context, exe string, c Config, told []string, started func(process.Record) error) (Gateway, error) {
	g := Gateway{Dir: filepath.Join(c.Dir, "run"), Agent: true}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return g, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	var err error
	g.Process, err = process.Start(process.Spec{
		Name: "gateway/" + c.Name,
		Args: slices.Concat([]string{exe, "gateway"}, told, []string{"--state-dir", filepath.Join(c.Dir, "state"),
			"--run-dir", g.Dir, "--esp", string(c.Backend), "--charon", Charon()}),
		Log: filepath.Join(c.Dir, "agent.log"), In: c.In, Nice: process.First,
	})
	if err == nil {
		err = started(g.Process)
	}
	if err != nil {
		return g, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		s, err := g.status(ctx)
		switch {
		case err == nil && s.Daemon.Up:
			process.Prioritise(s.Daemon.PID, process.First) // it leads a session of its own
			return g, nil
		case ctx.Err() != nil:
			return g, ctx.Err()
		case !g.Process.Alive() || time.Now().After(deadline):
			words, _ := os.ReadFile(filepath.Join(c.Dir, "agent.log"))
			return g, fmt.Errorf("gateway %s: its agent does not come up (%v, charon: %q); its last words: %s", c.Name, err, s.Daemon.Problem, lastLine(string(words)))
		}
	}
}

// status asks the gateway's agent how it is.
func (g Gateway) status(ctx context.Context) (report.Gateway, error) {
	return g.agent().Status(ctx)
}

func (g Gateway) agent() vpngw.Client {
	return vpngw.Client{Socket: filepath.Join(g.Dir, "gateway.sock")}
}

// KillCharon kills the charon that an agent runs, without a word to either.
func (g Gateway) KillCharon(ctx context.Context) error {
	s, err := g.status(ctx)
	if err != nil {
		return fmt.Errorf("ask the gateway's agent: %w", err)
	}
	if s.Daemon.PID <= 0 {
		return errors.New("the gateway's agent knows no charon: " + s.Daemon.Problem)
	}
	if err := syscall.Kill(s.Daemon.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill charon (pid %d): %w", s.Daemon.PID, err)
	}
	return nil
}

// snapshotOf is what the agent is told: what the lab's own configuration of
// strongSwan says, in its words.
func snapshotOf(c Config, group map[string]string) (snapshot.Gateway, error) {
	s := snapshot.Gateway{Format: 1, Version: 1, Name: c.Name}
	at := map[string]int{}
	for _, k := range c.Connections {
		name := group[k.Name]
		if name == "" {
			name = k.Name
		}
		i, known := at[name]
		if !known {
			i = len(s.Connections)
			at[name] = i
			s.Connections = append(s.Connections, vpn.Connection{Name: name, LocalNetworks: k.LocalNets, RemoteNetworks: k.RemoteNets})
		}
		t, err := k.tunnel()
		if err != nil {
			return s, err
		}
		s.Connections[i].Tunnels = append(s.Connections[i].Tunnels, t)
	}
	return s, nil
}

func (c Connection) tunnel() (vpn.Tunnel, error) {
	proposal := vpn.Proposal{Encryption: "aes128gcm16", DH: 19}
	ike := proposal
	ike.PRF = "sha256"
	t := vpn.Tunnel{
		Name:  c.Name,
		Local: vpn.End{Address: c.Local, ID: c.LocalID}, Remote: vpn.End{Address: c.Remote, ID: c.RemoteID},
		Auth: vpn.Auth{PSK: vpn.Secret(c.PSK)}, NATT: true, Accelerated: true,
		IKE: vpn.IKE{Proposals: []vpn.Proposal{ike}}, ESP: vpn.ESP{Proposals: []vpn.Proposal{proposal}},
		DPD: vpn.DPD{Delay: c.withDefaults().DPD, Action: vpn.DPDClear}, Start: vpn.StartPeer,
	}
	if c.Restart {
		t.DPD.Action, t.Start = vpn.DPDRestart, vpn.StartNow
	}
	if c.Authority == nil {
		return t, nil
	}
	certificate, key, err := c.Authority.Issue(c.LocalID, time.Time{})
	t.Auth = vpn.Auth{Method: vpn.Certificate, Certificate: string(certificate), PrivateKey: vpn.Secret(key), CA: string(c.Authority.PEM())}
	return t, err
}

// Mark is an instant in what a gateway tells of its tunnels.
type Mark struct {
	log   int64
	agent report.Gateway
}

// Mark notes where the gateway is now.
func (g Gateway) Mark(ctx context.Context) Mark {
	if !g.Agent {
		return Mark{log: g.LogSize()}
	}
	s, _ := g.status(ctx) // zero: everything counts
	return Mark{agent: s}
}

// TallySince is what happened with a connection since.
func (g Gateway) TallySince(ctx context.Context, m Mark, connection string) (Tally, error) {
	if !g.Agent {
		log, err := g.LogSince(m.log)
		return TallyOf(log, connection), err
	}
	now, err := g.status(ctx)
	if err != nil {
		return Tally{}, fmt.Errorf("ask the gateway's agent: %w", err)
	}
	a, b := tunnelIn(now, g.Prefix+connection), tunnelIn(m.agent, g.Prefix+connection)
	return Tally{Negotiations: int(a.Ups - b.Ups), IKERekeys: int(a.IKERekeys - b.IKERekeys), ChildRekeys: int(a.ESPRekeys - b.ESPRekeys)}, nil
}

func tunnelIn(g report.Gateway, name string) report.VPNTunnel {
	for _, c := range g.Connections {
		for _, t := range c.Tunnels {
			if t.Name == name {
				return t
			}
		}
	}
	return report.VPNTunnel{}
}
