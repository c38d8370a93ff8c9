package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"causeway/internal/cli"
	"causeway/internal/popagent"
	"causeway/internal/popagent/flowlog"
	"causeway/internal/strictyaml"
)

const (
	defaultStateDir = "/var/lib/causeway"
	defaultSocket   = "/run/causeway/pop.sock"
)

// popOptions are the flags of `causeway pop`.
type popOptions struct {
	snapshot, key, stateDir, socket string
	link                            popagent.LinkOptions
	flowLog                         flowlog.Config
	logOptions
	metrics metricsOptions
	speed   speedOptions
}

func newPoPCommand() *command {
	var o popOptions
	c := &command{
		Use:   "pop",
		Short: "Run a PoP, or ask one that runs",
		Long: `Runs a PoP until it is told to stop (SIGINT, SIGTERM). All it does is in its
snapshot file (docs/reference/snapshot.md), which is read again when it changes
and on SIGHUP; a wrong one is refused whole, and what ran before goes on. The
last one that worked is kept in the state folder, for a start without the file.

With --controller, a controller says what it does: the PoP enrols once, with the
token of --token-file, and from then on starts from the snapshot on its disk,
with the controller in reach or without.

The verbs create, get, list, update, delete, describe, watch and revoke are about
the controller's PoPs; check, status and reload are about one on this machine.`,
		Example: `  causeway pop --snapshot /etc/causeway/pop.yaml --key /etc/causeway/pop.key
  causeway pop --controller https://controller.example.net:4640 --token-file seoul.token
  causeway pop check /etc/causeway/pop.yaml
  causeway pop status
  causeway pop list`,
		Args: subcommands,
		RunE: func(c *command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.snapshot, "snapshot", "", "the snapshot file (this or --controller must be given)")
	f.StringSliceVar(&o.link.Controllers, "controller", nil, "controllers to be told by, https://HOST:PORT, with commas between")
	f.StringVar(&o.link.TokenFile, "token-file", "", "holds the token to enrol with, at the first start")
	f.StringVar(&o.key, "key", "", "the PoP's private key (default: pop.key in the state folder)")
	f.StringVar(&o.stateDir, "state-dir", defaultStateDir, "folder for what must outlive the process; one PoP each")
	f.StringVar(&o.socket, "socket", defaultSocket, "where 'pop status' asks")
	f.StringVar(&o.flowLog.Dir, "flow-log-dir", "", "folder for flow logs of listeners that ask for them (default: flow-logs in the state folder)")
	f.Int64Var(&o.flowLog.Bytes, "flow-log-bytes", 64<<20, "how large a file of it may grow")
	f.IntVar(&o.flowLog.Files, "flow-log-files", 8, "how many of its files are kept, at least 2")
	o.logOptions.flags(c)
	o.metrics.flags(c, "127.0.0.1:9464")
	o.metrics.probeFlag(c)
	o.speed.flags(c)
	_ = c.MarkFlagFilename("snapshot", "yaml", "yml", "json")
	_ = c.MarkFlagFilename("token-file")
	_ = c.MarkFlagFilename("key")
	_ = c.MarkFlagDirname("state-dir")
	_ = c.MarkFlagDirname("flow-log-dir")
	c.AddCommand(newPoPCheckCommand(), newPoPStatusCommand(), newPoPReloadCommand(), newPoPXDPCommand(), newPoPJoinCommand())
	c.AddCommand(cli.PoPVerbs()...)
	return c
}

func (o popOptions) run(ctx context.Context) error {
	linked := len(o.link.Controllers) > 0
	switch {
	case o.snapshot == "" && !linked:
		return cli.Misuse("--snapshot is missing: the file that says what this PoP does").
			WithFix("causeway pop --snapshot FILE; docs/reference/snapshot.md says what stands in it; or be told by a controller: --controller")
	case o.snapshot != "" && linked:
		return cli.Misuse("--snapshot and --controller were both given").WithFix("choose one that says what this PoP does")
	}
	if err := cmp.Or(o.speed.check(), o.metrics.check()); err != nil {
		return err
	}
	log, err := o.logger()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // so that a second signal ends the process at once
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	options := popagent.Options{
		SnapshotFile: o.snapshot, KeyFile: o.key, StateDir: o.stateDir, Socket: o.socket,
		Build: build(), Log: log, Reload: hangup, FlowLog: o.flowLog, NewPlane: o.speed.newPlane,
	}
	if linked {
		return o.explain(runPoP(ctx, options, o.metrics, &o.link))
	}
	return o.explain(runPoP(ctx, options, o.metrics, nil))
}

// explain adds a remedy to what stops a PoP, where one is known.
func (o popOptions) explain(err error) error {
	var machine *popagent.ApplyError
	var content *strictyaml.Error
	keyFile := o.key
	if keyFile == "" {
		keyFile = filepath.Join(o.stateDir, "pop.key")
	}
	switch _, keyErr := os.Stat(keyFile); {
	case err == nil:
		return nil
	case errors.As(err, &content):
		return refused(o.snapshot, err)
	case errors.Is(err, popagent.ErrInUse):
		return &cli.Error{Err: err, Code: cli.Conflict, Fix: "stop the other one, or give this one another --state-dir and --socket"}
	case errors.Is(err, syscall.EADDRINUSE):
		return &cli.Error{Err: err, Code: cli.Conflict, Fix: "stop whoever has it, or use another address or port"}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &cli.Error{Err: err, Fix: "ip addr shows this machine's addresses; bind must be one of them, public is for what a cloud's NAT shows"}
	case errors.Is(err, fs.ErrPermission), errors.As(err, &machine) && errors.Is(err, syscall.EPERM):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as root, or give it the file and the capability CAP_NET_BIND_SERVICE"}
	case errors.Is(err, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist):
		return &cli.Error{Err: err, Fix: fmt.Sprintf("make a key first: causeway keygen --out %s", keyFile)}
	}
	return err
}

// refused is the error for a snapshot file that is wrong.
func refused(file string, err error) error {
	return &cli.Error{What: "snapshot " + file + " is refused", Err: err, Code: cli.Failed,
		Fix: "correct the lines above; docs/reference/snapshot.md explains every field"}
}
