package cli

import (
	"time"

	"causeway/internal/resource"
)

var tokenNoun = noun{
	kind:    resource.KindToken,
	about:   "A token makes one machine one PoP, once.",
	create:  "--pop seoul -q > seoul.token",
	filters: []string{"pop"},
	flags: func(s *specFlags) {
		textFlag(s, "pop", "which PoP it makes (must be given)", func(o *resource.Token) *string { return &o.PoP })
		durationFlag(s, "ttl", "how long it may be used, 1m to 720h (default 24h)", func(o *resource.Token) *time.Duration { return &o.TTL })
	},
	columns: []column{
		col("POP", func(o *resource.Token) any { return o.PoP }),
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
