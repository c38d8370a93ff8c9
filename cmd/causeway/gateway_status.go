package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"causeway/internal/cli"
	"causeway/internal/report"
	"causeway/internal/vpngw"
)

func newGatewayStatusCommand() *command {
	var at atGateway
	c := &command{
		Use:   "status",
		Short: "Show how a running gateway and its tunnels are",
		Long: `Shows charon, connections, tunnels, routes, and what was found wrong. States are
what charon said at most two seconds ago. The JSON form has everything, also the
newest lines of charon's log, and is stable; no secret is in it.`,
		Example: `  causeway gateway status
  causeway gateway status -o wide
  causeway gateway status -o json | jq '.connections[] | {name, state, active}'`,
		Args: noArgs,
	}
	output := cli.OutputFlag(c, "table", "wide", "json")
	c.RunE = func(c *command, _ []string) error {
		return at.ask(c.Context(), func(ctx context.Context, client vpngw.Client) error {
			g, err := client.Status(ctx)
			switch {
			case err != nil:
				return err
			case output.Is("json"):
				return cli.PrintJSON(c.OutOrStdout(), g)
			}
			return gatewayStatus(c.OutOrStdout(), g, output.Is("wide"), cli.Colour(os.Stdout))
		})
	}
	at.flags(c)
	return c
}

// gatewayStatus writes a report for people.
func gatewayStatus(w io.Writer, g report.Gateway, wide, colour bool) error {
	var b strings.Builder
	since := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return cli.Span(g.At.Sub(t))
	}
	fmt.Fprintf(&b, "gateway %s, up %s, causeway %s\n", g.Name, since(g.Started), cmp.Or(g.Build.Version, "of an unknown version"))
	fmt.Fprintf(&b, "snapshot %d, for %s, from %s\n", g.Snapshot.Version, since(g.Snapshot.Since), g.Snapshot.File)
	if g.Snapshot.Source == "last-good" {
		b.WriteString("  it is the last good copy, as the file could not be used at the start\n")
	}
	if r := g.Snapshot.Refused; r != nil {
		fmt.Fprintf(&b, "the file was REFUSED %s ago: %s\n", since(r.At), strings.ReplaceAll(r.Reason, "\n", "\n  "))
	}
	if g.Daemon.Up {
		fmt.Fprintf(&b, "charon %s is up for %s, process %d, ESP by %s, restarted %d times\n", g.Daemon.Version, since(g.Daemon.Since), g.Daemon.PID, g.Daemon.ESP, g.Daemon.Restarts)
	} else {
		fmt.Fprintf(&b, "charon is NOT UP: %s\n", cmp.Or(g.Daemon.Problem, "it is being started"))
	}
	write := func(title string, t *cli.Table) error {
		fmt.Fprintf(&b, "\n%s\n", title)
		if t.Len() == 0 {
			b.WriteString("none\n")
			return nil
		}
		return t.Write(&b, colour)
	}
	if err := write("CONNECTIONS AND TUNNELS", gatewayTunnels(g, wide, since)); err != nil {
		return err
	}
	if err := write("ROUTES", gatewayRoutes(g)); err != nil {
		return err
	}
	for _, f := range g.Findings {
		fmt.Fprintf(&b, "\n%s %s %s: %s\n  %s\n", f.Severity, f.Code, cmp.Or(f.Tunnel, f.Connection), f.Text, f.Fix)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func gatewayTunnels(g report.Gateway, wide bool, since func(time.Time) string) *cli.Table {
	heading := []string{"CONNECTION", "TUNNEL", "STATE", "FOR", "CARRIES", "HEALTH", "PEER", "FROM PEER", "TO PEER"}
	if wide {
		heading = append(heading, "IKE", "ESP", "REKEYS", "DPD TIMEOUTS")
	}
	table := cli.NewTable(heading...)
	for _, c := range g.Connections {
		for _, t := range c.Tunnels {
			carries := ""
			for _, a := range c.Active {
				if a == t.Name {
					carries = "yes"
				}
			}
			var from, to uint64
			esp := ""
			for _, k := range t.Children {
				from, to, esp = from+k.FromPeer.Packets, to+k.ToPeer.Packets, k.Proposal
			}
			peer := "-"
			if t.Remote.IsValid() {
				peer = t.Remote.String()
			}
			row := []any{c.Name, t.Name, t.State, since(t.Since), cmp.Or(carries, "-"), cmp.Or(c.Health, "-"), peer, from, to}
			if wide {
				row = append(row, cmp.Or(t.IKEProposal, "-"), cmp.Or(esp, "-"), fmt.Sprintf("%d IKE, %d ESP", t.IKERekeys, t.ESPRekeys), t.DPDTimeouts)
			}
			table.Row(row...)
		}
	}
	return table
}

func gatewayRoutes(g report.Gateway) *cli.Table {
	table := cli.NewTable("FROM", "TO", "CONNECTION", "TUNNEL", "TABLE", "INSTALLED")
	for _, r := range g.Routes {
		from, installed := "any", "yes"
		if r.Source.IsValid() {
			from = r.Source.String()
		}
		if !r.Installed {
			installed = strings.TrimSpace("no " + r.Problem)
		}
		table.Row(from, r.Destination.String(), r.Connection, cmp.Or(r.Tunnel, "-"), r.Table, installed)
	}
	return table
}
