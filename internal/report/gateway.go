package report

import (
	"net/netip"
	"time"

	"causeway/internal/vpn"
)

// Gateway is what a VPN gateway's agent tells back. Its states are what charon
// said at most two seconds before At. There is no secret in it.
type Gateway struct {
	Name        string          `json:"name"`
	Region      string          `json:"region,omitempty"`
	At          time.Time       `json:"at"`
	Started     time.Time       `json:"started"`
	Build       Build           `json:"build"`
	Snapshot    Snapshot        `json:"snapshot"`
	Daemon      Daemon          `json:"daemon"`
	Connections []VPNConnection `json:"connections"`
	Routes      []VPNRoute      `json:"routes"`
	Findings    []vpn.Finding   `json:"findings"` // newest first
	Log         []LogLine       `json:"log"`      // the newest lines of the daemon's log, oldest first, at most LogLimit
	Runtime     Runtime         `json:"runtime"`
}

// LogLimit is how many lines of a daemon's log a report carries at most.
const LogLimit = 200

// Daemon is strongSwan's charon.
type Daemon struct {
	Up       bool      `json:"up"` // it answers
	Since    time.Time `json:"since,omitzero"`
	Version  string    `json:"version,omitempty"`
	PID      int       `json:"pid,omitempty"`
	ESP      string    `json:"esp,omitempty"`     // who does ESP: "kernel" or "kernel-libipsec"
	Restarts int       `json:"restarts"`          // by the agent, because it was gone or hung
	Problem  string    `json:"problem,omitempty"` // why it is not up
}

// States of tunnels and connections, as the compatible API spells them.
const (
	IKENotEstablished   = "ike_sa_not_established"
	IKEEstablished      = "ike_sa_established"
	IPsecNotEstablished = "ipsec_sa_not_established"
	IPsecEstablished    = "ipsec_sa_established"
)

// VPNConnection is one IPsec connection.
type VPNConnection struct {
	Name    string      `json:"name"`
	ID      string      `json:"id,omitempty"`
	State   string      `json:"state"` // of its best tunnel
	Since   time.Time   `json:"since"`
	Active  []string    `json:"active"` // tunnels that carry its traffic now
	Tunnels []VPNTunnel `json:"tunnels"`
	// Health is "up", "down" or "" where it is not checked.
	Health string `json:"health,omitempty"`
}

// VPNTunnel is one tunnel.
type VPNTunnel struct {
	Name        string         `json:"name"`
	State       string         `json:"state"`
	Since       time.Time      `json:"since"`
	Local       netip.AddrPort `json:"local,omitzero"`  // of the IKE SA, as charon sees it
	Remote      netip.AddrPort `json:"remote,omitzero"` // likewise
	LocalID     string         `json:"local_id,omitempty"`
	RemoteID    string         `json:"remote_id,omitempty"`
	IKEVersion  int            `json:"ike_version,omitempty"`
	IKEProposal string         `json:"ike_proposal,omitempty"`
	NATHere     bool           `json:"nat_here"`  // a NAT, or an accelerator, stands before this end
	NATThere    bool           `json:"nat_there"` // before the other
	Established float64        `json:"established_seconds"`
	RekeyIn     float64        `json:"rekey_seconds"`
	Children    []ChildSA      `json:"children"`
	IKERekeys   uint64         `json:"ike_rekeys"`
	ESPRekeys   uint64         `json:"esp_rekeys"`
	DPDTimeouts uint64         `json:"dpd_timeouts"`
	Ups         uint64         `json:"ups"` // times it was established
}

// ChildSA is one pair of ESP SAs.
type ChildSA struct {
	Name        string    `json:"name"`
	Local       []string  `json:"local"`  // traffic selectors
	Remote      []string  `json:"remote"` // traffic selectors
	SPIIn       string    `json:"spi_in"`
	SPIOut      string    `json:"spi_out"`
	Proposal    string    `json:"proposal"`
	Encap       bool      `json:"encap"` // ESP in UDP
	Established float64   `json:"established_seconds"`
	RekeyIn     float64   `json:"rekey_seconds"`
	FromPeer    Counter   `json:"from_peer"`
	ToPeer      Counter   `json:"to_peer"`
	LastFrom    time.Time `json:"last_from_peer,omitzero"`
}

// VPNRoute is a route that the agent keeps in the kernel.
type VPNRoute struct {
	Source      netip.Prefix `json:"source,omitzero"`
	Destination netip.Prefix `json:"destination"`
	Connection  string       `json:"connection"`
	Tunnel      string       `json:"tunnel,omitempty"` // that it leads to now; empty: nowhere
	Table       int          `json:"table"`
	Installed   bool         `json:"installed"`
	Problem     string       `json:"problem,omitempty"`
}

// LogLine is one line of the daemon's log, secrets taken out.
type LogLine struct {
	At     time.Time `json:"at"`
	Group  string    `json:"group"` // IKE, CFG, NET, …
	Tunnel string    `json:"tunnel,omitempty"`
	Text   string    `json:"text"`
}
