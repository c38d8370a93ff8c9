package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"causeway/internal/cli"
	"causeway/internal/history"
	"causeway/internal/keys"
	"causeway/internal/pathwatch"
	"causeway/internal/popagent"
	"causeway/internal/report"
	"causeway/internal/telemetry"
)

// metricsOptions is the flag of daemons that give out metrics.
type metricsOptions struct {
	listen string
	flag   *pflag.Flag
	probe  string // of a PoP: what paths it asks
}

// What --probe-paths may be.
var probeChoices = []string{"both", "overlay", "none"}

func (o *metricsOptions) probeFlag(c *command) {
	c.Flags().StringVar(&o.probe, "probe-paths", "both", "ask the PoPs that listeners send to, once a second: both (over the Internet alone, by ICMP, and through the overlay), overlay, or none")
}

func (o metricsOptions) check() error {
	if !slices.Contains(probeChoices, o.probe) {
		return cli.Misuse("--probe-paths is %q; allowed: %s", o.probe, strings.Join(probeChoices, ", "))
	}
	return nil
}

func (o *metricsOptions) flags(c *command, address string) {
	c.Flags().StringVar(&o.listen, "metrics-listen", address, "address for /metrics, /livez and /readyz, over plain HTTP; '' for none")
	o.flag = c.Flags().Lookup("metrics-listen")
}

// open opens the address. One that was not asked for and is taken, by another
// daemon on this machine, is done without.
func (o metricsOptions) open(log *slog.Logger) (net.Listener, error) {
	l, err := telemetry.Listen(o.listen)
	if err != nil && o.flag != nil && !o.flag.Changed {
		log.Warn("no metrics are served; choose an address with --metrics-listen", "reason", err)
		return nil, nil
	}
	return l, err
}

// popWatch is what a PoP's process does beside carrying packets: it samples its
// report, gives out metrics, and keeps history.
type popWatch struct {
	sampler  telemetry.Sampler
	server   telemetry.Server
	listener net.Listener
	history  *history.Store
	paths    *pathwatch.Watcher // nil: nobody is asked
	log      *slog.Logger
	running  sync.WaitGroup
	cancel   context.CancelFunc
}

// watchPoP sets it up, and makes options call it. History that cannot be kept is
// told of and done without.
func watchPoP(ctx context.Context, o metricsOptions, options *popagent.Options) (*popWatch, error) {
	w := &popWatch{log: options.Log}
	var err error
	if w.listener, err = o.open(w.log); err != nil {
		return nil, err
	}
	metrics := telemetry.NewPoPCollector(w.sampler.Latest)
	w.sampler.Each = append(w.sampler.Each, metrics.Observe)
	w.server = telemetry.Server{Collectors: []prometheus.Collector{metrics}, Log: w.log, Ready: func() []telemetry.Check {
		return telemetry.PoPReady(w.sampler.Latest())
	}}
	if w.history, err = history.Open(filepath.Join(options.StateDir, "history"), history.Options{Log: w.log}); err != nil {
		w.log.Error("history is not kept", "reason", err)
	} else {
		w.keep(options)
	}
	options.Observe = w.sampler.Run
	if o.probe != "none" {
		w.askPaths(o, options)
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.running.Go(func() { w.server.Run(ctx, w.listener) })
	return w, nil
}

// keep has every sample kept, and told on the PoP's socket.
func (w *popWatch) keep(options *popagent.Options) {
	recorder := history.NewRecorder(w.history)
	recorder.All = true
	said := time.Time{}
	w.sampler.Each = append(w.sampler.Each, func(p report.PoP) {
		if err := recorder.Add(p); err != nil && time.Since(said) > time.Minute {
			said = time.Now()
			w.log.Warn("part of history is not kept", "reason", err)
		}
	})
	options.Handlers = map[string]http.Handler{"GET /history": w.history}
	w.server.Collectors = append(w.server.Collectors, telemetry.HistoryCollector{Stats: w.history.Stats})
}

// echoing is a data plane that measures the overlay.
type echoing interface {
	Echo(ctx context.Context, to string, over []string, size int, mode uint8) (time.Duration, error)
}

// askPaths has the PoPs that listeners send to asked, while the PoP runs.
func (w *popWatch) askPaths(o metricsOptions, options *popagent.Options) {
	var plane atomic.Value // of echoing
	newPlane := options.NewPlane
	options.NewPlane = func(key keys.PrivateKey, stateDir string, log *slog.Logger) (popagent.Plane, error) {
		p, err := newPlane(key, stateDir, log)
		if e, can := p.(echoing); can && err == nil {
			plane.Store(e)
		}
		return p, err
	}
	w.paths = &pathwatch.Watcher{
		History: w.history, Plain: o.probe == "both", Log: w.log,
		Echo: func(ctx context.Context, to string, over []string, size int, mode uint8) (time.Duration, error) {
			p, running := plane.Load().(echoing)
			if !running {
				return 0, errors.New("the PoP does not run yet")
			}
			return p.Echo(ctx, to, over, size, mode)
		},
	}
	w.sampler.Each = append(w.sampler.Each, w.paths.Look)
	options.Amend = w.paths.Amend
	options.Observe = func(ctx context.Context, ask func() report.PoP) {
		w.paths.Start(ctx)
		w.sampler.Run(ctx, ask)
		w.paths.Wait()
	}
	if options.Handlers == nil {
		options.Handlers = map[string]http.Handler{}
	}
	options.Handlers["GET /echo"] = w.paths
}

// close ends it, when the PoP has ended.
func (w *popWatch) close() {
	w.cancel()
	w.running.Wait()
	if w.history != nil {
		if err := w.history.Close(); err != nil {
			w.log.Warn("the end of history was not kept", "reason", err)
		}
	}
}

// runPoP runs a PoP with everything beside it, told by a controller if link is given.
func runPoP(ctx context.Context, options popagent.Options, o metricsOptions, link *popagent.LinkOptions) error {
	watch, err := watchPoP(ctx, o, &options)
	if err != nil {
		return err
	}
	defer watch.close()
	if link != nil {
		return popagent.RunLinked(ctx, options, *link)
	}
	return popagent.Run(ctx, options)
}
