package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"causeway/internal/cli"
	"causeway/internal/report"
	"causeway/internal/top"
)

func newTopCommand() *command {
	var at atPoP
	var every time.Duration
	var once bool
	c := &command{
		Use:   "top",
		Short: "Watch a running PoP in the terminal",
		Long: `Shows what the PoP on this machine carries, its segments, routes, listeners and
endpoints, what needs somebody, and before and after side by side, renewed every
second. Tab goes to the sessions and to what was not carried.

Where there is no terminal, or with --once, it prints all of it for one moment.`,
		Example: `  causeway top
  causeway top --every 5s
  causeway top --once | less`,
		Args: noArgs,
	}
	c.Flags().DurationVar(&every, "every", time.Second, "how often to look")
	c.Flags().BoolVar(&once, "once", false, "print it once, as text")
	at.flags(c)
	c.RunE = func(c *command, _ []string) error {
		if every < 100*time.Millisecond {
			return cli.Misuse("--every is %v; at least 100ms is allowed", every)
		}
		first, err := at.report(c.Context())
		if err != nil {
			return err
		}
		if once || !top.IsTerminal(os.Stdin) || !top.IsTerminal(os.Stdout) {
			return topOnce(c, at, first, every)
		}
		ask := func(ctx context.Context) (report.PoP, error) { return at.report(ctx) }
		ctx, cancel := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer cancel()
		return top.Run(ctx, top.NewModel(cli.Colour(os.Stdout)), ask, every, os.Stdin, os.Stdout)
	}
	return c
}

// topOnce prints two looks' difference: rates need two.
func topOnce(c *command, at atPoP, before report.PoP, every time.Duration) error {
	if !sleepUntil(c.Context(), time.Now().Add(min(every, time.Second))) {
		return c.Context().Err()
	}
	now, err := at.report(c.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.OutOrStdout(), top.Plain(top.Look{Before: before, Now: now}))
	return err
}
