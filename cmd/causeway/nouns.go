package main

import "causeway/internal/cli"

// nounCommands are the commands that call a controller's API.
func nounCommands() []*command {
	return append(append(cli.NounCommands(), cli.FileCommands()...), cli.VPNCommand())
}
