package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must be well for a daemon to do its work.
type Check struct {
	Name   string // in snake_case
	Reason string // what is wrong; empty: nothing
	Fix    string // what to do about it
}

// Server answers machines over HTTP:
//
//	GET /metrics           Prometheus metrics
//	GET /livez             200 while the process answers
//	GET /readyz            200 while every check is well, otherwise 503
//	GET /readyz?verbose    and each check with its reason and fix
//
// It knows nobody and hides nothing: it belongs on loopback, or in a network of
// its own.
type Server struct {
	Ready      func() []Check // asked at each request
	Collectors []prometheus.Collector
	Log        *slog.Logger
}

// Listen opens the address; an empty one is no server, and a nil listener.
func Listen(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics on %s: %w", address, err)
	}
	return l, nil
}

// Run answers on l until ctx ends. With no listener it returns at once.
func (s *Server) Run(ctx context.Context, l net.Listener) {
	if l == nil {
		return
	}
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	s.Log.Info("metrics are served", "address", l.Addr())
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	_ = server.Serve(l)
}

// Handler is what Run serves.
func (s *Server) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.Collectors...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 20 * time.Second,
	}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { Readyz(w, r, s.Ready()) })
	return mux
}

// Readyz answers a request for /readyz.
func Readyz(w http.ResponseWriter, r *http.Request, checks []Check) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	ready := true
	for _, c := range checks {
		ready = ready && c.Reason == ""
	}
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if r.URL.Query().Has("verbose") {
		for _, c := range checks {
			if c.Reason == "" {
				fmt.Fprintf(w, "[+] %s ok\n", c.Name)
			} else {
				fmt.Fprintf(w, "[-] %s failed: %s\n    fix: %s\n", c.Name, c.Reason, c.Fix)
			}
		}
	}
	if ready {
		_, _ = io.WriteString(w, "ready\n")
	} else {
		_, _ = io.WriteString(w, "not ready\n")
	}
}
