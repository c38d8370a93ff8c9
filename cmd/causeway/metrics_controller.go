package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"causeway/internal/control/server"
	"causeway/internal/history"
	"causeway/internal/telemetry"
)

// controllerWatch is what a controller's process does beside its work: it gives
// out metrics, keeps history, and traces calls where the environment asks for it.
type controllerWatch struct {
	listener     net.Listener
	history      *history.Store
	interceptors []connect.Interceptor
	metrics      *telemetry.ControllerCollector
	facts        func() telemetry.ControllerFacts // of the server, once there is one
	stopTraces   func(context.Context) error
	log          *slog.Logger
	running      sync.WaitGroup
	cancel       context.CancelFunc
}

// historyBytes bounds a controller's history: two hundred PoPs with their
// routes and a thousand accelerators at full length.
const historyBytes = 4 << 30

// watch sets it up. History that cannot be kept is told of and done without.
func (o controllerOptions) watch(ctx context.Context, log *slog.Logger) (w *controllerWatch, err error) {
	w = &controllerWatch{log: log, cancel: func() {}}
	if w.listener, err = o.metrics.open(log); err != nil {
		return nil, err
	}
	w.metrics = telemetry.NewControllerCollector(func() telemetry.ControllerFacts { return w.facts() }, o.storeMetrics())
	w.interceptors = append(w.interceptors, w.metrics.Interceptor())
	if telemetry.TracingWanted() {
		traces, stop, err := telemetry.Tracing(ctx, "causeway-controller", build().Version)
		if err != nil {
			return nil, err
		}
		w.interceptors, w.stopTraces = append(w.interceptors, traces), stop
	}
	if w.history, err = history.Open(filepath.Join(o.dataDir, "history"), history.Options{MaxBytes: historyBytes, Log: log}); err != nil {
		log.Error("history is not kept", "reason", err)
		w.history = nil
	}
	return w, nil
}

// storeMetrics is where etcd's metrics are, when it runs in this process.
func (o controllerOptions) storeMetrics() prometheus.Gatherer {
	if len(o.endpoints) > 0 {
		return nil
	}
	return prometheus.DefaultGatherer
}

// serve answers machines about s until ctx ends, or close.
func (w *controllerWatch) serve(ctx context.Context, s *server.Server) {
	ctx, w.cancel = context.WithCancel(ctx)
	began := time.Now()
	w.facts = func() telemetry.ControllerFacts {
		f := s.Facts(ctx)
		f.Build, f.Started = build(), began
		return f
	}
	web := telemetry.Server{Collectors: []prometheus.Collector{w.metrics}, Log: w.log, Ready: func() []telemetry.Check { return s.Ready(ctx) }}
	if w.history != nil {
		web.Collectors = append(web.Collectors, telemetry.HistoryCollector{Stats: w.history.Stats})
	}
	w.running.Go(func() { web.Run(ctx, w.listener) })
}

// close ends it, when the server has ended.
func (w *controllerWatch) close() {
	w.cancel()
	w.running.Wait()
	if w.listener != nil {
		w.listener.Close()
	}
	if w.stopTraces != nil {
		ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		_ = w.stopTraces(ctx) // a collector that is gone is no reason to complain
	}
	if w.history != nil {
		if err := w.history.Close(); err != nil {
			w.log.Warn("the end of history was not kept", "reason", err)
		}
	}
}
