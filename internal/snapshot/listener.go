package snapshot

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

func (j *judge) listener(i int) {
	l, path := j.Listeners[i], fmt.Sprintf("listeners[%d]", i)
	j.name(path+".name", l.Name)
	j.text(path+".accelerator", l.Accelerator)
	if first := j.listeners[l.Name]; first != i && l.Name != "" {
		j.refuse(path+".name", l.Name, "each only once", "it is taken by listeners[%d].name; choose another", first)
	}
	j.listenerAddresses(path, l)
	j.listenerPorts(path, l)
	j.listenerGroup(path, l)
	if l.IdleTimeout < MinIdle || l.IdleTimeout > MaxIdle {
		j.refuse(path+".idle_timeout", l.IdleTimeout, fmt.Sprintf("%v to %v", MinIdle, MaxIdle), "leave it out for %v", DefaultIdle)
	}
	j.choice(path+".repair", string(l.Repair), string(Latency), string(Balanced), string(Economy), string(Off))
	j.choice(path+".order", string(l.Order), string(Ordered), string(Windowed), string(Unordered))
	j.between(path+".replay_window", l.ReplayWindow, ReplayWin, MaxReplayWindow, "packets")
	j.listenerClients(path, l)
	j.choice(path+".ike_admission", string(l.Admission), string(AdmitAuto), string(AdmitChallenge), string(AdmitOpen))
	j.listenerFailover(path, l)
	j.allowanceNames(path+".allowances", l.Allowances)
}

func (j *judge) listenerAddresses(path string, l Listener) {
	if len(l.Addresses) == 0 {
		j.missing(path+".addresses", "at least one accelerated address", "give the address that clients send to, such as {bind: 203.0.113.10}")
	}
	for k, a := range l.Addresses {
		j.twoForms(fmt.Sprintf("%s.addresses[%d]", path, k), a)
	}
}

// twoForms judges an address and what the world sees of it.
func (j *judge) twoForms(path string, a Address) {
	if !j.address(path+".bind", a.Bind, false) || a.Public == a.Bind {
		return
	}
	if j.address(path+".public", a.Public, false) && family(a.Public) != family(a.Bind) {
		j.refuse(path+".public", a.Public, "an "+family(a.Bind)+" address like bind's", "give the 1:1 NAT's outside address for %v", a.Bind)
	}
}

func (j *judge) listenerPorts(path string, l Listener) {
	if len(l.Ports) == 0 {
		j.missing(path+".ports", "at least one port", "IPsec needs [500, 4500]")
	}
	for k, port := range l.Ports {
		switch {
		case port == 0:
			j.refuse(fmt.Sprintf("%s.ports[%d]", path, k), port, "1 to 65535", "")
		case slices.Contains(l.Ports[:k], port):
			j.refuse(fmt.Sprintf("%s.ports[%d]", path, k), port, "each port once", "remove the repetition")
		}
	}
}

func (j *judge) listenerGroup(path string, l Listener) {
	j.reachableGroup(path+".endpoint_group", l.EndpointGroup)
}

func (j *judge) listenerFailover(path string, l Listener) {
	if len(l.Failover) > MaxFailover {
		j.refuse(path+".failover", len(l.Failover), fmt.Sprintf("at most %d groups", MaxFailover), "keep those that are worth having")
	}
	for k, name := range l.Failover {
		at := fmt.Sprintf("%s.failover[%d]", path, k)
		if name != "" && (name == l.EndpointGroup || slices.Contains(l.Failover[:k], name)) {
			j.refuse(at, clip(name), "each group once", "remove the repetition")
			continue
		}
		j.reachableGroup(at, name)
	}
}

// reachableGroup judges the name of a group that packets are to be sent to.
func (j *judge) reachableGroup(path, name string) {
	i, ok := j.groups[name]
	if !ok || name == "" {
		j.reference(path, name, "the name of an endpoint group", slices.Sorted(maps.Keys(j.groups)))
		return
	}
	egress := j.EndpointGroups[i].PoP
	if _, peer := j.peers[egress]; peer && egress != j.PoP.Name && !j.routes[egress] {
		j.refuse(path, name, "a group whose PoP can be reached",
			"its traffic leaves at %s, which has no wires and no route; add one of them", egress)
	}
}

// listenerClients judges the lists of who may use a listener and who may not.
func (j *judge) listenerClients(path string, l Listener) {
	if l.Allow != nil && len(l.Allow) == 0 {
		j.refuse(path+".allow", "an empty list", "at least one prefix", "leave allow out to let everyone in; remove the listener to let nobody in")
	}
	if l.Deny != nil && len(l.Deny) == 0 {
		j.refuse(path+".deny", "an empty list", "at least one prefix", "leave deny out to turn nobody away")
	}
	j.prefixes(path+".allow", l.Allow)
	j.prefixes(path+".deny", l.Deny)
}

// prefixes judges a list of prefixes that clients' addresses are looked up in.
func (j *judge) prefixes(path string, list []netip.Prefix) {
	if len(list) > MaxClientPrefixes {
		j.refuse(path, fmt.Sprintf("%d prefixes", len(list)), fmt.Sprintf("at most %d", MaxClientPrefixes), "join neighbouring prefixes into shorter ones")
		return
	}
	seen := make(map[netip.Prefix]bool, len(list))
	for k, p := range list {
		at := fmt.Sprintf("%s[%d]", path, k)
		switch {
		case !p.IsValid():
			j.missing(at, "an IP prefix, such as 203.0.113.0/24", "")
		case p.Addr().Is4In6():
			j.refuse(at, p, "IPv4 prefixes in their own form", "write the IPv4 prefix")
		case p != p.Masked():
			j.refuse(at, p, "a prefix without bits after its length", "write %v, or %v", p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		case seen[p]:
			j.refuse(at, p, "each prefix once", "remove the repetition")
		}
		seen[p] = true
	}
}

// allows reports whether client may use l.
func (l Listener) allows(client netip.Addr) bool {
	if slices.ContainsFunc(l.Deny, func(p netip.Prefix) bool { return p.Contains(client) }) {
		return false
	}
	if len(l.Allow) == 0 {
		return true
	}
	return slices.ContainsFunc(l.Allow, func(p netip.Prefix) bool { return p.Contains(client) })
}

// binds reports whether a is one of l's addresses, in its bind form.
func (l Listener) binds(a netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(own Address) bool { return own.Bind == a })
}

// goesTo reports whether l's clients may be sent to the named group.
func (l Listener) goesTo(group string) bool {
	return l.EndpointGroup == group || slices.Contains(l.Failover, group)
}
