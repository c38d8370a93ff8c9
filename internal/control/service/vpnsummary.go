package service

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"causeway/internal/report"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// VPNSummary is what is kept of a VPN gateway's report: states and conclusions,
// no counters and no log, so that it changes only when something happens.
type VPNSummary struct {
	Daemon      string                 `json:"daemon,omitempty"` // strongSwan's version, or why it does not answer
	DaemonUp    bool                   `json:"daemon_up,omitempty"`
	Connections []VPNConnectionSummary `json:"connections,omitempty"`
	Routes      []VPNRouteSummary      `json:"routes,omitempty"`
	Findings    []vpn.Finding          `json:"findings,omitempty"` // newest first
}

// VPNConnectionSummary is one connection.
type VPNConnectionSummary struct {
	Name    string             `json:"name"`
	State   resource.State     `json:"state"`
	Since   time.Time          `json:"since,omitzero"`
	Active  []string           `json:"active,omitempty"`
	Health  string             `json:"health,omitempty"`
	Tunnels []VPNTunnelSummary `json:"tunnels,omitempty"`
}

// VPNTunnelSummary is one tunnel.
type VPNTunnelSummary struct {
	Name  string         `json:"name"`
	State resource.State `json:"state"`
	Since time.Time      `json:"since,omitzero"`
}

// VPNRouteSummary is a route that could not be installed, or where it leads.
type VPNRouteSummary struct {
	Source      netip.Prefix `json:"source,omitzero"`
	Destination netip.Prefix `json:"destination"`
	Connection  string       `json:"connection"`
	Tunnel      string       `json:"tunnel,omitempty"`
	Problem     string       `json:"problem,omitempty"`
}

// findingsKept is how many findings of one gateway are kept.
const findingsKept = 32

// Summarize is what is kept of a VPN gateway's report.
func Summarize(g report.Gateway) *VPNSummary {
	s := &VPNSummary{Daemon: g.Daemon.Version, DaemonUp: g.Daemon.Up}
	if !g.Daemon.Up {
		s.Daemon = cmp.Or(g.Daemon.Problem, "it does not answer")
	}
	for _, c := range g.Connections {
		one := VPNConnectionSummary{Name: c.Name, State: resource.State(c.State), Since: c.Since.UTC().Truncate(time.Second), Active: c.Active, Health: c.Health}
		for _, t := range c.Tunnels {
			one.Tunnels = append(one.Tunnels, VPNTunnelSummary{t.Name, resource.State(t.State), t.Since.UTC().Truncate(time.Second)})
		}
		s.Connections = append(s.Connections, one)
	}
	for _, r := range g.Routes {
		s.Routes = append(s.Routes, VPNRouteSummary{r.Source, r.Destination, r.Connection, r.Tunnel, r.Problem})
	}
	s.Findings = slices.Clone(g.Findings[:min(len(g.Findings), findingsKept)])
	for i := range s.Findings {
		f := &s.Findings[i]
		f.At = f.At.UTC().Truncate(time.Second)
		f.Text, f.Fix, f.Source = clipped(f.Text), clipped(f.Fix), clipped(f.Source)
	}
	return s
}

// SameStates reports whether s and other differ in their findings at most.
func (s *VPNSummary) SameStates(other *VPNSummary) bool {
	a, b := *s, *other
	a.Findings, b.Findings = nil, nil
	return reflect.DeepEqual(a, b)
}

// clipped keeps what came from outside short enough for the store.
func clipped(s string) string {
	const most = 500
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func (s *VPNSummary) connection(name string) *VPNConnectionSummary {
	if s == nil {
		return nil
	}
	for i := range s.Connections {
		if s.Connections[i].Name == name {
			return &s.Connections[i]
		}
	}
	return nil
}
