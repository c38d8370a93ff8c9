package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"causeway/internal/apiclient"
)

// SnapshotSaveCommand is `causeway snapshot save`.
func SnapshotSaveCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "save FILE", Short: "Save the store of a running controller to a file",
		Long: `Writes everything that the controller keeps to a file, readable by its owner only,
that appears whole or not at all. Keep authority.pem and seal.key of the data
folder with it: without them PoPs must be enrolled again, and access keys made anew.`,
		Example: "  causeway snapshot save causeway-$(date +%F).snapshot",
		Args:    exactly(1, "the file to write"),
	}
	r.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			part := args[0] + ".part"
			f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
			if err != nil {
				return fmt.Errorf("save the store: %w", err)
			}
			defer os.Remove(part)
			err = client.Backup(ctx, f)
			if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
				return err
			}
			if err := os.Rename(part, args[0]); err != nil {
				return fmt.Errorf("save the store: %w", err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "saved to %s\n", args[0])
			return err
		})
	}
	return c
}
