package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"causeway/internal/apiclient"
	"causeway/internal/cli"
	"causeway/internal/control/resolver"
	"causeway/internal/control/server"
	"causeway/internal/control/throttle"
)

// controllerOptions are the flags of `causeway controller`.
type controllerOptions struct {
	dataDir, listen, advertise string
	sealKeys                   []string
	limits                     throttle.Limits
	storeOptions
	logOptions
	metrics metricsOptions
	aliyun  aliyunOptions
}

func newControllerCommand() *command {
	var o controllerOptions
	c := &command{
		Use:   "controller",
		Short: "Run a controller",
		Long: `Runs a controller until it is told to stop (SIGINT, SIGTERM): the API that the
noun commands call, and the link that PoPs are told by, on one TLS port. It keeps
everything in etcd: its own, in the data folder, or with --etcd-endpoints a
cluster that several controllers share.

At the first start it makes the first admin's access key and leaves it in
admin.yaml in the data folder, as a profile that the noun commands read.`,
		Example: `  causeway controller --data-dir /var/lib/causeway-controller
  causeway controller --listen :4640 --advertise controller.example.net
  causeway controller --etcd-endpoints https://etcd-1:2379,https://etcd-2:2379 --etcd-ca ca.pem --etcd-cert c.pem --etcd-key k.pem`,
		Args: noArgs,
		RunE: func(c *command, _ []string) error { return o.run(c.Context()) },
	}
	o.flags(c, ":"+cli.DefaultPort)
	c.AddCommand(cli.ResealCommand())
	return c
}

// flags adds them to c.
func (o *controllerOptions) flags(c *command, listen string) {
	f := c.Flags()
	f.StringVar(&o.dataDir, "data-dir", filepath.Dir(cli.LocalProfile), "folder for the store and the controller's keys")
	f.StringVar(&o.listen, "listen", listen, "address and TCP port for the API and for PoPs")
	f.StringArrayVar(&o.sealKeys, "seal-key", nil, "file of the key that secrets in the store are encrypted with, made if it is not there (default: seal.key in the data folder); further ones open what was encrypted with them before")
	f.StringVar(&o.advertise, "advertise", "", "HOST[:PORT] that admin.yaml says, and by which other controllers ask this one; default: this machine itself")
	f.Float64Var(&o.limits.Rate, "api-rate", throttle.DefaultRate, "requests a second that each access key or certificate may make on average; negative: as many as it likes")
	f.IntVar(&o.limits.Burst, "api-burst", throttle.DefaultBurst, "requests that it may make at once")
	o.storeOptions.flags(c)
	o.logOptions.flags(c)
	o.metrics.flags(c, "127.0.0.1:9465")
	o.aliyun.flags(c)
	_ = c.MarkFlagDirname("data-dir")
	_ = c.MarkFlagFilename("seal-key")
}

func (o controllerOptions) run(ctx context.Context) error {
	if o.limits.Rate == 0 || o.limits.Burst < 1 {
		return cli.Misuse("--api-rate is %g and --api-burst %d", o.limits.Rate, o.limits.Burst).WithFix("give a burst of 1 or more, and a rate above 0, or a negative one for no limit")
	}
	log, err := o.logger()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // so that a second signal ends the process at once
	return explainController(o.serve(ctx, log, nil))
}

// serve opens the store and runs a controller over it. Ready, which may be nil,
// is closed when the profile is there.
func (o controllerOptions) serve(ctx context.Context, log *slog.Logger, ready chan<- struct{}) (err error) {
	if err := os.MkdirAll(o.dataDir, 0o700); err != nil {
		return fmt.Errorf("start controller: %w", err)
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("start controller: %w", err)
	}
	defer listener.Close()
	aliyun, err := o.aliyun.open()
	if err != nil {
		return err
	}
	if aliyun != nil {
		defer aliyun.Listener.Close()
	}
	store, err := o.open(ctx, o.dataDir, log)
	if err != nil {
		return fmt.Errorf("start controller: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	watch, err := o.watch(ctx, log)
	if err != nil {
		return fmt.Errorf("start controller: %w", err)
	}
	defer watch.close()
	s, err := server.New(server.Options{
		Store: store, Dir: o.dataDir, SealKeys: o.sealKeys, Address: "https://" + o.advertised(listener.Addr()), Listener: listener, Resolver: resolver.System(), Version: build().Version, Log: log,
		Aliyun: aliyun, History: watch.history, Interceptors: watch.interceptors, Limits: o.limits,
	})
	if err != nil {
		return err
	}
	watch.serve(ctx, s)
	if err := tellRestored(ctx, s, filepath.Join(o.dataDir, restoredMark)); err != nil {
		return err
	}
	if err := o.leaveProfile(ctx, s, listener.Addr(), log); err != nil {
		return err
	}
	if ready != nil {
		close(ready)
	}
	return s.Run(ctx)
}

// tellRestored tells everybody that the store was restored, if it was.
func tellRestored(ctx context.Context, s *server.Server, mark string) error {
	if _, err := os.Stat(mark); err != nil {
		return nil
	}
	if err := s.Restored(ctx); err != nil {
		return fmt.Errorf("start controller: %w", err)
	}
	return os.Remove(mark)
}

// leaveProfile makes the first admin's key, if there is none, and leaves the
// profile for it in the data folder.
func (o controllerOptions) leaveProfile(ctx context.Context, s *server.Server, address net.Addr, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	key, err := s.FirstKey(ctx)
	if err != nil || key == "" {
		return err
	}
	file := filepath.Join(o.dataDir, filepath.Base(cli.LocalProfile))
	profile := apiclient.Profile{Controller: "https://" + o.advertised(address), Fingerprint: s.Fingerprint(), AccessKey: key}
	if err := cli.WriteProfile(file, profile); err != nil {
		return err
	}
	log.Info("the first admin's profile was made", "file", file)
	return nil
}

func (o controllerOptions) advertised(address net.Addr) string {
	_, port, _ := net.SplitHostPort(address.String())
	switch host, _, _ := net.SplitHostPort(o.listen); {
	case strings.Contains(o.advertise, ":") && !strings.HasSuffix(o.advertise, "]"):
		return o.advertise
	case o.advertise != "":
		return o.advertise + ":" + port
	case host == "" || net.ParseIP(host).IsUnspecified():
		return net.JoinHostPort("127.0.0.1", port)
	default:
		return net.JoinHostPort(host, port)
	}
}

// explainController adds a remedy to what stops a controller, where one is known.
func explainController(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &cli.Error{Err: err, Code: cli.Conflict, Fix: "stop whoever has the port, or use another --listen"}
	case errors.Is(err, os.ErrPermission):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as the data folder's owner, or choose another --data-dir"}
	}
	return err
}
