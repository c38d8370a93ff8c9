package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/resource"
)

// completionTime is how long somebody who pressed Tab waits at most.
const completionTime = time.Second

// maxNames is how many names complete after one command that takes any number.
const maxNames = 1000

// completes gives a command and its flags the names that there are. A
// controller that is not in reach completes nothing, and says nothing.
func (r *remote) completes(c *cobra.Command, kind resource.Kind, most int) {
	if most > 0 {
		c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) >= most {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return r.names(c, kind, args, typed)
		}
	} else if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		kind := flagKind(f.Name)
		if kind == "" {
			return
		}
		_ = c.RegisterFlagCompletionFunc(f.Name, func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return r.names(c, kind, nil, typed)
		})
	})
}

// flagKind is the kind of resource that a flag names, or nothing.
func flagKind(flag string) resource.Kind {
	switch kind := resource.Kind(flag); {
	case flag == "gateway":
		return resource.KindVPNGateway
	case flag == "connection":
		return resource.KindIPsecConnection
	case slices.Contains(resource.Kinds, kind):
		return kind
	}
	return ""
}

// names are those of a kind that begin as typed, the given ones left out.
func (r *remote) names(c *cobra.Command, kind resource.Kind, given []string, typed string) ([]string, cobra.ShellCompDirective) {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	var names []string
	_ = r.during(ctx, func(ctx context.Context, client *apiclient.Client) error {
		list, _, err := client.List(ctx, kind, &v1.ListRequest{PageSize: 1000})
		for _, o := range list {
			if name := o.Head().Name; strings.HasPrefix(name, typed) && !slices.Contains(given, name) {
				names = append(names, name)
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}
