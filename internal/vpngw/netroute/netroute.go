// Package netroute keeps a gateway's routes, rules and XFRM interfaces in the
// kernel. It is told all that there shall be, compares that with what is there,
// and changes the difference; so it needs no memory, and mends what others
// removed or an agent before this one left. What is its own it knows by the
// routing protocol's number (Protocol) and by the names of its interfaces. Which
// routes there shall be is the agent's business.
package netroute

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Protocol marks routes and rules as ours; `ip route show table all proto 199`
// lists them.
const Protocol = 199

// Kind is what happens to a packet that a route takes.
type Kind string

const (
	Forward     Kind = ""            // it goes to a device
	Unreachable Kind = "unreachable" // it is refused, so that it cannot go another way unencrypted
	Throw       Kind = "throw"       // the next rule decides
)

// Route is a route that shall be there. It can be compared.
type Route struct {
	Table   int
	To      netip.Prefix
	Kind    Kind
	Device  string     // of Forward
	Second  string     // of Forward: a second device that shares the flows; "": none
	Source  netip.Addr // for what this machine itself sends; invalid: the kernel chooses
	MTU     int        // 0: the device's
	MSS     int        // of this machine's own TCP; 0: the kernel's
	Metric  int        // smaller first, of routes to the same destination
	Problem string     // ignored here, for the caller's use
}

// Rule is a rule that shall be there: packets from From to To look up Table.
// What is invalid fits all.
type Rule struct {
	Priority int
	From, To netip.Prefix
	Table    int
	IPv6     bool // needed when neither From nor To is given
}

// Net is the network namespace that it was opened in.
type Net struct{ handle *netlink.Handle }

// Open opens the namespace that the calling thread is in.
func Open() (*Net, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_XFRM)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &Net{h}, nil
}

// Close ends it. Routes stay.
func (n *Net) Close() { n.handle.Close() }

// Sync makes exactly these routes and rules be there, of ours. It returns what
// could not be, by route; a device that is not there is no error of the whole.
func (n *Net) Sync(routes []Route, rules []Rule) (failed map[Route]error, err error) {
	there, err := n.routes()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	failed = map[Route]error{}
	devices := n.devices()
	for _, r := range routes {
		if slices.Contains(there, r.bare()) {
			continue
		}
		if err := n.replace(r, devices); err != nil {
			failed[r] = fmt.Errorf("add route to %v: %w", r.To, err)
		}
	}
	var errs []error
	for _, old := range there {
		if !slices.ContainsFunc(routes, func(r Route) bool { return r.key() == old.key() }) {
			errs = append(errs, n.remove(old))
		}
	}
	errs = append(errs, n.syncRules(rules))
	return failed, errors.Join(errs...)
}

// key is what the kernel knows a route by: another with the same replaces it.
func (r Route) key() Route { return Route{Table: r.Table, To: r.To, Metric: r.Metric} }

// bare is r without what the kernel does not know.
func (r Route) bare() Route { r.Problem = ""; return r }

// devices returns the links by name, with their index.
func (n *Net) devices() map[string]int {
	all := map[string]int{}
	links, _ := n.handle.LinkList()
	for _, l := range links {
		all[l.Attrs().Name] = l.Attrs().Index
	}
	return all
}

func (n *Net) routes() ([]Route, error) {
	list, err := n.handle.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC, Protocol: Protocol}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for name, index := range n.devices() {
		names[index] = name
	}
	var all []Route
	for _, l := range list {
		r := Route{Table: l.Table, To: prefixOf(l.Dst, l.Family), MTU: l.MTU, MSS: l.AdvMSS, Metric: l.Priority}
		r.Source, _ = netip.AddrFromSlice(l.Src)
		r.Source = r.Source.Unmap()
		switch {
		case l.Type == unix.RTN_UNREACHABLE:
			r.Kind = Unreachable
		case l.Type == unix.RTN_THROW:
			r.Kind = Throw
		case len(l.MultiPath) == 2:
			r.Device, r.Second = names[l.MultiPath[0].LinkIndex], names[l.MultiPath[1].LinkIndex]
		default:
			r.Device = names[l.LinkIndex]
		}
		all = append(all, r)
	}
	return all, nil
}

func (n *Net) replace(r Route, devices map[string]int) error {
	l := &netlink.Route{Table: r.Table, Dst: ipNet(r.To), Protocol: Protocol, Priority: r.Metric, MTU: r.MTU, AdvMSS: r.MSS, Src: r.Source.AsSlice()}
	switch r.Kind {
	case Unreachable:
		l.Type = unix.RTN_UNREACHABLE
	case Throw:
		l.Type = unix.RTN_THROW
	default:
		for _, d := range []string{r.Device, r.Second} {
			if _, ok := devices[d]; !ok && d != "" {
				return fmt.Errorf("there is no device %s", d)
			}
		}
		l.Scope = netlink.SCOPE_LINK
		l.LinkIndex = devices[r.Device]
		if r.Second != "" {
			l.LinkIndex = 0
			l.MultiPath = []*netlink.NexthopInfo{{LinkIndex: devices[r.Device]}, {LinkIndex: devices[r.Second]}}
		}
	}
	return n.handle.RouteReplace(l)
}

func (n *Net) remove(r Route) error {
	l := &netlink.Route{Table: r.Table, Dst: ipNet(r.To), Protocol: Protocol, Priority: r.Metric}
	switch r.Kind {
	case Unreachable:
		l.Type = unix.RTN_UNREACHABLE
	case Throw:
		l.Type = unix.RTN_THROW
	default:
		l.Scope = netlink.SCOPE_NOWHERE // any
	}
	if err := n.handle.RouteDel(l); err != nil && err != unix.ESRCH {
		return fmt.Errorf("remove route to %v: %w", r.To, err)
	}
	return nil
}

func (n *Net) syncRules(rules []Rule) error {
	list, err := n.handle.RuleList(netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list rules: %w", err)
	}
	var there []Rule
	var errs []error
	for _, l := range list {
		if l.Protocol != Protocol {
			continue
		}
		r := Rule{Priority: l.Priority, Table: l.Table, IPv6: l.Family == netlink.FAMILY_V6}
		if l.Src != nil {
			r.From = prefixOf(l.Src, l.Family)
		}
		if l.Dst != nil {
			r.To = prefixOf(l.Dst, l.Family)
		}
		if !slices.Contains(rules, r) {
			errs = append(errs, n.handle.RuleDel(r.rule()))
			continue
		}
		there = append(there, r)
	}
	for _, r := range rules {
		if !slices.Contains(there, r) {
			if err := n.handle.RuleAdd(r.rule()); err != nil && err != unix.EEXIST {
				errs = append(errs, fmt.Errorf("add rule %d to table %d: %w", r.Priority, r.Table, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (r Rule) rule() *netlink.Rule {
	l := netlink.NewRule()
	l.Family = netlink.FAMILY_V4
	if r.IPv6 {
		l.Family = netlink.FAMILY_V6
	}
	l.Priority, l.Table, l.Protocol = r.Priority, r.Table, Protocol
	l.Src, l.Dst = ipNet(r.From), ipNet(r.To)
	return l
}

func ipNet(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	return &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf is n; the kernel leaves a default route's out.
func prefixOf(n *net.IPNet, family int) netip.Prefix {
	if n == nil || n.IP == nil {
		if family == netlink.FAMILY_V6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

// Address returns an address of this machine that lies within one of nets; the
// result is invalid when there is none.
func (n *Net) Address(nets []netip.Prefix) netip.Addr {
	list, _ := n.handle.AddrList(nil, netlink.FAMILY_ALL)
	for _, l := range list {
		a, _ := netip.AddrFromSlice(l.IP)
		a = a.Unmap()
		for _, p := range nets {
			if p.Contains(a) && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				return a
			}
		}
	}
	return netip.Addr{}
}
