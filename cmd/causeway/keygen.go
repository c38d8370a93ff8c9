package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"causeway/internal/cli"
	"causeway/internal/keys"
)

// keygenOptions are the flags of `causeway keygen`.
type keygenOptions struct {
	out    string // where the private key goes
	public string // where the public key goes, beside standard output
	from   string // an existing private key, to print its public half
}

func newKeygenCommand() *command {
	var o keygenOptions
	c := &command{
		Use:   "keygen",
		Short: "Make a PoP's key pair",
		Long: `Makes a PoP's key pair. The private key goes to a new file that only you may
read, in a folder that is made if need be; it never leaves that PoP. The public
key is printed: it goes into the snapshots of the other PoPs, as public_key of
this one.

A file that is there already is never overwritten.`,
		Example: `  causeway keygen --out /etc/causeway/pop.key
  causeway keygen --out pop.key --public pop.pub
  causeway keygen --from pop.key          # print the public key once more`,
		Args: noArgs,
		RunE: func(c *command, _ []string) error {
			public, err := o.run(c.Flags().Changed("out"))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), public)
			return err
		},
	}
	c.Flags().StringVar(&o.out, "out", "pop.key", "file for the private key")
	c.Flags().StringVar(&o.public, "public", "", "file for the public key, beside printing it")
	c.Flags().StringVar(&o.from, "from", "", "make nothing; print the public key that belongs to this private key")
	return c
}

func (o keygenOptions) run(outGiven bool) (keys.PublicKey, error) {
	if o.from != "" {
		if outGiven {
			return keys.PublicKey{}, cli.Misuse("--from reads a key and --out makes one; give one of them")
		}
		private, err := keys.LoadFile(o.from)
		if err != nil {
			return keys.PublicKey{}, err
		}
		return private.Public(), o.writePublic(private.Public())
	}
	if o.public != "" { // before the private key is made, so that both are or none is
		if _, err := os.Lstat(o.public); err == nil {
			return keys.PublicKey{}, exists(o.public)
		}
	}
	private, err := keys.Generate()
	if err != nil {
		return keys.PublicKey{}, err
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o700); err != nil {
		return keys.PublicKey{}, fmt.Errorf("write private key: %w", err)
	}
	if err := private.WriteFile(o.out); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return keys.PublicKey{}, exists(o.out)
		}
		return keys.PublicKey{}, err
	}
	return private.Public(), o.writePublic(private.Public())
}

func (o keygenOptions) writePublic(key keys.PublicKey) error {
	if o.public == "" {
		return nil
	}
	f, err := os.OpenFile(o.public, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return exists(o.public)
		}
		return fmt.Errorf("write public key: %w", err)
	}
	_, err = fmt.Fprintln(f, key)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write public key: %w", err)
	}
	return nil
}

func exists(file string) error {
	return &cli.Error{What: "write key", Err: fmt.Errorf("%s is there already and is never overwritten: %w", file, fs.ErrExist),
		Fix: "choose another file, or move it away", Code: cli.Conflict}
}
