package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/apiform"
)

// ResealCommand is `causeway controller reseal`.
func ResealCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "reseal", Short: "Encrypt all secrets in the store anew, with the controller's first seal key", Args: exactly(0, "no arguments"),
		Long: `Has a running controller encrypt every secret in its store that is under another
key than its first --seal-key anew, under the first. Secrets stay what they are, and
no tunnel notices. A day later the other keys can be taken away (until then they
open remembered answers to repeated requests); backups made before still need them.

With several controllers on one store, give all of them both keys before one of
them seals with the new one.`,
		Example: "  causeway controller reseal",
	}
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			answer, err := client.Call(ctx, "ControlService", "Reseal", &v1.ResealRequest{})
			if err != nil {
				return err
			}
			done := answer.(*v1.ResealResponse)
			fmt.Fprintf(c.OutOrStdout(), "%d resealed, %d were under the first key already\n", done.GetResealed(), done.GetKept())
			if len(done.GetLost()) == 0 {
				return nil
			}
			names := make([]string, len(done.GetLost()))
			for i, ref := range done.GetLost() {
				names[i] = apiform.DecodeRef(ref).String()
			}
			return &Error{Err: fmt.Errorf("none of the controller's keys opens the secrets of %s", strings.Join(names, ", ")), Code: Failed,
				Fix: "start the controller with the key that they were sealed with as a further --seal-key, and repeat this"}
		})
	}
	return c
}
