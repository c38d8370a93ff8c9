package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"causeway/internal/apiclient"
	"causeway/internal/cli"
	"causeway/internal/popagent"
	"causeway/internal/resource"
)

// devOptions are the flags of `causeway dev`.
type devOptions struct {
	controllerOptions
	pop, region string
	overlay     []string
	addresses   []string
	popMetrics  metricsOptions
}

func newDevCommand() *command {
	var o devOptions
	c := &command{
		Use:   "dev",
		Short: "Run a controller and one PoP in one process",
		Long: `Runs a controller, and a PoP that it tells what to do, until it is told to stop: the
first machine of a network, or all of a small one. At the first start it creates
the region and the PoP and enrols this machine as it. Other machines become
further PoPs with 'causeway pop --controller'.`,
		Example: `  causeway dev --overlay 203.0.113.10:4600 --address 203.0.113.11
  causeway dev --pop seoul --region kr-seoul --overlay 203.0.113.10:4600 --address 203.0.113.11 --listen :4640 --advertise 203.0.113.10
  CAUSEWAY_PROFILE=/var/lib/causeway-controller/admin.yaml causeway status`,
		Args: noArgs,
		RunE: func(c *command, _ []string) error { return o.run(c.Context()) },
	}
	o.controllerOptions.flags(c, "127.0.0.1:"+cli.DefaultPort)
	f := c.Flags()
	f.StringVar(&o.popMetrics.listen, "pop-metrics-listen", "127.0.0.1:9464", "as --metrics-listen, of the PoP")
	o.popMetrics.flag = f.Lookup("pop-metrics-listen")
	o.popMetrics.probeFlag(c)
	f.StringVar(&o.pop, "pop", "local", "name of this machine's PoP")
	f.StringVar(&o.region, "region", "local", "region of this machine's PoP")
	f.StringArrayVar(&o.overlay, "overlay", nil, "as with 'pop create'; for the first start")
	f.StringArrayVar(&o.addresses, "address", nil, "as with 'pop create'; for the first start")
	return c
}

// run runs both until one of them ends.
func (o devOptions) run(ctx context.Context) error {
	log, err := o.logger()
	if err = cmp.Or(err, o.popMetrics.check()); err != nil {
		return err
	}
	if o.listen == "" || o.listen[len(o.listen)-2:] == ":0" {
		return cli.Misuse("--listen is %q; allowed: an address with a port, as the PoP must know it", o.listen)
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var both sync.WaitGroup
	defer both.Wait()
	defer stop(nil) // deferred calls run from the last: first stop, then wait
	ready := make(chan struct{})
	both.Go(func() { stop(o.serve(ctx, log.With("part", "controller"), ready)) })
	select {
	case <-ready:
		if err := o.runPoP(ctx, log.With("part", "pop")); err != nil && ctx.Err() == nil {
			stop(err)
		}
	case <-ctx.Done():
	}
	stop(nil)
	both.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return explainController(err)
	}
	return nil
}

// runPoP makes the PoP, where it is not there yet, and runs it.
func (o devOptions) runPoP(ctx context.Context, log *slog.Logger) error {
	profile, err := cli.ReadProfile(filepath.Join(o.dataDir, filepath.Base(cli.LocalProfile)))
	if err != nil {
		return err
	}
	state := filepath.Join(o.dataDir, "pop")
	token := filepath.Join(o.dataDir, "pop.token")
	if _, err := os.Stat(filepath.Join(state, "link", "agent.json")); errors.Is(err, os.ErrNotExist) {
		if err := o.makePoP(ctx, apiclient.New(profile), token); err != nil {
			return err
		}
		defer os.Remove(token)
	}
	return runPoP(ctx, popagent.Options{
		StateDir: state, Socket: filepath.Join(state, "pop.sock"), Build: build(), Log: log, NewPlane: newPlane,
	}, o.popMetrics, &popagent.LinkOptions{Controllers: []string{profile.Controller}, TokenFile: token})
}

// makePoP creates the region, the PoP and a token for it.
func (o devOptions) makePoP(ctx context.Context, client *apiclient.Client, tokenFile string) error {
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	pop, err := cli.NewPoP(o.pop, o.region, o.overlay, o.addresses)
	if err != nil {
		return err
	}
	for _, r := range []resource.Object{&resource.Region{Meta: resource.Meta{Name: o.region}}, pop} {
		if _, err := client.Create(ctx, r, apiclient.Options{}); err != nil && resource.CodeOf(err) != resource.CodeExists {
			return fmt.Errorf("make this machine's PoP: %w", err)
		}
	}
	made, err := client.Create(ctx, &resource.Token{TokenSpec: resource.TokenSpec{PoP: o.pop}}, apiclient.Options{})
	if err != nil {
		return fmt.Errorf("make this machine's PoP: %w", err)
	}
	return os.WriteFile(tokenFile, []byte(made.Secret+"\n"), 0o600)
}
