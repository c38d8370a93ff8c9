package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/doctor"
)

// doctorOptions are the flags of `causeway doctor`.
type doctorOptions struct {
	at         atPoP
	stateDir   string
	controller string
	gateway    bool
	all        bool
}

func newDoctorCommand() *command {
	var o doctorOptions
	c := &command{
		Use:   "doctor [CHECK…]",
		Short: "Look for what is in the way on this machine, and say what to do about it",
		Long: `Looks at this machine and at the PoP that runs on it: kernel, clock, capabilities,
limits, offloads, reverse path filter, MTU, ports and whether they are open both
ways, disk, keys, NAT traversal, loss after repair and more. It changes nothing.
Each finding comes with its remedy. Name checks to see only these.

It ends with exit code 1 when something does not work; warnings do not count.`,
		Example: `  causeway doctor
  causeway doctor --all
  causeway doctor clock rp-filter mtu
  causeway doctor -o json | jq '.[] | select(.verdict == "failed")'`,
		ValidArgsFunction: cobra.FixedCompletions(checkNames(), cobra.ShellCompDirectiveNoFileComp),
		Args:              knownChecks,
	}
	output := cli.OutputFlag(c, "table", "json")
	f := c.Flags()
	f.StringVar(&o.stateDir, "state-dir", defaultStateDir, "the PoP's state folder")
	f.StringVar(&o.controller, "controller", "", "https://HOST:PORT or HOST:PORT of a controller to reach (default: the profile's, if there is one)")
	f.BoolVar(&o.gateway, "gateway", false, "this machine is a VPN gateway, too")
	f.BoolVar(&o.all, "all", false, "also show what is well, and what could not be looked at")
	o.at.flags(c)
	_ = c.MarkFlagDirname("state-dir")
	c.RunE = func(c *command, args []string) error {
		results := doctor.Run(c.Context(), o.target(c.Context()), args...)
		if output.Is("json") {
			if err := cli.PrintJSON(c.OutOrStdout(), results); err != nil {
				return err
			}
		} else {
			printDoctor(c.OutOrStdout(), results, o.all || len(args) > 0, cli.Colour(os.Stdout))
		}
		if doctor.Worst(results) == doctor.Fail {
			return &cli.Error{Err: errors.New("something does not work"), Code: cli.Failed, Fix: "see above; docs/runbooks has more about running PoPs"}
		}
		return nil
	}
	return c
}

func checkNames() (names []string) {
	for _, c := range doctor.Checks {
		names = append(names, c.Name)
	}
	return names
}

func knownChecks(_ *command, args []string) error {
	for _, a := range args {
		if !slices.Contains(checkNames(), a) {
			return cli.Misuse("there is no check %q", a).WithFix("allowed: %s", strings.Join(checkNames(), ", "))
		}
	}
	return nil
}

// target is this machine, and its PoP where one answers.
func (o doctorOptions) target(ctx context.Context) doctor.Target {
	t := doctor.Target{System: doctor.Machine{}, StateDir: o.stateDir, Controller: hostPort(o.controller), Gateway: o.gateway}
	if t.Controller == "" {
		if profile, err := cli.ReadProfile(""); err == nil {
			t.Controller = hostPort(profile.Controller)
		}
	}
	p, err := o.at.report(ctx)
	if err == nil {
		t.PoP = &p
		return t
	}
	if _, statErr := os.Stat(o.stateDir); statErr == nil || cli.CodeOf(err) != cli.NotFound {
		t.PoPProblem = strings.SplitN(err.Error(), "\n", 2)[0]
	}
	return t
}

// hostPort takes HOST:PORT out of an address of a controller.
func hostPort(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

func printDoctor(w io.Writer, results []doctor.Result, all, colour bool) {
	marks := map[string]cli.Cell{
		doctor.OK: {Text: "ok", Style: cli.Good}, doctor.Warn: {Text: "WARN", Style: cli.Warn},
		doctor.Fail: {Text: "FAIL", Style: cli.Bad}, doctor.Skip: {Text: "skip", Style: cli.Faint},
	}
	counts := map[string]int{}
	table := cli.NewTable("", "CHECK", "FOUND")
	for _, r := range results {
		counts[r.Verdict]++
		if bad := r.Verdict == doctor.Fail || r.Verdict == doctor.Warn; !bad && !all {
			continue
		}
		table.Row(marks[r.Verdict], r.Check, r.About+": "+r.Found)
		if r.Fix != "" {
			table.Row(cli.Cell{Text: " "}, cli.Cell{Text: " "}, cli.Cell{Text: "fix: " + r.Fix, Style: cli.Faint})
		}
	}
	if table.Len() > 0 {
		_ = table.Write(w, colour)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d checks: %d well, %d warnings, %d failed, %d skipped\n", len(results), counts[doctor.OK], counts[doctor.Warn], counts[doctor.Fail], counts[doctor.Skip])
}

// doctorPatience bounds a doctor's look, for a support bundle.
const doctorPatience = 20 * time.Second
