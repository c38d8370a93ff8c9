package cli

import (
	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

var bandwidthPackageNoun = noun{
	kind:    resource.KindBandwidthPackage,
	about:   "A bandwidth package is Mbit/s that can be bound to one accelerator.",
	create:  "office-basic --type basic --mbps 20 --accelerator office",
	change:  "office-basic --mbps 50",
	filters: []string{"accelerator"},
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "type", "basic or cross-domain (must be given)", func(o *resource.BandwidthPackage) *resource.PackageType { return &o.Type })
			textFlag(s, "accelerator", "whom to bind it to", func(o *resource.BandwidthPackage) *string { return &o.Accelerator })
		}
		textFlag(s, "kind", "of a basic package: basic, enhanced or advanced (default enhanced)", func(o *resource.BandwidthPackage) *resource.PackageGrade { return &o.Grade })
		intFlag(s, "mbps", "bandwidth, Mbit/s (must be given)", func(o *resource.BandwidthPackage) *int { return &o.Mbps })
	},
	columns: []column{
		col("TYPE", func(o *resource.BandwidthPackage) any { return o.Type }),
		col("KIND", func(o *resource.BandwidthPackage) any { return o.Grade }),
		col(">MBPS", func(o *resource.BandwidthPackage) any { return o.Mbps }),
		col("STATE", func(o *resource.BandwidthPackage) any { return stateCell(o.Status.State) }),
		col("ACCELERATOR", func(o *resource.BandwidthPackage) any { return o.Accelerator }),
	},
	verbs: []func(*remote) *cobra.Command{bindVerb, unbindVerb, replaceVerb},
}

func bindVerb(r *remote) *cobra.Command {
	c := &cobra.Command{
		Use:     "bind NAME ACCELERATOR",
		Short:   "Bind a package to an accelerator",
		Example: "  causeway bandwidth-package bind office-basic office",
		Args:    exactly(2, "the package and the accelerator"),
	}
	dryRun := c.Flags().Bool("dry-run", false, "judge everything and change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.act(c, resource.KindBandwidthPackage, "BindBandwidthPackage", &v1.BindBandwidthPackageRequest{Name: args[0], Accelerator: args[1], DryRun: *dryRun}, "bound", *dryRun)
	}
	return c
}

func unbindVerb(r *remote) *cobra.Command {
	c := &cobra.Command{
		Use:     "unbind NAME",
		Short:   "Take a package off its accelerator",
		Example: "  causeway bandwidth-package unbind office-basic",
		Args:    exactly(1, "the package"),
	}
	dryRun := c.Flags().Bool("dry-run", false, "judge everything and change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.act(c, resource.KindBandwidthPackage, "UnbindBandwidthPackage", &v1.UnbindBandwidthPackageRequest{Name: args[0], DryRun: *dryRun}, "unbound", *dryRun)
	}
	return c
}

func replaceVerb(r *remote) *cobra.Command {
	c := &cobra.Command{
		Use:     "replace NAME BY",
		Short:   "Put another package in the place of a bound one, at once",
		Example: "  causeway bandwidth-package replace office-basic office-larger",
		Args:    exactly(2, "the package that is bound, and the one to put in its place"),
	}
	dryRun := c.Flags().Bool("dry-run", false, "judge everything and change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.act(c, resource.KindBandwidthPackage, "ReplaceBandwidthPackage", &v1.ReplaceBandwidthPackageRequest{Name: args[0], By: args[1], DryRun: *dryRun}, "bound", *dryRun)
	}
	return c
}
