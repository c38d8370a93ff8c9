package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

var popNoun = noun{
	kind:     resource.KindPoP,
	about:    "A PoP is a machine that runs causeway pop.",
	create:   "seoul --region kr-seoul --overlay 203.0.113.10:4600 --address 203.0.113.11 --address 10.0.0.12,public=203.0.113.12",
	change:   "seoul --cordoned",
	filters:  []string{"region"},
	explicit: true,
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "region", "where it stands (must be given)", func(o *resource.PoP) *string { return &o.Region })
		}
		listFlag(s, "overlay", "an address that other PoPs send to: BIND[,name=CARRIER][,public=ADDRESS:PORT][,mtu=BYTES]; once for each carrier",
			func(o *resource.PoP) *[]resource.OverlayAddress { return &o.Overlay }, parseOverlay)
		listFlag(s, "address", "an address of the pool: BIND[,public=ADDRESS][,use=any|accelerated|egress]; once for each",
			func(o *resource.PoP) *[]resource.PoolAddress { return &o.Addresses }, func(text string) (a resource.PoolAddress, err error) {
				return a, parseFields(text, "bind", &a)
			})
		intFlag(s, "capacity-mbps", "most bandwidth to give out here, Mbit/s; 0: any", func(o *resource.PoP) *int { return &o.Capacity.Mbps })
		intFlag(s, "capacity-sessions", "most sessions to hold here; 0: any", func(o *resource.PoP) *int { return &o.Capacity.Sessions })
		boolFlag(s, "cordoned", "give out nothing new here", func(o *resource.PoP) *bool { return &o.Cordoned })
		optionalBoolFlag(s, "relay", "let others route over it", func(o *resource.PoP) **bool { return &o.Relay })
		textFlag(s, "passthrough", "off, also or only: whether others' segments may go through it unopened, besides what it opens and seals again, or instead (default off)", func(o *resource.PoP) *resource.Passthrough { return &o.Passthrough })
	},
	columns: []column{
		col("REGION", func(o *resource.PoP) any { return o.Region }),
		col("STATE", func(o *resource.PoP) any { return stateCell(o.Status.State) }),
		col(">SESSIONS", func(o *resource.PoP) any { return o.Status.Sessions }),
		col(">ADDRESSES", func(o *resource.PoP) any { return fmt.Sprintf("%d/%d", o.Status.Given, o.Status.Pool) }),
		col(">SNAPSHOT", func(o *resource.PoP) any { return o.Status.Applied }),
		wideCol("OVERLAY", func(o *resource.PoP) any {
			var list []string
			for _, a := range o.Overlay {
				list = append(list, a.Name+"="+a.Public.String())
			}
			return strings.Join(list, " ")
		}),
		wideCol(">LABEL", func(o *resource.PoP) any { return o.Given.Label }),
		wideCol("BUILD", func(o *resource.PoP) any { return o.Status.Build }),
		wideCol("REASON", func(o *resource.PoP) any { return firstLine(o.Status.Reason, o.Status.Refusal) }),
	},
	verbs: []func(*remote) *cobra.Command{revokeVerb},
}

// parseOverlay reads an overlay address; one without a name is called wan.
func parseOverlay(text string) (resource.OverlayAddress, error) {
	a := resource.OverlayAddress{Name: "wan"}
	return a, parseFields(text, "bind", &a)
}

func revokeVerb(r *remote) *cobra.Command {
	c := &cobra.Command{
		Use:     "revoke NAME",
		Short:   "Take a PoP's certificate away, so that its machine is a PoP no more",
		Example: "  causeway pop revoke seoul\n  causeway token create --pop seoul      # then, for another machine",
		Args:    exactly(1, "the PoP's name"),
	}
	dryRun := c.Flags().Bool("dry-run", false, "judge everything and change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.act(c, resource.KindPoP, "RevokePoP", &v1.RevokePoPRequest{Name: args[0], DryRun: *dryRun}, "revoked", *dryRun)
	}
	return c
}

func firstLine(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			line, _, _ := strings.Cut(t, "\n")
			return line
		}
	}
	return ""
}

// NewPoP is the PoP that flags like those of `causeway pop create` describe.
func NewPoP(name, region string, overlay, addresses []string) (*resource.PoP, error) {
	p := &resource.PoP{Meta: resource.Meta{Name: name}, PoPSpec: resource.PoPSpec{Region: region}}
	for _, text := range overlay {
		a, err := parseOverlay(text)
		if err != nil {
			return nil, Misuse("--overlay: %w", err)
		}
		p.Overlay = append(p.Overlay, a)
	}
	for _, text := range addresses {
		var a resource.PoolAddress
		if err := parseFields(text, "bind", &a); err != nil {
			return nil, Misuse("--address: %w", err)
		}
		p.Addresses = append(p.Addresses, a)
	}
	if len(p.Overlay) == 0 {
		return nil, Misuse("--overlay is missing: the address that other PoPs send to").WithFix("give it, such as --overlay 203.0.113.10:4600")
	}
	return p, nil
}
