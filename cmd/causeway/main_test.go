package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// speaksForItself are commands whose use line is all there is to show.
var speaksForItself = map[string]bool{
	"causeway lab up": true, "causeway lab down": true, "causeway lab list": true, "causeway lab status": true,
}

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
		runs = runs && !speaksForItself[c.CommandPath()]
		if runs && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	})
}
