package cli

import (
	"cmp"
	"time"

	"causeway/internal/resource"
)

var tokenNoun = noun{
	kind:    resource.KindToken,
	about:   "A token makes one machine one PoP or one VPN gateway, once.",
	create:  "--pop seoul -q > seoul.token",
	filters: []string{"pop", "vpn-gateway"},
	flags: func(s *specFlags) {
		textFlag(s, "pop", "which PoP it makes", func(o *resource.Token) *string { return &o.PoP })
		textFlag(s, "gateway", "or which VPN gateway it makes", func(o *resource.Token) *string { return &o.Gateway })
		durationFlag(s, "ttl", "how long it may be used, 1m to 720h (default 24h)", func(o *resource.Token) *time.Duration { return &o.TTL })
	},
	columns: []column{
		col("POP", func(o *resource.Token) any { return cmp.Or(o.PoP, "-") }),
		col("VPN GATEWAY", func(o *resource.Token) any { return cmp.Or(o.Gateway, "-") }),
		col("STATE", func(o *resource.Token) any { return stateCell(o.Status.State) }),
		col("EXPIRES", func(o *resource.Token) any { return when(o.Given.Expires) }),
		col("USED", func(o *resource.Token) any { return when(o.Given.Used) }),
	},
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
