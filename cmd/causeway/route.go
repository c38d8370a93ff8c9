package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/report"
)

func newRouteCommand() *command {
	c := &command{
		Use:   "route",
		Short: "Show and choose how a running PoP reaches the others",
		Long: `A PoP measures every way to the other PoPs that its snapshot allows, and chooses
by itself. These commands show what it chose and why, and overrule it.`,
		Example: "  causeway route list\n  causeway route explain seoul\n  causeway route pin seoul --via tokyo",
		Args:    subcommands,
		RunE:    func(c *command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newRouteListCommand(), newRouteExplainCommand(), newRoutePinCommand(), newRouteUnpinCommand())
	return c
}

func newRouteListCommand() *command {
	var at atPoP
	c := &command{
		Use:     "list",
		Short:   "List a PoP's routes",
		Example: "  causeway route list\n  causeway route list -o wide",
		Args:    noArgs,
	}
	output := cli.OutputFlag(c, "table", "wide", "json")
	c.RunE = func(c *command, _ []string) error {
		p, err := at.report(c.Context())
		switch {
		case err != nil:
			return err
		case output.Is("json"):
			return cli.PrintJSON(c.OutOrStdout(), p.Routes)
		}
		return cli.PoPStatus(c.OutOrStdout(), p, cli.StatusView{Parts: []string{"routes"}, Wide: output.Is("wide"), Colour: cli.Colour(os.Stdout)})
	}
	at.flags(c)
	return c
}

func newRouteExplainCommand() *command {
	var at atPoP
	c := &command{
		Use:               "explain POP",
		Short:             "Say why a PoP sends to another one as it does",
		Example:           "  causeway route explain seoul\n  causeway route explain seoul -o json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: at.completeRoute,
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		p, err := at.report(c.Context())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(p.Routes, func(r report.Route) bool { return r.To == args[0] })
		if i < 0 {
			return noRoute(args[0], p)
		}
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), p.Routes[i])
		}
		_, err = cli.RouteExplained(c.OutOrStdout(), p, args[0], cli.Colour(os.Stdout))
		return err
	}
	at.flags(c)
	return c
}

func newRoutePinCommand() *command {
	var at atPoP
	var via []string
	var direct bool
	c := &command{
		Use:   "pin POP (--via RELAY[,RELAY] | --direct)",
		Short: "Send to a PoP one way, whatever is measured",
		Long: `Sends what goes to a PoP over the given relays, or direct, as long as that way is
alive. It must be one of the route's candidates; through:RELAY is the one that the
relay passes on unopened. A pin holds until 'route unpin',
until the candidates change, or until the PoP's process ends.`,
		Example:           "  causeway route pin seoul --via tokyo\n  causeway route pin seoul --via through:tokyo\n  causeway route pin seoul --direct",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: at.completeRoute,
		RunE: func(c *command, args []string) error {
			if direct == (len(via) > 0) {
				return cli.Misuse("one of --via and --direct must say which way")
			}
			return at.changeRoute(c.Context(), args[0], func(ctx context.Context) error {
				return at.client().PinRoute(ctx, args[0], via)
			})
		},
	}
	c.Flags().StringSliceVar(&via, "via", nil, "the relays to pass, in order")
	c.Flags().BoolVar(&direct, "direct", false, "over no relay")
	at.flags(c)
	return c
}

func newRouteUnpinCommand() *command {
	var at atPoP
	c := &command{
		Use:               "unpin POP",
		Short:             "Let a PoP choose its way to another one again",
		Example:           "  causeway route unpin seoul",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: at.completeRoute,
		RunE: func(c *command, args []string) error {
			return at.changeRoute(c.Context(), args[0], func(ctx context.Context) error {
				return at.client().UnpinRoute(ctx, args[0])
			})
		},
	}
	at.flags(c)
	return c
}

// changeRoute makes sure that there is a route to change, and changes it.
func (a atPoP) changeRoute(ctx context.Context, to string, change func(context.Context) error) error {
	p, err := a.report(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Routes, func(r report.Route) bool { return r.To == to }) {
		return noRoute(to, p)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	err = change(ctx)
	if cli.CodeOf(err) == cli.Failed { // the PoP answered, and refused
		return &cli.Error{Err: err, Fix: "causeway route explain " + to + " lists the candidates"}
	}
	return unreachable(err)
}

func noRoute(to string, p report.PoP) error {
	err := &cli.Error{Err: errors.New("PoP " + p.Name + " has no route to " + to), Code: cli.NotFound}
	if names := routeNames(p); len(names) > 0 {
		err.Fix = "its routes go to " + strings.Join(names, ", ")
	}
	return err
}

func routeNames(p report.PoP) []string {
	names := make([]string, len(p.Routes))
	for i, r := range p.Routes {
		names[i] = r.To
	}
	return names
}

// completeRoute offers the PoPs that routes go to.
func (a *atPoP) completeRoute(c *command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	p, err := a.report(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return routeNames(p), cobra.ShellCompDirectiveNoFileComp
}
