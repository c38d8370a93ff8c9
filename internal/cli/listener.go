package cli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"causeway/internal/resource"
)

var listenerNoun = noun{
	kind:    resource.KindListener,
	about:   "A listener is what an accelerator takes from clients on all its accelerated IPs.",
	create:  "ipsec --accelerator office --ports 500,4500",
	change:  "ipsec --idle-timeout 10m",
	filters: []string{"accelerator"},
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "accelerator", "whose it is (must be given)", func(o *resource.Listener) *string { return &o.Accelerator })
			textFlag(s, "protocol", "udp (default)", func(o *resource.Listener) *string { return &o.Protocol })
		}
		commaFlag(s, "ports", "ports and ranges with commas between; IPsec needs 500,4500 (must be given)", func(o *resource.Listener) *[]resource.PortRange { return &o.Ports }, parsePorts)
		textFlag(s, "affinity", "source-ip or none (default source-ip)", func(o *resource.Listener) *resource.Affinity { return &o.Affinity })
		durationFlag(s, "idle-timeout", "10s to 24h (default 5m)", func(o *resource.Listener) *time.Duration { return &o.IdleTimeout })
		optionalBoolFlag(s, "source-consistent", "have flows leave from one egress IP (default: as the accelerator)", func(o *resource.Listener) **bool { return &o.SourceConsistent })
		textFlag(s, "repair", "latency, balanced, economy or off (default balanced)", func(o *resource.Listener) *string { return &o.Repair })
		textFlag(s, "order", "ordered, windowed or off (default ordered)", func(o *resource.Listener) *string { return &o.Order })
		intFlag(s, "replay-window", "of the VPN devices, packets (default 32)", func(o *resource.Listener) *int { return &o.ReplayWindow })
		textFlag(s, "ike-admission", "auto, challenge or open: whether the PoP asks for a cookie before a new IKE negotiation crosses (default auto)", func(o *resource.Listener) *string { return &o.IKEAdmission })
		boolFlag(s, "in-kernel", "let a PoP's kernel forward ESP of established tunnels that leave where they entered, unwatched for loss", func(o *resource.Listener) *bool { return &o.InKernel })
		commaFlag(s, "acls", "names of ACLs with commas between, at most 2", func(o *resource.Listener) *[]string { return &o.ACLs }, func(text string) (string, error) { return text, nil })
		textFlag(s, "acl-mode", "allow or deny: what becomes of clients that the ACLs list (default allow)", func(o *resource.Listener) *resource.ACLMode { return &o.ACLMode })
		commaFlag(s, "allow", "client prefixes with commas between (default: everyone)", func(o *resource.Listener) *[]netip.Prefix { return &o.Allow }, parsePrefix)
	},
	columns: []column{
		col("ACCELERATOR", func(o *resource.Listener) any { return o.Accelerator }),
		col("PORTS", func(o *resource.Listener) any { return o.Protocol + " " + joined(o.Ports) }),
		col("STATE", func(o *resource.Listener) any { return stateCell(o.Status.State) }),
		col("CLIENTS SEND TO", func(o *resource.Listener) any { return joined(o.Status.Addresses) }),
		col("ENDPOINTS SEE", func(o *resource.Listener) any { return joined(o.Status.EgressIPs) }),
		wideCol("POPS", func(o *resource.Listener) any { return strings.Join(o.Status.PoPs, ",") }),
		wideCol("REPAIR", func(o *resource.Listener) any { return o.Repair }),
		wideCol("ORDER", func(o *resource.Listener) any { return o.Order }),
		wideCol("REASON", func(o *resource.Listener) any { return o.Status.Reason }),
	},
}

// joined is a list with commas between.
func joined[T any](list []T) string {
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = fmt.Sprint(item)
	}
	return strings.Join(texts, ",")
}
