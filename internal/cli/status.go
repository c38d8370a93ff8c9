package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/resource"
)

// overview is what `causeway status` shows.
type overview struct {
	Revision     int64             `json:"revision"`
	PoPs         []resource.Object `json:"pops"`
	Accelerators []resource.Object `json:"accelerators"`
	Listeners    []resource.Object `json:"listeners"`
	Groups       []resource.Object `json:"endpoint_groups"`
	Gateways     []resource.Object `json:"vpn_gateways"`
	Connections  []resource.Object `json:"ipsec_connections"`
	Problems     []trouble         `json:"problems"`
}

// trouble is something that does not do what it was asked for.
type trouble struct {
	Resource string         `json:"resource"`
	State    resource.State `json:"state"`
	Reason   string         `json:"reason,omitempty"`
}

func statusCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "status", Short: "Show on one screen what is up, what is not, and why", Args: exactly(0, "no arguments"),
		Example: "  causeway status\n  causeway status -o json | jq .problems",
	}
	exitCode := c.Flags().Bool("exit-code", false, "end with 1 when something is not as it should be")
	output := OutputFlag(c, "table", "wide", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			o, err := look(ctx, client)
			if err != nil {
				return err
			}
			if output.Is("json") {
				err = printTree(c.OutOrStdout(), o, false)
			} else {
				err = o.show(c.OutOrStdout(), output)
			}
			if err == nil && *exitCode && len(o.Problems) > 0 {
				return fmt.Errorf("%d resources are not as they should be", len(o.Problems))
			}
			return err
		})
	}
	return c
}

func look(ctx context.Context, client *apiclient.Client) (o overview, err error) {
	o.Problems = []trouble{}
	for _, part := range []struct {
		kind resource.Kind
		into *[]resource.Object
	}{{resource.KindPoP, &o.PoPs}, {resource.KindAccelerator, &o.Accelerators}, {resource.KindListener, &o.Listeners}, {resource.KindEndpointGroup, &o.Groups},
		{resource.KindVPNGateway, &o.Gateways}, {resource.KindIPsecConnection, &o.Connections}} {
		list, revision, err := client.List(ctx, part.kind, &v1.ListRequest{PageSize: 1000})
		if err != nil {
			return o, err
		}
		*part.into = append([]resource.Object{}, list...)
		o.Revision = max(o.Revision, revision)
		for _, one := range list {
			switch state, reason := stateOf(one); state {
			case resource.Active, resource.Connected, resource.Disabled, resource.Unmanaged, resource.IPsecEstablished:
			default:
				o.Problems = append(o.Problems, trouble{resource.RefOf(one).String(), state, reason})
			}
		}
	}
	return o, nil
}

func (o overview) show(w io.Writer, output *Format) error {
	for _, part := range []struct {
		noun *noun
		list []resource.Object
	}{{&popNoun, o.PoPs}, {&acceleratorNoun, o.Accelerators}, {&listenerNoun, o.Listeners}, {&endpointGroupNoun, o.Groups},
		{&vpnGatewayNoun, o.Gateways}, {&ipsecConnectionNoun, o.Connections}} {
		if len(part.list) == 0 && (part.noun == &vpnGatewayNoun || part.noun == &ipsecConnectionNoun) {
			continue // accelerators are of use without
		}
		if len(part.list) == 0 {
			fmt.Fprintf(w, "No %ss.\n\n", part.noun.kind.Noun())
			continue
		}
		fmt.Fprintf(w, "%ss\n", upper(part.noun.kind.Noun()))
		if err := part.noun.table(w, output, part.list...); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if len(o.Problems) == 0 {
		_, err := fmt.Fprintln(w, "Everything is as it should be.")
		return err
	}
	t := NewTable("NOT AS IT SHOULD BE", "STATE", "WHY")
	for _, p := range o.Problems {
		t.Row(p.Resource, stateCell(p.State), firstLine(p.Reason, "-"))
	}
	return t.Write(w, Colour(os.Stdout) && w == os.Stdout)
}

func upper(s string) string {
	if s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
