package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"causeway/internal/history"
	"causeway/internal/popagent"
	"causeway/internal/report"
	"causeway/internal/telemetry"
)

// metricsOptions is the flag of daemons that give out metrics.
type metricsOptions struct {
	listen string
	flag   *pflag.Flag
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
