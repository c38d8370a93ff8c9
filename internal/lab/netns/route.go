package netns

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route is one route. To is needed (0.0.0.0/0 or ::/0 for the default), and Via or Dev or
// both; the rest is optional.
type Route struct {
	To    netip.Prefix
	Via   netip.Addr // the next hop
	Dev   string     // the device
	Src   netip.Addr // source address for what the host itself sends
	Table int        // 0 is the main table
	MTU   int        // 0 is the device's
}

// AddRoute adds a route, in place of one to the same destination in its table.
func (ns *NS) AddRoute(r Route) error {
	route, err := ns.route(r)
	if err == nil {
		err = ns.nl.RouteReplace(route)
	}
	return ns.failed(err, "add route to %v via %v dev %s", r.To, r.Via, r.Dev)
}

// RemoveRoute removes a route; it is no error when there is none.
func (ns *NS) RemoveRoute(r Route) error {
	route, err := ns.route(r)
	if err == nil {
		err = ns.nl.RouteDel(route)
	}
	if err == unix.ESRCH {
		return nil
	}
	return ns.failed(err, "remove route to %v via %v dev %s", r.To, r.Via, r.Dev)
}

func (ns *NS) route(r Route) (*netlink.Route, error) {
	route := &netlink.Route{Dst: ipNet(r.To, true), Gw: ip(r.Via), Src: ip(r.Src), Table: r.Table, MTU: r.MTU}
	if r.Dev != "" {
		link, err := ns.nl.LinkByName(r.Dev)
		if err != nil {
			return nil, err
		}
		route.LinkIndex = link.Attrs().Index
	}
	if !r.Via.IsValid() {
		route.Scope = netlink.SCOPE_LINK
	}
	return route, nil
}

// Rule chooses a routing table: packets that fit all the given parts look up Table.
type Rule struct {
	Priority int // position; lower is asked first
	From, To netip.Prefix
	Mark     uint32 // firewall mark; 0 fits any
	IIf      string // incoming device; "" fits any
	IPv6     bool   // needed when neither From nor To is given
	Table    int
}

// AddRule adds a rule; one that is there already is no error.
func (ns *NS) AddRule(r Rule) error {
	err := ns.nl.RuleAdd(r.rule())
	if err == unix.EEXIST {
		return nil
	}
	return ns.failed(err, "add rule %d to table %d", r.Priority, r.Table)
}

// RemoveRule removes a rule; it is no error when there is none.
func (ns *NS) RemoveRule(r Rule) error {
	err := ns.nl.RuleDel(r.rule())
	if err == unix.ENOENT {
		return nil
	}
	return ns.failed(err, "remove rule %d to table %d", r.Priority, r.Table)
}

func (r Rule) rule() *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family = netlink.FAMILY_V4
	if r.IPv6 || r.From.Addr().Is6() || r.To.Addr().Is6() {
		rule.Family = netlink.FAMILY_V6
	}
	rule.Priority, rule.Table, rule.Mark, rule.IifName = r.Priority, r.Table, r.Mark, r.IIf
	rule.Src, rule.Dst = ipNet(r.From, true), ipNet(r.To, true)
	return rule
}

func ip(a netip.Addr) net.IP {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}
