package cli

import "causeway/internal/resource"

var regionNoun = noun{
	kind:   resource.KindRegion,
	about:  "A region is where PoPs stand; its border area tells which traffic is cross-border.",
	create: "kr-seoul --area intl",
	change: "kr-seoul --title 'Seoul'",
	flags: func(s *specFlags) {
		textFlag(s, "area", "border area, such as cn or intl (default: cn for names that begin with cn-, otherwise intl)", func(o *resource.Region) *string { return &o.Area })
	},
	columns: []column{
		col("AREA", func(o *resource.Region) any { return o.Area }),
		col("STATE", func(o *resource.Region) any { return stateCell(o.Status.State) }),
	},
}
