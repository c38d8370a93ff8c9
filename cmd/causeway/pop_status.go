package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/popagent"
)

func newPoPStatusCommand() *command {
	var socket string
	var timeout time.Duration
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
		ctx, cancel := context.WithTimeout(c.Context(), timeout)
		defer cancel()
		p, err := popagent.Client{Socket: socket}.Status(ctx)
		if err != nil {
			return unreachable(err)
		}
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), p)
		}
		view.Parts, view.Wide, view.Colour = args, output.Is("wide"), cli.Colour(os.Stdout)
		return cli.PoPStatus(c.OutOrStdout(), p, view)
	}
	c.Flags().BoolVar(&view.Features, "features", false, "also show what the kernel grants and what the process uses")
	socketFlags(c, &socket, &timeout)
	return c
}

func newPoPReloadCommand() *command {
	var socket string
	var timeout time.Duration
	c := &command{
		Use:   "reload",
		Short: "Have a running PoP read its snapshot file now, and say what came of it",
		Long: `A PoP reads its file by itself when it changes. This waits for the outcome: when
the file is refused, the reason is printed and the exit code is 1.`,
		Example: "  causeway pop reload",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return unreachable(popagent.Client{Socket: socket}.Reload(ctx))
		},
	}
	socketFlags(c, &socket, &timeout)
	return c
}

func socketFlags(c *command, socket *string, timeout *time.Duration) {
	c.Flags().StringVar(socket, "socket", defaultSocket, "the socket the PoP was started with")
	c.Flags().DurationVar(timeout, "timeout", 10*time.Second, "how long to wait for the answer")
}

// unreachable adds to an error what is most likely the matter.
func unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &cli.Error{Err: err, Code: cli.NotFound, Fix: "is the PoP running? If it was started with another --socket, give the same one here"}
	case errors.Is(err, fs.ErrPermission):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as the user the PoP runs as, with sudo"}
	case errors.Is(err, context.DeadlineExceeded):
		return &cli.Error{Err: err, Code: cli.Timeout, Fix: "the PoP is very busy or stuck; try a longer --timeout, and look at its log"}
	}
	return err
}

func statusParts(_ *command, args []string) error {
	for _, a := range args {
		if !slices.Contains(cli.StatusParts, a) {
			return cli.Misuse("there is no part %q; allowed: %s", a, strings.Join(cli.StatusParts, ", "))
		}
	}
	return nil
}
