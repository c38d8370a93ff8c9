package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
)

func newPoPStatusCommand() *command {
	var at atPoP
	view := cli.StatusView{}
	c := &command{
		Use:   "status [PART…]",
		Short: "Show how a running PoP is",
		Long: `Shows the PoP's segments, wires, routes, listeners, endpoints, sessions, and the
packets it did not carry, by reason. Name parts to see only these. The JSON form
has everything, and is stable.`,
		Example: `  causeway pop status
  causeway pop status sessions drops
  causeway pop status -o wide --features
  causeway pop status -o json | jq '.segments[] | {peer, up, rtt_ms}'`,
		Args:              statusParts,
		ValidArgsFunction: cobra.FixedCompletions(cli.StatusParts, cobra.ShellCompDirectiveNoFileComp),
	}
	output := cli.OutputFlag(c, "table", "wide", "json")
	c.RunE = func(c *command, args []string) error {
		p, err := at.report(c.Context())
		if err != nil {
			return err
		}
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), p)
		}
		view.Parts, view.Wide, view.Colour = args, output.Is("wide"), cli.Colour(os.Stdout)
		return cli.PoPStatus(c.OutOrStdout(), p, view)
	}
	c.Flags().BoolVar(&view.Features, "features", false, "also show what the kernel grants and what the process uses")
	at.flags(c)
	return c
}

func newPoPReloadCommand() *command {
	var at atPoP
	c := &command{
		Use:   "reload",
		Short: "Have a running PoP read its snapshot file now, and say what came of it",
		Long: `A PoP reads its file by itself when it changes. This waits for the outcome: when
the file is refused, the reason is printed and the exit code is 1.`,
		Example: "  causeway pop reload",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), at.timeout)
			defer cancel()
			return unreachable(at.client().Reload(ctx))
		},
	}
	at.flags(c)
	return c
}

func statusParts(_ *command, args []string) error {
	for _, a := range args {
		if !slices.Contains(cli.StatusParts, a) {
			return cli.Misuse("there is no part %q; allowed: %s", a, strings.Join(cli.StatusParts, ", "))
		}
	}
	return nil
}
