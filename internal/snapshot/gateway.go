package snapshot

import (
	"net/netip"

	"causeway/internal/vpn"
)

// Gateway is everything one VPN gateway's agent is told: whole, never a delta,
// like a PoP's Snapshot, and kept on its disk like one.
type Gateway struct {
	Format      int              `json:"format" yaml:"format"`   // the shape; 1
	Version     uint64           `json:"version" yaml:"version"` // grows with every change
	Name        string           `json:"name" yaml:"name"`
	Region      string           `json:"region,omitempty" yaml:"region,omitempty"`             // for people
	Addresses   []Address        `json:"addresses,omitempty" yaml:"addresses,omitempty"`       // its own outer ones
	Networks    []netip.Prefix   `json:"networks,omitempty" yaml:"networks,omitempty"`         // behind it
	UserCIDRs   []netip.Prefix   `json:"user_cidrs,omitempty" yaml:"user_cidrs,omitempty"`     // outside RFC 1918 and private all the same
	RouteTables []int            `json:"route_tables,omitempty" yaml:"route_tables,omitempty"` // of the kernel, that published routes go into; default 254, main
	Connections []vpn.Connection `json:"connections,omitempty" yaml:"connections,omitempty"`
	Routes      []vpn.Route      `json:"routes,omitempty" yaml:"routes,omitempty"`
}
