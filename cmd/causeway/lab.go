package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/lab"
	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	"causeway/internal/strictyaml"
	scenarios "causeway/lab"
)

const defaultScenario = "seoul-shanghai"

// newLabCommand is `causeway lab`: the network on one host in which everything is judged.
func newLabCommand() *command {
	c := &command{
		Use:   "lab",
		Short: "Build a small Internet on this host and measure tunnels in it",
		Long: `A lab is a network of namespaces on this host: sites with strongSwan gateways,
PoPs that run this very binary, and an emulated Internet between them. Nothing
outside of it is touched, and it takes itself down again.`,
		Example: `  causeway lab run                        # the comparison, direct and accelerated
  causeway lab run evening --quick
  causeway lab run --count 17280 --interval 1s
  causeway lab up && causeway lab exec sh-lan -- ping 10.2.1.10; causeway lab down`,
		Args: subcommands,
		RunE: func(c *command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		newLabRunCommand(), newLabUpCommand(), newLabStatusCommand(), newLabExecCommand(),
		newLabMtrCommand(), newLabFaultsCommand(), newLabDownCommand(), newLabListCommand(), newLabSelftestCommand(),
		newLabWANCommand(), newLabGuardCommand(),
	)
	return c
}

// labContext ends when the user interrupts, so that labs are taken down.
func labContext(c *command) (context.Context, context.CancelFunc) {
	parent := c.Context()
	if parent == nil {
		parent = context.Background()
	}
	return signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

func scenarioArg(args []string) (*scenario.Scenario, error) {
	name := defaultScenario
	if len(args) > 0 {
		name = args[0]
	}
	s, err := scenario.Load(scenarios.FS, name)
	var content *strictyaml.Error
	if errors.As(err, &content) {
		return nil, &cli.Error{What: "scenario refused", Err: err, Code: cli.Usage}
	}
	return s, err
}

// completeScenario offers the built-in scenarios to the shell.
func completeScenario(*command, []string, string) ([]string, cobra.ShellCompDirective) {
	return scenario.Names(scenarios.FS), cobra.ShellCompDirectiveDefault
}

func newLabRunCommand() *command {
	var o lab.RunOptions
	c := &command{
		Use:   "run [SCENARIO]",
		Short: "Build a scenario, measure, report, and take it down",
		Long: `Builds the scenario (default ` + defaultScenario + `; a built-in name or a file's path), probes
all of its tunnels in the same seconds, runs iperf3 through them, compares, and
writes report.html, .json, .svg and .png. The exit code is 1 when something that
the scenario expects did not come out, 2 when this machine lacks something.`,
		Example:           `  causeway lab run seoul-shanghai --duration 5m --seed 7 -o json > report.json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeScenario,
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		s, err := scenarioArg(args)
		if err != nil {
			return err
		}
		ctx, cancel := labContext(c)
		defer cancel()
		o.Progress = lab.NewProgress(os.Stderr)
		out, err := lab.Run(ctx, s, o)
		if err != nil {
			return err
		}
		return printOutcome(c.OutOrStdout(), output.Is("json"), out)
	}
	f := c.Flags()
	f.DurationVar(&o.Duration, "duration", 0, "how long to probe (default: the scenario's)")
	f.DurationVar(&o.Interval, "interval", 0, "between two probes of a tunnel (default: the scenario's)")
	f.IntVar(&o.Count, "count", 0, "probes per tunnel (default: as many as fit)")
	f.Uint64Var(&o.Seed, "seed", 0, "of the weather (default: the scenario's)")
	f.BoolVar(&o.Quick, "quick", false, "the scenario's short duration, without iperf3")
	f.BoolVar(&o.Kept, "keep", false, "leave the lab standing; `causeway lab down` ends it")
	f.StringVar(&o.Out, "out", "", "directory for reports (default out/lab)")
	f.StringVar(&o.Name, "name", "", "of the lab (default: made from the scenario's)")
	return c
}

// printOutcome prints the report to out; what else there is to say goes to stderr.
func printOutcome(out io.Writer, asJSON bool, o lab.Outcome) error {
	if asJSON {
		text, err := report.JSON(o.Data)
		if err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	} else {
		width, color := report.Terminal(os.Stdout)
		if err := report.Table(out, o.Data, width, color); err != nil {
			return err
		}
	}
	failed := 0
	for _, c := range o.Data.Checks {
		mark := "ok    "
		if !c.OK {
			mark, failed = "FAILED", failed+1
		}
		fmt.Fprintf(os.Stderr, "%s  %s: %s\n", mark, c.Expected, c.Found)
	}
	fmt.Fprintf(os.Stderr, "reports: %s %s %s %s\n", o.Files.HTML, o.Files.JSON, o.Files.SVG, o.Files.PNG)
	switch {
	case o.Interrupted:
		return errors.New("the run was interrupted; its numbers do not count")
	case failed > 0 && !o.Data.Valid:
		return fmt.Errorf("%d of %d expectations of scenario %s did not come out, which says nothing: %s",
			failed, len(o.Data.Checks), o.Data.Scenario, o.Data.InvalidReason)
	case failed > 0:
		return fmt.Errorf("%d of %d expectations of scenario %s did not come out", failed, len(o.Data.Checks), o.Data.Scenario)
	}
	return nil
}

func newLabUpCommand() *command {
	o := lab.Options{Kept: true}
	c := &command{
		Use:               "up [SCENARIO]",
		Short:             "Build a scenario and leave it standing",
		Example:           "  causeway lab up clean --name mine\n  causeway lab status --lab mine",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeScenario,
		RunE: func(c *command, args []string) error {
			s, err := scenarioArg(args)
			if err != nil {
				return err
			}
			ctx, cancel := labContext(c)
			defer cancel()
			o.Progress = lab.NewProgress(os.Stderr)
			l, err := lab.Up(ctx, s, o)
			if err != nil {
				return err
			}
			defer l.Close()
			fmt.Fprintf(c.OutOrStdout(), "lab %s stands; nodes: %s\n", l.Name, strings.Join(l.Nodes(), " "))
			return nil
		},
	}
	c.Flags().StringVar(&o.Name, "name", "", "of the lab (default: made from the scenario's)")
	return c
}

func newLabDownCommand() *command {
	var all bool
	c := &command{
		Use:     "down [LAB…]",
		Short:   "Take labs down",
		Example: "  causeway lab down\n  causeway lab down mine yours\n  causeway lab down --all",
		Long:    "Takes the named labs down, the only one there is when none is named, or all with --all.",
		RunE: func(c *command, args []string) error {
			names, err := labsToEnd(args, all)
			if err != nil {
				return err
			}
			for _, name := range names {
				err = errors.Join(err, lab.Down(name))
			}
			return err
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every lab of this host")
	return c
}

func labsToEnd(args []string, all bool) ([]string, error) {
	if len(args) > 0 && all {
		return nil, cli.Misuse("labs are named together with --all; one of them is allowed")
	}
	if len(args) > 0 {
		for _, name := range args {
			if !lab.Exists(name) {
				return nil, lab.NoLab(name)
			}
		}
		return args, nil
	}
	labs, err := lab.List()
	if err != nil {
		return nil, err
	}
	if len(labs) > 1 && !all {
		return nil, fmt.Errorf("%d labs stand; name those to take down, or say --all", len(labs))
	}
	var names []string
	for _, l := range labs {
		names = append(names, l.Lab)
	}
	return names, nil
}

func newLabListCommand() *command {
	c := &command{
		Use:     "list",
		Short:   "List built-in scenarios and the labs that stand",
		Example: "  causeway lab list\n  causeway lab list -o json | jq -r '.labs[].lab'",
		Args:    noArgs,
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		labs, err := lab.List()
		if err != nil {
			return err
		}
		return printLabs(c.OutOrStdout(), output.Is("json"), labs)
	}
	return c
}

func printLabs(out io.Writer, asJSON bool, labs []lab.Standing) error {
	type described struct {
		Name  string `json:"name"`
		Title string `json:"title"`
	}
	var known []described
	for _, name := range scenario.Names(scenarios.FS) {
		s, err := scenario.Load(scenarios.FS, name)
		if err != nil {
			return err
		}
		known = append(known, described{name, s.Title})
	}
	if asJSON {
		return cli.PrintJSON(out, map[string]any{"scenarios": known, "labs": labs})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tWHAT IT SHOWS")
	for _, k := range known {
		fmt.Fprintf(w, "%s\t%s\n", k.Name, k.Title)
	}
	fmt.Fprintln(w, "\nLAB\tSCENARIO\tSINCE\tSTATE")
	for _, l := range labs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Lab, l.Scenario, l.Since.Format(time.DateTime), l.State)
	}
	if len(labs) == 0 {
		fmt.Fprintln(w, "(none)")
	}
	return w.Flush()
}

// labFlag names the lab that a command is about.
func labFlag(c *command, name *string) {
	c.Flags().StringVar(name, "lab", "", "which lab (default: the only one)")
}

func newLabStatusCommand() *command {
	var name string
	c := &command{
		Use:     "status",
		Short:   "Show a lab's nodes, processes, tunnels and segments",
		Example: "  causeway lab status\n  causeway lab status --lab mine -o json",
		Args:    noArgs,
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		l, err := lab.Open(name)
		if err != nil {
			return err
		}
		defer l.Close()
		ctx, cancel := labContext(c)
		defer cancel()
		st := l.Status(ctx)
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), st)
		}
		return printLabStatus(c.OutOrStdout(), st)
	}
	labFlag(c, &name)
	return c
}

func printLabStatus(out io.Writer, st lab.Status) error {
	fmt.Fprintf(out, "lab %s, scenario %s, seed %d, %s, ESP by %s\n\n", st.Lab, st.Scenario, st.Seed, st.State, st.Backend)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tNAMESPACE\tADDRESSES")
	for _, n := range st.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", n.Name, n.Namespace, strings.Join(n.Addresses, " "))
	}
	fmt.Fprintln(w, "\nPROCESS\tPID\tSTATE")
	for _, p := range st.Processes {
		fmt.Fprintf(w, "%s\t%d\t%s\n", p.Name, p.PID, p.State)
	}
	fmt.Fprintln(w, "\nTUNNEL\tSTATE\tINITIATOR\tPEER\tESP IN\tESP OUT\tPACKETS IN\tPACKETS OUT")
	for _, t := range st.Tunnels {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", t.Name, t.State, t.Initiator, t.Peer, t.SPIIn, t.SPIOut, t.PacketsIn, t.PacketsOut)
	}
	if len(st.Segments) > 0 {
		fmt.Fprintln(w, "\nSEGMENT\tSTATE\tRTT\tRAW LOSS")
	}
	for _, s := range st.Segments {
		fmt.Fprintf(w, "%s → %s\t%s\t%.1f ms\t%.2f %%\n", s.From, s.To, s.State, s.RTTMs, 100*s.RawLoss)
	}
	return w.Flush()
}

func newLabExecCommand() *command {
	var name string
	c := &command{
		Use:     "exec NODE -- COMMAND…",
		Short:   "Run a command on a node of a lab",
		Example: "  causeway lab exec sh-lan -- mtr -n 10.2.1.10\n  causeway lab exec se-gw -- bash",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *command, args []string) error {
			l, err := lab.Open(name)
			if err != nil {
				return err
			}
			defer l.Close()
			if args[1] == "--" {
				args = slices.Delete(args, 1, 2)
			}
			if len(args) < 2 {
				return cli.Misuse("no command was given; after the node stands what is to run there")
			}
			// A Ctrl-C is for the command, which gets it too; we wait for its end.
			// (Caught and not ignored, because the command would inherit the latter.)
			interrupts := make(chan os.Signal, 1)
			signal.Notify(interrupts, os.Interrupt)
			defer signal.Stop(interrupts)
			cmd := exec.Command(args[1], args[2:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
			return l.Exec(args[0], cmd)
		},
		ValidArgsFunction: func(_ *command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			l, err := lab.Open(name)
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			defer l.Close()
			return l.Nodes(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().SetInterspersed(false) // what follows the node belongs to the command
	labFlag(c, &name)
	return c
}

func newLabMtrCommand() *command {
	var name string
	o := lab.MtrOptions{}
	c := &command{
		Use:     "mtr [TUNNEL…]",
		Short:   "Probe tunnels of a lab and print their hops as mtr does",
		Example: "  causeway lab mtr -c 100 -i 100ms direct accelerated",
		RunE: func(c *command, args []string) error {
			l, err := lab.Open(name)
			if err != nil {
				return err
			}
			defer l.Close()
			ctx, cancel := labContext(c)
			defer cancel()
			o.Tunnels, o.Progress = args, lab.NewProgress(os.Stderr)
			rows, err := l.Mtr(ctx, o)
			if err != nil {
				return err
			}
			return printHops(c.OutOrStdout(), rows)
		},
	}
	c.Flags().IntVarP(&o.Count, "count", "c", 100, "probes per hop")
	c.Flags().DurationVarP(&o.Interval, "interval", "i", 100*time.Millisecond, "between two probes of a hop")
	labFlag(c, &name)
	return c
}

func printHops(out io.Writer, tables []lab.MtrTable) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, t := range tables {
		fmt.Fprintf(w, "%s: %v to %v\n", t.Tunnel, t.Source, t.Target)
		fmt.Fprintln(w, "Hop\tHost\tLoss%\tSnt\tLast\tAvg\tBest\tWrst\tStDev\tp50\tp95\tp99\t")
		for i, h := range t.Hops {
			host := h.Host
			if host == "" {
				host = "???"
			}
			fmt.Fprintf(w, "%d\t%s\t%.1f%%\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n",
				i+1, host, 100*h.Loss, h.Sent, h.Last, h.Avg, h.Best, h.Worst, h.Stdev, h.P50, h.P95, h.P99)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// newLabWANCommand is the emulator's process.
func newLabWANCommand() *command {
	var file string
	c := &command{
		Use:    "wan",
		Short:  "Carry the packets of a lab's long-distance links",
		Args:   noArgs,
		Hidden: true,
		RunE: func(c *command, args []string) error {
			config, err := wanConfig(file)
			if err != nil {
				return err
			}
			ctx, cancel := labContext(c)
			defer cancel()
			return wan.Run(ctx, config)
		},
	}
	c.Flags().StringVar(&file, "config", "", "what to emulate, JSON")
	c.MarkFlagRequired("config")
	return c
}

// wanConfig reads the emulator's configuration from a file, or from standard
// input when its name is "-".
func wanConfig(file string) (wan.Config, error) {
	if file == "-" {
		return wan.ReadConfig(os.Stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return wan.Config{}, err
	}
	defer f.Close()
	return wan.ReadConfig(f)
}

// newLabSelftestCommand is the emulator's proof of its own accuracy.
func newLabSelftestCommand() *command {
	var o wan.SelftestOptions
	c := &command{
		Use:   "selftest",
		Short: "Prove that the emulated Internet does what it is told",
		Long: `Sends probes between two hosts through the emulator and compares what comes
out with the weather it was told: delay error, loss within binomial bounds, rate,
and the same fate for the same seed. The exit code is 1 when a target was missed,
or when the machine was too busy for the result to mean anything.`,
		Example: "  causeway lab selftest --quick\n  causeway lab selftest -o json",
		Args:    noArgs,
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		o.Command = []string{exe, "lab", "wan", "--config", "-"}
		progress := c.OutOrStdout()
		if output.Is("json") {
			progress = os.Stderr
		}
		ctx, cancel := labContext(c)
		defer cancel()
		r, err := lab.Selftest(ctx, progress, o)
		if err != nil {
			return err
		}
		if output.Is("json") {
			err = cli.PrintJSON(c.OutOrStdout(), r)
		}
		switch {
		case !r.Valid:
			return fmt.Errorf("the self-test says nothing: %s", r.Reason)
		case !r.Passed:
			return errors.New("the emulator missed a target")
		}
		return err
	}
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "of the weather (default 1)")
	c.Flags().BoolVar(&o.Quick, "quick", false, "a third of the packets")
	return c
}

// newLabGuardCommand is the process that takes a lab down when its owner died.
func newLabGuardCommand() *command {
	return &command{
		Use:    "guard LAB",
		Short:  "Take a lab down when standard input ends",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(c *command, args []string) error {
			signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			return lab.Guard(args[0], os.Stdin)
		},
	}
}
