package lab

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"causeway/internal/lab/netns"
	"causeway/internal/lab/scenario"
)

// masquerade makes a router give everything one of its addresses, as home and
// office routers do. Without ports the source port is kept where it is free;
// with them, flows get one from there.
func masquerade(router *netns.NS, address netip.Addr, ports string) error {
	if ports != "" {
		ports = ":" + ports
	}
	rules := fmt.Sprintf(`table ip nat {
 chain out {
  type nat hook postrouting priority srcnat
  oifname "wan0" meta l4proto udp snat to %[1]s%[2]s
  oifname "wan0" snat to %[1]s
 }
}
`, address, ports)
	if err := router.Do(func() error { return nftables("table ip nat", rules) }); err != nil {
		return fmt.Errorf("give router %s its NAT rules: %w", router.Name(), err)
	}
	return nil
}

// nftables puts rules in the place of a table, in the calling thread's network.
func nftables(table, rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader("add " + table + "\ndelete " + table + "\n" + rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// rebind has a router forget all flows and give them other ports, and its other
// address if that is wanted, as one does that was restarted by its provider.
func (l *Lab) rebind(r *scenario.Rebind) error {
	l.rebound++
	router := l.Scenario.Routers[r.Router]
	address := router.WAN
	if r.Address {
		address = router.Spare
	}
	first := 20_000 + 1000*l.rebound
	ns, err := l.node(r.Router)
	if err == nil {
		err = masquerade(ns, address, fmt.Sprintf("%d-%d", first, first+999))
	}
	if err != nil {
		return err
	}
	return ns.ForgetFlows()
}
