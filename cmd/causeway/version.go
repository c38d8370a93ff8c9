package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"causeway/internal/cli"
	"causeway/internal/report"
)

func newVersionCommand() *command {
	c := &command{
		Use:     "version",
		Short:   "Say which causeway this is",
		Example: "  causeway version\n  causeway version -o json",
		Args:    noArgs,
	}
	output := cli.OutputFlag(c, "text", "json")
	c.RunE = func(c *command, _ []string) error {
		b := build()
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), b)
		}
		line := "causeway " + b.Version
		if b.Revision != "" && !strings.Contains(b.Version, b.Revision[:min(12, len(b.Revision))]) {
			line += ", revision " + b.Revision
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s, built with %s for %s/%s\n", line, b.Go, runtime.GOOS, runtime.GOARCH)
		return err
	}
	return c
}

// release is the version of a package, which its build sets; "" otherwise.
var release string

// build says what the toolchain wrote into the program.
func build() report.Build {
	b := report.Build{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(release, info.Main.Version, b.Version)
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value + b.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Revision += " and changes"
		}
	}
	return b
}
