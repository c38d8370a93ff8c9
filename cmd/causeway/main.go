// Command causeway accelerates IPsec VPN and other UDP traffic over points of
// presence (PoPs). This package is wiring: flags in, calls to the packages that
// do the work, exit codes out.
package main

import (
	"os"

	"causeway/internal/cli"
)

func main() { os.Exit(int(run(os.Args[1:]))) }

// run runs one command line and returns its exit code.
func run(args []string) cli.Code {
	root := newRootCommand()
	root.SetArgs(args)
	ran := false // until a command runs, what goes wrong is how it was called
	eachCommand(root, func(c *command) {
		if inner := c.RunE; inner != nil {
			c.RunE = func(c *command, args []string) error {
				ran = true
				return inner(c, args)
			}
		}
	})
	called, err := root.ExecuteC()
	if err == nil {
		return cli.OK
	}
	if !ran {
		err = misuse(called, err)
	}
	cli.Print(os.Stderr, err)
	return cli.CodeOf(err)
}
