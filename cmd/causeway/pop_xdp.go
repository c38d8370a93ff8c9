package main

import (
	"context"

	"github.com/spf13/cobra"
)

// newPoPXDPCommand is `causeway pop xdp`.
func newPoPXDPCommand() *command {
	var at atPoP
	c := &command{
		Use:   "xdp on|off",
		Short: "Have a running PoP take packets before the kernel's stack, or not",
		Long: `A PoP that was started with --xdp takes what is for its listeners and overlay
addresses from those devices before the kernel's stack sees it, drops floods there, and
has the kernel forward what listeners allow (in_kernel). This switches all of it off and
on again while packets flow; none is lost.`,
		Example:   "  causeway pop xdp off\n  causeway pop status --features",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"on", "off"},
		RunE: func(c *command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), at.timeout)
			defer cancel()
			return unreachable(at.client().SetXDP(ctx, args[0] == "on"))
		},
	}
	at.flags(c)
	return c
}
