package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// How the machine's network is set up.
var networkChecks = []Check{
	{"rp-filter", "reverse path filter lets answers in", func(_ context.Context, t *Target) outcome {
		strict := []string{}
		all, _ := t.number("net.ipv4.conf.all.rp_filter")
		for _, i := range t.outward() {
			one, there := t.number("net.ipv4.conf." + strings.ReplaceAll(i.Name, ".", "/") + ".rp_filter")
			if there && max(all, one) == 1 {
				strict = append(strict, i.Name)
			}
		}
		if len(strict) > 0 && len(t.outward()) > 1 {
			return fail("the filter is strict on "+strings.Join(strict, ", ")+", and there are several interfaces: packets that come by another one than answers would take are dropped without a word",
				"sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.default.rp_filter=2, and lines for them in /etc/sysctl.d/60-causeway.conf")
		}
		return ok("strict on %d of %d interfaces", len(strict), len(t.outward()))
	}},
	{"mtu", "interfaces take whole packets", func(_ context.Context, t *Target) outcome {
		var small []string
		for _, i := range t.outward() {
			if i.MTU > 0 && i.MTU < 1400 {
				small = append(small, fmt.Sprintf("%s (%d)", i.Name, i.MTU))
			}
		}
		if len(small) > 0 {
			return warn("a small MTU on "+strings.Join(small, ", ")+": a full packet in ESP goes in two, which costs more",
				"raise it where the network allows it (ip link set dev NAME mtu 1500), or set the overlay address's mtu and lower the tunnel's (ip link, or clamp TCP's MSS) on the VPN devices")
		}
		return ok("%s", mtus(t.outward()))
	}},
	{"addresses", "PoP's addresses are on the machine", func(_ context.Context, t *Target) outcome {
		if t.PoP == nil {
			return skip("no PoP runs here")
		}
		have := t.addresses()
		var missing []string
		for _, a := range t.bound() {
			if !a.IsUnspecified() && !slices.Contains(have, a) {
				missing = append(missing, a.String())
			}
		}
		if len(missing) > 0 {
			return fail("no interface has "+strings.Join(missing, ", "), "ip addr add ADDRESS/32 dev eth0, and in the machine's network configuration; in a cloud, give the interface the secondary private address first")
		}
		return ok("all %d are there", len(t.bound()))
	}},
	{"nat", "private addresses have public ones", func(_ context.Context, t *Target) outcome {
		if t.PoP == nil {
			return skip("no PoP runs here")
		}
		var same []string
		for _, o := range t.PoP.Overlay {
			if o.Bind.Addr().IsPrivate() && (o.Public == o.Bind || !o.Public.IsValid()) {
				same = append(same, o.Bind.String())
			}
		}
		if len(same) > 0 {
			return warn("overlay addresses "+strings.Join(same, ", ")+" are private, and no public one is given: PoPs elsewhere cannot send there", "say how the world sees them: causeway pop update NAME --overlay PRIVATE:PORT=PUBLIC:PORT; in one private network this is how it should be")
		}
		return ok("nothing private is told to the world")
	}},
	{"port-500", "UDP 500 is a PoP's or free", portFree(500)},
	{"port-4500", "UDP 4500 is a PoP's or free", portFree(4500)},
	{"port-overlay", "overlay's UDP port is a PoP's or free", portFree(4600)},
	{"ike-daemon", "no IKE daemon of this machine takes the ports", func(_ context.Context, t *Target) outcome {
		if t.Gateway {
			return skip("this machine is a VPN gateway, too")
		}
		for _, file := range []string{"charon.vici", "charon.pid", "pluto/pluto.pid", "iked.sock"} {
			// A daemon that was killed leaves its file; then the port is free.
			bound := t.System.CanBind(netip.AddrPortFrom(netip.IPv4Unspecified(), 500)) != nil
			if _, err := t.System.Stat("/run/" + file); err == nil && bound && !t.has(500) {
				return fail("an IKE daemon runs here (/run/"+file+"), and binds UDP 500 and 4500 on every address", "stop it (systemctl disable --now strongswan), or bind it to one address of its own (charon.interfaces_use)")
			}
		}
		return ok("none runs")
	}},
	{"gro", "devices join received packets", offload("generic-receive-offload", "gro", "joins received packets", "packets cost several times as much to receive")},
	{"gso", "devices take joined packets to send", offload("tx-udp-segmentation", "tx-udp-segmentation", "segments UDP by itself", "the kernel segments it, which costs a little more")},
	{"checksum", "devices check sums", offload("rx-checksumming", "rx", "checks sums", "the processor does")},
	{"forwarding", "machine forwards nothing by itself", func(_ context.Context, t *Target) outcome {
		on, there := t.number("net.ipv4.ip_forward")
		switch {
		case !there:
			return skip("the kernel does not tell")
		case t.Gateway && on == 0:
			return fail("the kernel forwards nothing, and a VPN gateway must", "sysctl -w net.ipv4.ip_forward=1, and a line for it in /etc/sysctl.d/60-causeway.conf")
		case !t.Gateway && on == 1:
			return warn("the kernel forwards packets; a PoP does not need it, and a stranger may use it", "sysctl -w net.ipv4.ip_forward=0, unless something else here needs it (containers do)")
		}
		return ok("net.ipv4.ip_forward is %d", on)
	}},
	{"port-range", "egress ports are not the system's", func(_ context.Context, t *Target) outcome {
		text, there := t.sysctl("net.ipv4.ip_local_port_range")
		fields := strings.Fields(text)
		if !there || len(fields) != 2 {
			return skip("the kernel does not tell")
		}
		if first, err := strconv.Atoi(fields[0]); err == nil && first < 5000 {
			return warn("the system gives out ports from "+fields[0]+" on, the PoP's own among them", `sysctl -w net.ipv4.ip_local_port_range="32768 60999"`)
		}
		return ok("the system gives out %s to %s", fields[0], fields[1])
	}},
	{"tailroom", "VPN's packets fit the way out", func(_ context.Context, t *Target) outcome {
		if t.PoP == nil || len(t.PoP.Segments) == 0 {
			return skip("no PoP with peers runs here")
		}
		for _, s := range t.PoP.Segments {
			for _, w := range s.Wires {
				mtu, err := t.System.RouteMTU(w.Remote.Addr())
				if err == nil && w.Up && w.MTU > 0 && mtu > 0 && w.MTU < mtu-100 {
					return warn(fmt.Sprintf("to %s the device takes %d bytes, but only %d pass", s.Name(), mtu, w.MTU), "something on the way has a smaller MTU (a tunnel, PPPoE); set the overlay address's mtu to what passes, so that it is not looked for anew")
				}
			}
		}
		return ok("what devices take passes")
	}},
}

// outward are interfaces that are up and lead out.
func (t *Target) outward() (list []Interface) {
	all, _ := t.System.Interfaces()
	for _, i := range all {
		if i.Up && !i.Loopback && len(i.Addresses) > 0 {
			list = append(list, i)
		}
	}
	return list
}

func mtus(list []Interface) string {
	var words []string
	for _, i := range list {
		words = append(words, fmt.Sprintf("%s %d", i.Name, i.MTU))
	}
	return strings.Join(words, ", ")
}

func (t *Target) addresses() (list []netip.Addr) {
	all, _ := t.System.Interfaces()
	for _, i := range all {
		list = append(list, i.Addresses...)
	}
	return list
}

// bound are the addresses that the PoP has bound.
func (t *Target) bound() (list []netip.Addr) {
	add := func(a netip.Addr) {
		if a.IsValid() && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	for _, o := range t.PoP.Overlay {
		add(o.Bind.Addr())
	}
	for _, l := range t.PoP.Listeners {
		for _, a := range l.Addresses {
			add(a.Addr())
		}
	}
	for _, e := range t.PoP.Egresses {
		add(e.EgressIP)
	}
	return list
}

// has reports whether the PoP itself has a port.
func (t *Target) has(port uint16) bool {
	if t.PoP == nil {
		return false
	}
	for _, o := range t.PoP.Overlay {
		if o.Bind.Port() == port {
			return true
		}
	}
	for _, l := range t.PoP.Listeners {
		for _, a := range l.Addresses {
			if a.Port() == port {
				return true
			}
		}
	}
	return false
}

func portFree(port uint16) func(context.Context, *Target) outcome {
	return func(_ context.Context, t *Target) outcome {
		if t.has(port) {
			return ok("the PoP here has it")
		}
		err := t.System.CanBind(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		switch {
		case err == nil:
			return ok("free")
		case errors.Is(err, syscall.EADDRINUSE):
			return fail(fmt.Sprintf("another program has UDP %d on some address", port), fmt.Sprintf("see which: ss -lunp 'sport = :%d'; stop it, or bind it to one address that the PoP does not use", port))
		case errors.Is(err, syscall.EACCES):
			return skip("this user may not try")
		}
		return warn(fmt.Sprintf("UDP %d cannot be bound: %v", port, err), "run it as the user the PoP runs as")
	}
}

func offload(feature, flag, does, otherwise string) func(context.Context, *Target) outcome {
	return func(_ context.Context, t *Target) outcome {
		var without []string
		asked := 0
		for _, i := range t.outward() {
			have, err := t.System.Offloads(i.Name)
			on, known := have[feature]
			if err != nil || !known {
				continue
			}
			if asked++; !on {
				without = append(without, i.Name)
			}
		}
		switch {
		case asked == 0:
			return skip("no device tells")
		case len(without) > 0:
			return warn(strings.Join(without, ", ")+" does not: "+otherwise, fmt.Sprintf("ethtool -K %s %s on, if its driver can", without[0], flag))
		}
		return ok("every device %s", does)
	}
}
