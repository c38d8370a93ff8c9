package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/strictyaml"
	"causeway/internal/vpngw"
	"causeway/internal/vpngw/charon"
)

const (
	defaultGatewayState  = "/var/lib/causeway-gateway"
	defaultGatewayRun    = "/run/causeway-gateway"
	defaultGatewaySocket = defaultGatewayRun + "/gateway.sock"
	strongswanUnit       = "strongswan.service"
)

// gatewayOptions are the flags of `causeway gateway`.
type gatewayOptions struct {
	vpngw.Options
	link vpngw.LinkOptions
	logOptions
	metrics metricsOptions
}

func newGatewayCommand() *command {
	var o gatewayOptions
	c := &command{
		Use:   "gateway",
		Short: "Run a VPN gateway's agent beside strongSwan, or ask one that runs",
		Long: `Makes strongSwan's charon on this machine do what a gateway's snapshot says
(docs/reference/gateway.md), until it is told to stop (SIGINT, SIGTERM): loads
tunnels and secrets, brings them up, keeps routes that follow them, starts a
charon that was killed or hangs again. The file is read again when it changes and
on SIGHUP; a wrong one is refused whole. The last one that worked is kept in the
state folder, readable by its owner alone, for a start without the file.

With --controller, a controller says what it does: the gateway enrols once, with
the token of --token-file, and from then on starts from the snapshot on its disk.

The agent runs charon itself, from a configuration of its own in the run folder.
Where systemd runs strongSwan it is left there (--unit).`,
		Example: `  causeway gateway --snapshot /etc/causeway/gateway.yaml
  causeway gateway --controller https://controller.example.net:4640 --token-file shanghai.token
  causeway gateway check /etc/causeway/gateway.yaml
  causeway gateway status
  causeway gateway rekey seoul`,
		Args: subcommands,
		RunE: func(c *command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.SnapshotFile, "snapshot", "", "the snapshot file (this or --controller must be given)")
	f.StringSliceVar(&o.link.Controllers, "controller", nil, "controllers to be told by, https://HOST:PORT, with commas between")
	f.StringVar(&o.link.TokenFile, "token-file", "", "holds the token to enrol with, at the first start")
	f.StringVar(&o.StateDir, "state-dir", defaultGatewayState, "folder for what must outlive the machine; one gateway each")
	f.StringVar(&o.RunDir, "run-dir", defaultGatewayRun, "folder for charon's configuration and socket; one gateway each")
	f.StringVar(&o.Socket, "socket", "", "where 'gateway status' asks (default: gateway.sock in the run folder)")
	f.StringVar(&o.Charon, "charon", "", "the daemon to run (default: charon-systemd, where it is installed)")
	f.StringVar(&o.Unit, "unit", "", "the systemd unit that runs charon instead (default: "+strongswanUnit+", where systemd has it and --charon is not given)")
	f.StringVar(&o.Vici, "vici", "", "charon's control socket, with --unit (default: /run/charon.vici)")
	f.StringVar(&o.ESP, "esp", "", "who encrypts: kernel or kernel-libipsec (default: the kernel, if it can)")
	o.logOptions.flags(c)
	o.metrics.flags(c, "127.0.0.1:9466")
	_ = c.MarkFlagFilename("snapshot", "yaml", "yml", "json")
	_ = c.MarkFlagFilename("token-file")
	_ = c.MarkFlagDirname("state-dir")
	_ = c.MarkFlagDirname("run-dir")
	c.AddCommand(newGatewayCheckCommand(), newGatewayStatusCommand(), newGatewayReloadCommand(), newGatewayJoinCommand())
	c.AddCommand(newGatewayVerbs()...)
	return c
}

func (o gatewayOptions) run(ctx context.Context) error {
	linked := len(o.link.Controllers) > 0
	switch {
	case o.SnapshotFile == "" && !linked:
		return cli.Misuse("--snapshot is missing: the file that says what this gateway does").
			WithFix("causeway gateway --snapshot FILE; docs/reference/gateway.md says what stands in it; or be told by a controller: --controller")
	case o.SnapshotFile != "" && linked:
		return cli.Misuse("--snapshot and --controller were both given").WithFix("choose one that says what this gateway does")
	case o.ESP != "" && o.ESP != "kernel" && o.ESP != "kernel-libipsec":
		return cli.Misuse("--esp is %q; allowed: kernel, kernel-libipsec", o.ESP)
	case o.Charon != "" && o.Unit != "":
		return cli.Misuse("--charon and --unit were both given").WithFix("choose who runs charon: this agent or systemd")
	}
	log, err := o.logger()
	if err != nil {
		return err
	}
	if o.Charon == "" && o.Unit == "" && charon.SystemdRuns(strongswanUnit) {
		o.Unit = strongswanUnit
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // so that a second signal ends the process at once
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	o.Build, o.Log, o.Reload = build(), log, hangup
	stop, err := watchGateway(ctx, o.metrics, o.Options, log)
	if err != nil {
		return o.explain(err)
	}
	defer stop()
	if linked {
		return o.explain(vpngw.RunLinked(ctx, o.Options, o.link))
	}
	return o.explain(vpngw.Run(ctx, o.Options))
}

// explain adds a remedy to what stops a gateway, where one is known.
func (o gatewayOptions) explain(err error) error {
	var content *strictyaml.Error
	switch {
	case errors.As(err, &content):
		return refusedGateway(o.SnapshotFile, err)
	case errors.Is(err, vpngw.ErrNoCharon):
		return &cli.Error{Err: err, Code: cli.NotFound, Fix: "apt install charon-systemd libcharon-extra-plugins libstrongswan-extra-plugins, or say where it is: --charon"}
	case errors.Is(err, vpngw.ErrInUse):
		return &cli.Error{Err: err, Code: cli.Conflict, Fix: "stop the other one, or give this one another --state-dir and --run-dir"}
	case errors.Is(err, os.ErrPermission):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as root, or with the capabilities CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE"}
	}
	return err
}

// refusedGateway is the error for a gateway's snapshot file that is wrong.
func refusedGateway(file string, err error) error {
	return &cli.Error{What: "snapshot " + file + " is refused", Err: err, Code: cli.Failed,
		Fix: "correct the lines above; docs/reference/gateway.md explains every field"}
}

func newGatewayCheckCommand() *command {
	c := &command{
		Use:   "check FILE",
		Short: "Judge a gateway's snapshot file without running it",
		Long: `Reads a snapshot file as a gateway would and says everything that is wrong with
it, with line and column. Secrets are not shown.`,
		Example: "  causeway gateway check shanghai.yaml",
		Args:    cobra.ExactArgs(1),
	}
	output := cli.OutputFlag(c, "text", "json")
	c.RunE = func(c *command, args []string) error {
		g, err := vpngw.ReadSnapshot(args[0])
		var content *strictyaml.Error
		switch {
		case errors.As(err, &content):
			if output.Is("json") {
				if err := cli.PrintJSON(c.OutOrStdout(), content); err != nil {
					return err
				}
			}
			return refusedGateway(args[0], err)
		case err != nil:
			return err
		}
		tunnels := 0
		for _, k := range g.Connections {
			tunnels += len(k.Tunnels)
		}
		if output.Is("json") {
			return cli.PrintJSON(c.OutOrStdout(), map[string]any{"name": g.Name, "version": g.Version, "connections": len(g.Connections), "tunnels": tunnels, "routes": len(g.Routes)})
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is fine: gateway %s, version %d, %s, %s, %s\n", args[0], g.Name, g.Version,
			plural(len(g.Connections), "connection"), plural(tunnels, "tunnel"), plural(len(g.Routes), "route"))
		return err
	}
	return c
}

// atGateway is where a command finds the gateway that it is about.
type atGateway struct {
	socket  string
	timeout time.Duration
}

func (a atGateway) client() vpngw.Client { return vpngw.Client{Socket: a.socket} }

// flags adds --socket and --timeout to c.
func (a *atGateway) flags(c *command) {
	c.Flags().StringVar(&a.socket, "socket", defaultGatewaySocket, "the socket the gateway was started with")
	c.Flags().DurationVar(&a.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
}

// ask calls f with the gateway's client, for at most the timeout.
func (a atGateway) ask(ctx context.Context, f func(context.Context, vpngw.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	err := f(ctx, a.client())
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &cli.Error{Err: err, Code: cli.NotFound, Fix: "is the gateway's agent running? If it was started with another --socket, give the same one here"}
	case errors.Is(err, os.ErrPermission):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as the user the agent runs as, with sudo"}
	case errors.Is(err, context.DeadlineExceeded):
		return &cli.Error{Err: err, Code: cli.Timeout, Fix: "try a longer --timeout, and look at the agent's log"}
	}
	return err
}

func newGatewayReloadCommand() *command {
	var at atGateway
	c := &command{
		Use:     "reload",
		Short:   "Have a running gateway read its snapshot file now, and say what came of it",
		Example: "  causeway gateway reload",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			return at.ask(c.Context(), func(ctx context.Context, g vpngw.Client) error { return g.Reload(ctx) })
		},
	}
	at.flags(c)
	return c
}

// newGatewayVerbs are the commands about one connection.
func newGatewayVerbs() []*command {
	var ike bool
	rekey := newGatewayVerb("rekey", "Renew a connection's keys now",
		"Renews the keys of the connection's children or, with --ike, of its IKE SAs.", "  causeway gateway rekey seoul\n  causeway gateway rekey seoul-1 --ike",
		func(ctx context.Context, g vpngw.Client, name string) error { return g.Rekey(ctx, name, ike) })
	rekey.Flags().BoolVar(&ike, "ike", false, "of the IKE SAs")
	return []*command{
		newGatewayVerb("initiate", "Bring a connection up now, and wait until it is",
			"Negotiates the connection's tunnels, also ones that 'terminate' took down.", "  causeway gateway initiate seoul",
			func(ctx context.Context, g vpngw.Client, name string) error { return g.Initiate(ctx, name) }),
		newGatewayVerb("terminate", "Take a connection down until it is initiated again",
			"Ends the connection's tunnels and tells the peer. They stay down until 'initiate',\nuntil the peer begins, until their parameters change, or until the agent starts anew.", "  causeway gateway terminate seoul",
			func(ctx context.Context, g vpngw.Client, name string) error { return g.Terminate(ctx, name) }),
		rekey,
	}
}

func newGatewayVerb(verb, short, long, example string, f func(context.Context, vpngw.Client, string) error) *command {
	var at atGateway
	c := &command{
		Use: verb + " CONNECTION", Short: short, Long: long + "\nThe name of one of its tunnels means that tunnel alone.", Example: example, Args: cobra.ExactArgs(1),
		RunE: func(c *command, args []string) error {
			return at.ask(c.Context(), func(ctx context.Context, g vpngw.Client) error { return f(ctx, g, args[0]) })
		},
	}
	at.flags(c)
	return c
}
