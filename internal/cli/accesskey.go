package cli

import "causeway/internal/resource"

var accessKeyNoun = noun{
	kind:   resource.KindAccessKey,
	about:  "An access key lets a person or a program in, with a role: reader, operator or admin.",
	create: "ci --role operator",
	change: "ci --enabled=false",
	flags: func(s *specFlags) {
		textFlag(s, "role", "reader, operator or admin (default reader)", func(o *resource.AccessKey) *resource.Role { return &o.Role })
		optionalBoolFlag(s, "enabled", "let it in", func(o *resource.AccessKey) **bool { return &o.Enabled })
	},
	columns: []column{
		col("ID", func(o *resource.AccessKey) any { return o.ID }),
		col("ROLE", func(o *resource.AccessKey) any { return o.Role }),
		col("STATE", func(o *resource.AccessKey) any { return stateCell(o.Status.State) }),
		col("CREATED", func(o *resource.AccessKey) any { return when(o.Created) }),
	},
}
