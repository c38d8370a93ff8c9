package main

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/internal/report"
	"causeway/internal/telemetry"
	"causeway/internal/vpngw"
)

// watchGateway gives out a gateway's metrics until stop is called. The agent is
// asked over its own socket, at each scrape.
func watchGateway(ctx context.Context, o metricsOptions, gateway vpngw.Options, log *slog.Logger) (stop func(), err error) {
	listener, err := o.open(log)
	if err != nil {
		return nil, err
	}
	client := vpngw.Client{Socket: cmp.Or(gateway.Socket, filepath.Join(gateway.RunDir, "gateway.sock"))}
	latest := func() (report.Gateway, bool) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		g, err := client.Status(ctx)
		return g, err == nil
	}
	server := telemetry.Server{Collectors: []prometheus.Collector{telemetry.NewGatewayCollector(latest)}, Log: log, Ready: func() []telemetry.Check {
		return telemetry.GatewayReady(latest())
	}}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { server.Run(ctx, listener) })
	return func() { cancel(); running.Wait() }, nil
}
