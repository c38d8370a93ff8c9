package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"causeway/internal/cli"
)

var update = flag.Bool("update", false, "rewrite docs/reference/cli.md")

// docs/reference/cli.md is made from the commands themselves.
func TestTheCLIReferenceIsFresh(t *testing.T) {
	const file = "../../docs/reference/cli.md"
	made := reference(newRootCommand())
	if *update {
		if err := os.WriteFile(file, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stands, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if made != string(stands) {
		t.Errorf("%s is not what the commands say; run: go test ./cmd/causeway -run Reference -update", file)
	}
}

func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\n<!-- Made by `go test ./cmd/causeway -run Reference -update`; edit the commands, not this page. -->\n\n")
	b.WriteString(root.Long + "\n\n")
	var shown []*cobra.Command
	eachCommand(root, func(c *cobra.Command) {
		if c != root && inReference(c) {
			shown = append(shown, c)
			link := strings.ReplaceAll(c.CommandPath(), " ", "-")
			fmt.Fprintf(&b, "%s- [%s](#%s): %s\n", strings.Repeat("  ", depth(c)-1), c.CommandPath(), link, c.Short)
		}
	})
	for _, c := range shown {
		section(&b, c)
	}
	fmt.Fprintf(&b, "\n## Exit codes\n\n```text\n%s\n```\n", cli.ExitCodes)
	return b.String()
}

func inReference(c *cobra.Command) bool {
	for at := c; at != nil; at = at.Parent() {
		if at.Hidden || at.Name() == "help" || at.Parent() != nil && at.Parent().Name() == "completion" {
			return false
		}
	}
	return c.Runnable() || c.HasSubCommands()
}

func depth(c *cobra.Command) int { return strings.Count(c.CommandPath(), " ") }

func section(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "\n%s %s\n\n", strings.Repeat("#", depth(c)+1), c.CommandPath())
	if c.Name() == "completion" { // cobra's own words are about shells, at length
		fmt.Fprintf(b, "%s.\n", c.Short)
	} else if c.Long != "" {
		fmt.Fprintf(b, "%s\n", c.Long)
	} else {
		fmt.Fprintf(b, "%s.\n", c.Short)
	}
	fmt.Fprintf(b, "\n```text\n%s\n```\n", c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(c.Example))
	}
	rows := 0
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if rows++; rows == 1 {
			b.WriteString("\n| flag | default | |\n|---|---|---|\n")
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", flagName(f), flagDefault(f), strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}

func flagName(f *pflag.Flag) string {
	name := "`--" + f.Name + "`"
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	return name
}

func flagDefault(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "[]", "0s":
		return ""
	}
	return "`" + f.DefValue + "`"
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
