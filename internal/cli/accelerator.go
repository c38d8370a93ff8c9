package cli

import (
	"causeway/internal/resource"
	"cmp"
)

var acceleratorNoun = noun{
	kind:   resource.KindAccelerator,
	about:  "An accelerator is what IP sets, listeners and endpoint groups hang on.",
	create: "office --spec small-1",
	change: "office --enabled=false",
	flags: func(s *specFlags) {
		textFlag(s, "spec", "size: small-1 to super-large-2, or custom, without limits (default custom)", func(o *resource.Accelerator) *string { return &o.Spec })
		optionalBoolFlag(s, "source-consistent", "have flows leave from one egress IP, with the client's port where it is free", func(o *resource.Accelerator) **bool { return &o.SourceConsistent })
		optionalBoolFlag(s, "enabled", "carry traffic", func(o *resource.Accelerator) **bool { return &o.Enabled })
	},
	columns: []column{
		col("SPEC", func(o *resource.Accelerator) any { return o.Size().Title }),
		col("STATE", func(o *resource.Accelerator) any { return stateCell(o.Status.State) }),
		col("BASIC", func(o *resource.Accelerator) any { return cmp.Or(o.Status.Basic, "-") }),
		col("CROSS-DOMAIN", func(o *resource.Accelerator) any { return cmp.Or(o.Status.CrossDomain, "-") }),
		col("REASON", func(o *resource.Accelerator) any { return o.Status.Reason }),
		wideCol("ID", func(o *resource.Accelerator) any { return o.ID }),
	},
}
