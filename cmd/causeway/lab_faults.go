package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/lab"
	"causeway/internal/lab/scenario"
	"causeway/internal/vpn"
	scenarios "causeway/lab"
)

// faultsScenario is the network in which faults are made, unless another is named.
const faultsScenario = "rekey"

// newLabFaultsCommand makes everything wrong that can be, and has it diagnosed.
func newLabFaultsCommand() *command {
	var base, name string
	c := &command{
		Use:   "faults [FAULT…]",
		Short: "Misconfigure gateways in every way there is, and see whether the diagnosis names it",
		Long: `Builds a small lab and, one after the other, gives its two gateways configurations
that do not go together, blocks ports, breaks the way, and lets them try through
the PoPs. Both gateways' logs, and what the PoPs saw on the wire, are diagnosed as
` + "`causeway vpn diagnose`" + ` does it. The exit code is 1 when a fault was not named by
somebody who can know it.`,
		Example: "  causeway lab faults\n  causeway lab faults psk ike-group -o json",
		ValidArgsFunction: func(*command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, f := range lab.Faults() {
				names = append(names, f.Name+"\t"+f.Title)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		faults, err := lab.FaultsNamed(args)
		if err != nil {
			return err
		}
		s, err := scenario.Load(scenarios.FS, base)
		if err != nil {
			return err
		}
		ctx, cancel := labContext(c)
		defer cancel()
		var all []lab.FaultResult
		err = lab.RunFaults(ctx, s, lab.Options{Name: name, Progress: lab.NewProgress(os.Stderr)}, faults,
			func(r lab.FaultResult) { all = append(all, r) })
		if err != nil {
			return err
		}
		if output.Is("json") {
			err = cli.PrintJSON(c.OutOrStdout(), map[string]any{"faults": all})
		} else {
			err = printFaults(c.OutOrStdout(), all)
		}
		if err != nil {
			return err
		}
		named := 0
		for _, r := range all {
			if r.Named {
				named++
			} else {
				fmt.Fprintf(os.Stderr, "%s: %s\n", r.Name, r.Problem)
			}
		}
		if named < len(all) {
			return fmt.Errorf("%d of %d faults were named", named, len(all))
		}
		return nil
	}
	c.Flags().StringVar(&base, "scenario", faultsScenario, "the network to do it in, one without a controller")
	c.Flags().StringVar(&name, "name", "", "of the lab (default: made from the scenario's)")
	return c
}

func printFaults(out io.Writer, all []lab.FaultResult) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tNAMED\tTHE NEAR END SAYS\tTHE FAR END SAYS\tTHE POPS SAW")
	for _, r := range all {
		named := "yes"
		if !r.Named {
			named = "NO"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, named, codes(r.Near), codes(r.Far), codes(r.PoPs))
	}
	return w.Flush()
}

// codes are the codes of findings, each once.
func codes(f []vpn.Finding) string {
	var all []string
	for _, x := range f {
		if code := string(x.Code); !strings.Contains(strings.Join(all, " ")+" ", code+" ") {
			all = append(all, code)
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return strings.Join(all, " ")
}
