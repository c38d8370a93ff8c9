package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"causeway/internal/cli"
	"causeway/internal/nearest"
)

// command keeps signatures short.
type command = cobra.Command

// newRootCommand is `causeway` with everything below it.
func newRootCommand() *command {
	root := &command{
		Use:   "causeway",
		Short: "A global accelerator for IPsec VPN that you host yourself",
		Long: `Causeway carries IPsec VPN and other UDP traffic between regions over points of
presence (PoPs) of your own: it picks the best way among them and mends what the
Internet loses. The VPN devices at both ends stay as they are; only the peer
address changes.`,
		Example: `  causeway lab run                        # see what it is for, on this machine
  causeway keygen --out pop.key           # make a PoP's key
  causeway pop check shanghai.yaml        # judge a PoP's snapshot
  causeway pop --snapshot shanghai.yaml --key pop.key
  causeway pop status                     # sessions, segments, routes, drops
  causeway route explain seoul            # why packets go the way they go`,
		Args:          subcommands,
		RunE:          func(c *command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newLabCommand(), newBenchCommand(), newPoPCommand(), newRouteCommand(), newKeygenCommand(), newVersionCommand(), newExitCodesTopic())
	root.AddCommand(newReportCommand(), newMTRCommand(), newPingCommand(), newDoctorCommand(), newSupportBundleCommand(), newTopCommand())
	root.AddCommand(newControllerCommand(), newDevCommand(), newSnapshotCommand(), newConsoleCommand())
	root.AddCommand(newGatewayCommand())
	root.AddCommand(nounCommands()...)
	root.AddCommand(extra...)
	root.SetFlagErrorFunc(flagError)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	eachCommand(root, complete)
	return root
}

// extra are commands that only some builds have.
var extra []*command

// newExitCodesTopic is `causeway help exit-codes`.
func newExitCodesTopic() *command {
	return &command{Use: "exit-codes", Short: "What exit codes mean", Long: cli.ExitCodes}
}

// complete gives cobra's own commands what ours have.
func complete(c *command) {
	switch {
	case c.Example != "" || c.HasParent() && c.Parent().Name() == "completion":
	case c.Name() == "help":
		c.Example = "  causeway help pop status\n  causeway help exit-codes"
	case c.Name() == "completion":
		c.Example = "  source <(causeway completion bash)\n  causeway completion fish > ~/.config/fish/completions/causeway.fish"
	}
}

// eachCommand calls f for c and all commands below it.
func eachCommand(c *command, f func(*command)) {
	f(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, f)
	}
}

// subcommands refuses arguments of a command that only has commands below it,
// and says which of these may have been meant.
func subcommands(c *command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := cli.Misuse("there is no command %q under %q", args[0], c.CommandPath())
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return err.WithFix("did you mean %s %s?", c.CommandPath(), strings.Join(near, " or "))
	}
	return err
}

// flagError says which flag may have been meant by one that does not exist.
func flagError(c *command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := nearest.Of(unknown.GetSpecifiedName(), known); near != "" {
		return cli.Misuse("%w", err).WithFix("did you mean --%s?", near)
	}
	return err
}

// misuse turns what cobra says about a command line into our kind of error.
func misuse(c *command, err error) error {
	var own *cli.Error
	if !errors.As(err, &own) {
		own = cli.Misuse("%w", err)
	}
	if own.Fix == "" {
		_ = own.WithFix("see %s --help", c.CommandPath())
	}
	return own
}

// noArgs refuses arguments by name.
func noArgs(c *command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, found %q", c.CommandPath(), args[0])
	}
	return nil
}
