package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/control/store/etcdstore"
)

// restoredMark is a file in the data folder: the store was restored, and nobody
// was told yet.
const restoredMark = "restored"

func newSnapshotCommand() *command {
	c := &command{
		Use:     "snapshot",
		Short:   "Save, restore and inspect backups of a controller's store",
		Example: "  causeway snapshot save monday.snapshot\n  causeway snapshot inspect monday.snapshot",
		Args:    subcommands,
		RunE:    func(c *command, _ []string) error { return c.Help() },
	}
	c.AddCommand(cli.SnapshotSaveCommand(), newSnapshotRestoreCommand(), newSnapshotInspectCommand())
	return c
}

func newSnapshotRestoreCommand() *command {
	var dataDir string
	c := &command{
		Use:   "restore FILE",
		Short: "Make a controller's store from a backup",
		Long: `Makes the store in a data folder that has none, while no controller runs on it. Put
authority.pem and seal.key of the controller that was saved into the folder, too.
For an etcd cluster, use its own tool: etcdutl snapshot restore.`,
		Example: "  causeway snapshot restore monday.snapshot --data-dir /var/lib/causeway-controller",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&dataDir, "data-dir", filepath.Dir(cli.LocalProfile), "the controller's data folder")
	_ = c.MarkFlagDirname("data-dir")
	c.RunE = func(c *command, args []string) error {
		info, err := etcdstore.RestoreSnapshot(c.Context(), args[0], filepath.Join(dataDir, "store"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dataDir, restoredMark), nil, 0o600); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "restored revision %d, %d keys, to %s\n", info.Revision, info.Keys, dataDir)
		return err
	}
	return c
}

func newSnapshotInspectCommand() *command {
	c := &command{
		Use:     "inspect FILE",
		Short:   "Say what is in a backup, and whether it is whole",
		Example: "  causeway snapshot inspect monday.snapshot -o json",
		Args:    cobra.ExactArgs(1),
	}
	output := cli.OutputFlag(c, "table", "json")
	c.RunE = func(c *command, args []string) error {
		info, err := etcdstore.InspectSnapshot(args[0])
		if err != nil {
			return err
		}
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), info)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is whole: revision %d, %d keys, %d bytes, SHA-256 %s\n", info.File, info.Revision, info.Keys, info.Bytes, info.SHA256)
		return err
	}
	return c
}
