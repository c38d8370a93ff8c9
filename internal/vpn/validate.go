package vpn

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"causeway/internal/nearest"
	"causeway/internal/problem"
)

// MaxNetworks is how many networks an end may have: what a traffic selector
// payload of one IKE_AUTH carries without trouble on every known device.
const MaxNetworks = 32

var name = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

const nameForm = "1–63 letters, digits, dots, dashes and underscores, a letter or digit at both ends"

// Validate says everything that is wrong with c, by path. What c leaves open is
// judged as what it defaults to. A secret never stands in a problem.
func (c Connection) Validate() problem.List {
	c = c.WithDefaults()
	var l list
	l.check("name", c.Name, name.MatchString(c.Name), nameForm)
	l.oneOf("routing", string(c.Routing), string(PolicyRouting), string(RouteRouting))
	l.oneOf("redundancy", string(c.Redundancy), string(ActiveStandby), string(ActiveActive))
	c.validateNetworks(&l)
	c.validateTunnels(&l)
	if c.HealthCheck != nil {
		l.under("health_check", c.HealthCheck.validate(c))
	}
	return problem.List(l)
}

func (c Connection) validateNetworks(l *list) {
	sides := []struct {
		field string
		nets  []netip.Prefix
	}{{"local_networks", c.LocalNetworks}, {"remote_networks", c.RemoteNetworks}}
	for _, side := range sides {
		if c.Routing == PolicyRouting && len(side.nets) == 0 {
			l.missing(side.field, "at least one network such as 10.1.0.0/16", "name the networks behind this side, or set routing: route")
		}
		if len(side.nets) > MaxNetworks {
			l.add(side.field, fmt.Sprintf("%d networks", len(side.nets)), fmt.Sprintf("at most %d", MaxNetworks), "join neighbouring networks to larger ones, or set routing: route")
		}
		seen := map[netip.Prefix]bool{}
		for i, n := range side.nets {
			validateNetwork(l, fmt.Sprintf("%s[%d]", side.field, i), n)
			if n.IsValid() && seen[n.Masked()] {
				l.add(fmt.Sprintf("%s[%d]", side.field, i), n.String(), "each network once", "take one of them away")
			}
			if n.IsValid() {
				seen[n.Masked()] = true
			}
		}
	}
	if c.Routing != PolicyRouting {
		return
	}
	for i, t := range c.Tunnels {
		if t.IKE.Version != 1 {
			continue
		}
		for _, side := range sides {
			if len(side.nets) > 1 {
				l.add(side.field, fmt.Sprintf("%d networks", len(side.nets)), fmt.Sprintf("one, because tunnels[%d] speaks IKEv1, whose selectors hold one network a side", i),
					"set ike.version: 2, join them to one larger network, or make one connection for each pair")
			}
		}
		break
	}
}

func validateNetwork(l *list, path string, n netip.Prefix) {
	const form = "a network such as 10.1.0.0/16 or fd00:1::/64"
	switch {
	case !n.IsValid():
		l.missing(path, form, "")
	case n != n.Masked():
		l.add(path, n.String(), form+", host bits zero", fmt.Sprintf("write %s", n.Masked()))
	case n.Addr().IsMulticast() || n.Addr().IsLoopback() || n.Addr().IsLinkLocalUnicast():
		l.add(path, n.String(), "a network of unicast addresses that can be routed", "name the network that the hosts are in")
	}
}

func (c Connection) validateTunnels(l *list) {
	if len(c.Tunnels) < 1 || len(c.Tunnels) > 2 {
		l.add("tunnels", fmt.Sprintf("%d tunnels", len(c.Tunnels)), "one or two", "a third way to the same networks is another connection")
	}
	for i, t := range c.Tunnels {
		l.under(fmt.Sprintf("tunnels[%d]", i), t.validate())
	}
	if len(c.Tunnels) != 2 {
		return
	}
	a, b := c.Tunnels[0], c.Tunnels[1]
	if a.Name == b.Name {
		l.add("tunnels[1].name", b.Name, "another name than tunnels[0]'s", "")
	}
	same := a.Local.Address == b.Local.Address && a.Remote.Address == b.Remote.Address && a.Remote.Domain == b.Remote.Domain
	if same && a.Local.ID == b.Local.ID && a.Remote.ID == b.Remote.ID {
		l.add("tunnels[1].remote", b.Remote.where(), "another address or another identity than tunnels[0]'s",
			"the other end could not tell the two apart: give the second tunnel the peer's second address, or an identity of its own")
	}
}

func (e End) where() string {
	if e.Domain != "" {
		return e.Domain
	}
	if e.Address.IsValid() {
		return e.Address.String()
	}
	return "any address"
}

func (h HealthCheck) validate(c Connection) problem.List {
	var l list
	for _, a := range []struct {
		field string
		addr  netip.Addr
		nets  []netip.Prefix
		side  string
	}{{"source", h.Source, c.LocalNetworks, "local_networks"}, {"destination", h.Destination, c.RemoteNetworks, "remote_networks"}} {
		switch {
		case !a.addr.IsValid():
			l.missing(a.field, "an address in one of "+a.side, "")
		case c.Routing == PolicyRouting && len(a.nets) > 0 && !inAny(a.nets, a.addr):
			l.add(a.field, a.addr.String(), "an address in one of "+a.side, "the tunnel would not take the probe: probe from and to addresses it joins")
		}
	}
	if h.Source.IsValid() && h.Destination.IsValid() && h.Source.Is4() != h.Destination.Is4() {
		l.add("destination", h.Destination.String(), "an address of the source's family", "")
	}
	l.between("interval", h.Interval, time.Second, time.Minute)
	l.check("retries", h.Retries, h.Retries >= 1 && h.Retries <= 10, "1–10")
	return problem.List(l)
}

func inAny(nets []netip.Prefix, a netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Validate says everything that is wrong with r, by path. Whether its connection exists is not asked.
func (r Route) Validate() problem.List {
	var l list
	r = r.WithDefaults()
	policy := r.Source.IsValid()
	validateNetwork(&l, "destination", r.Destination)
	if policy {
		validateNetwork(&l, "source", r.Source)
		for _, side := range []struct {
			field string
			n     netip.Prefix
		}{{"source", r.Source}, {"destination", r.Destination}} {
			if side.n.IsValid() && side.n.Bits() == 0 {
				l.add(side.field, side.n.String(), "a network smaller than everything, in a policy-based route",
					"name the network, or make it a destination route by leaving the source away")
			}
		}
		if r.Destination.IsValid() && r.Source.Addr().Is4() != r.Destination.Addr().Is4() {
			l.add("source", r.Source.String(), "a network of the destination's family", "")
		}
		l.check("priority", r.Priority, r.Priority >= 1 && r.Priority <= 100, "1–100, smaller goes first")
	} else if r.Priority != 0 {
		l.add("priority", r.Priority, "none, without a source", "only policy-based routes have a priority; use weight")
	}
	l.check("weight", r.Weight, r.Weight == 0 || r.Weight == 100, "0 or 100")
	if r.Connection == "" {
		l.missing("connection", "the name of an IPsec connection", "")
	}
	return problem.List(l)
}

// list gathers problems.
type list problem.List

func (l *list) add(path string, found any, allowed, fix string) {
	*l = append(*l, problem.Problem{Path: path, Found: fmt.Sprint(found), Allowed: allowed, Fix: fix})
}

func (l *list) missing(path, allowed, fix string) {
	*l = append(*l, problem.Problem{Path: path, Allowed: allowed, Fix: fix})
}

func (l *list) check(path string, found any, ok bool, allowed string) {
	switch {
	case ok:
	case found == "":
		l.missing(path, allowed, "")
	default:
		l.add(path, found, allowed, "")
	}
}

func (l *list) between(path string, d, least, most time.Duration) {
	l.check(path, d, d >= least && d <= most, fmt.Sprintf("%s–%s", short(least), short(most)))
}

func (l *list) oneOf(path, found string, allowed ...string) {
	for _, a := range allowed {
		if found == a {
			return
		}
	}
	fix := ""
	if near := nearest.Of(found, allowed); near != "" {
		fix = "did you mean " + near + "?"
	}
	l.add(path, found, "one of "+strings.Join(allowed, ", "), fix)
}

func (l *list) under(prefix string, problems problem.List) {
	for _, p := range problems {
		*l = append(*l, p.Under(prefix))
	}
}

// short is d without zero minutes and seconds: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
