package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/popagent"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

func newPoPCheckCommand() *command {
	c := &command{
		Use:   "check FILE",
		Short: "Judge a snapshot file without running it",
		Long: `Reads a snapshot file as a PoP would and says everything that is wrong with it,
with line and column. Whether the addresses are this machine's and the ports are
free is not looked at. With -o json, prints the snapshot with all its defaults
filled in, as a file that can be used in its place, or the list of problems.`,
		Example: "  causeway pop check shanghai.yaml\n  causeway pop check shanghai.yaml -o json | jq .listeners",
		Args:    cobra.ExactArgs(1),
	}
	output := cli.OutputFlag(c, "text", "json")
	c.RunE = func(c *command, args []string) error {
		s, err := popagent.ReadSnapshot(args[0])
		var content *strictyaml.Error
		switch {
		case errors.As(err, &content):
			if output.Is("json") {
				if err := cli.PrintJSON(c.OutOrStdout(), content); err != nil {
					return err
				}
			}
			return refused(args[0], err)
		case err != nil:
			return err
		case output.Is("json"):
			text, err := strictyaml.Encode(s)
			if err == nil {
				_, err = c.OutOrStdout().Write(text)
			}
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), summary(args[0], s))
		return err
	}
	return c
}

func summary(file string, s snapshot.Snapshot) string {
	return fmt.Sprintf("%s is fine: PoP %s, version %d, %s, %s, %s, %s", file, s.PoP.Name, s.Version,
		plural(len(s.Peers), "peer"), plural(len(s.Routes), "route"), plural(len(s.Listeners), "listener"), plural(len(s.EndpointGroups), "endpoint group"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
