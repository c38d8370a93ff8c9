package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command says what it is for and shows how it is used.
func TestEveryCommandIsExplained(t *testing.T) {
	eachCommand(newRootCommand(), func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short help", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its short help ends in a full stop", c.CommandPath())
		}
		runs := c.Runnable() && !c.Hidden && (c.Parent() == nil || c.Parent().Name() != "completion")
		if runs && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	})
}
