// Package compile turns all resources into what each PoP is told: one snapshot
// per PoP. It is a function: equal worlds make equal snapshots, byte for byte,
// so any number of controllers can serve agents side by side. It reads no
// clock and no network, and gives nothing out: addresses and labels come with
// the resources.
package compile

import (
	"net/netip"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// World is every resource that PoPs are told something of, at one revision,
// each kind in the order of names.
type World struct {
	Revision         int64 // becomes the snapshots' version
	Regions          []resource.Region
	PoPs             []resource.PoP
	Accelerators     []resource.Accelerator
	Packages         []resource.BandwidthPackage
	IPSets           []resource.IPSet
	ACLs             []resource.ACL
	Listeners        []resource.Listener
	EndpointGroups   []resource.EndpointGroup
	EgressIPs        []resource.EgressIP
	VPNGateways      []resource.VPNGateway
	CustomerGateways []resource.CustomerGateway
	IPsecConnections []resource.IPsecConnection // their secrets sealed
	VPNRoutes        []resource.VPNRoute
	Resolved         map[string][]netip.Addr // what the endpoints' domains stand for, in the order of addresses
}

// Plan is what follows from a world.
type Plan struct {
	Snapshots map[string]snapshot.Snapshot // by the PoP's name; PoPs that cannot be told anything yet are absent
	Gateways  map[string]snapshot.Gateway  `json:",omitempty"` // by the VPN gateway's name; secrets in them are sealed
	Digests   map[string]string            // of each snapshot, by the agent's name, its version left out: equal content, equal digest
	Carriers  map[resource.Ref][]string    `json:"-"` // PoPs whose snapshots speak of an accelerator, IP set, listener or endpoint group, sorted
}

// Problem is something in the world that keeps traffic from flowing.
type Problem struct {
	Resource resource.Ref
	State    resource.State // blocked or incomplete
	Reason   string         // a sentence
	Fix      string         // what to do
}
