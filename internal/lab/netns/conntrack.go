package netns

import "github.com/vishvananda/netlink"

// ForgetFlows empties the namespace's connection tracking, so that changed NAT
// rules hold for flows that go on.
func (ns *NS) ForgetFlows() error {
	return ns.failed(ns.nl.ConntrackTableFlush(netlink.ConntrackTable), "forget tracked flows")
}
