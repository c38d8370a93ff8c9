// Package telemetry tells machines how a daemon is: Prometheus metrics, the
// answers to /livez and /readyz, and, where somebody asks for them, OpenTelemetry
// traces of API calls. It turns what daemons already say of themselves (package
// report) into these forms and measures nothing by itself; what the figures mean
// is said once, in the catalogue (Catalog), from which docs/reference/metrics.md
// is made.
//
// Labels have closed sets of values: names of configured things, and the words of
// our own enumerations. Addresses of clients are in none. A daemon gives out at
// most SeriesLimit series, whatever its configuration; how many were left out is
// itself a metric.
package telemetry

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Prefix begins the name of every metric of ours.
const Prefix = "causeway_"

// SeriesLimit is how many series one daemon gives out at most.
const SeriesLimit = 10_000

// Kinds of metrics.
const (
	Counter   = "counter"
	Gauge     = "gauge"
	Histogram = "histogram"
)

// Daemons that give out metrics.
const (
	PoP        = "pop"
	Controller = "controller"
	Gateway    = "gateway"
)

// Metric is one entry of the catalogue.
type Metric struct {
	Name   string   // with Prefix
	Kind   string   // Counter, Gauge or Histogram
	Help   string   // one sentence
	Labels []string // in order
	From   []string // the daemons that give it out
	desc   *prometheus.Desc
}

var catalogue []*Metric

// define enters a metric into the catalogue. It is for package variables alone.
func define(from, kind, name, help string, labels ...string) *Metric {
	m := &Metric{Name: Prefix + name, Kind: kind, Help: help, Labels: labels, From: strings.Fields(from)}
	m.desc = prometheus.NewDesc(m.Name, help, labels, nil)
	catalogue = append(catalogue, m)
	return m
}

// Catalog returns every metric there is, by name.
func Catalog() []Metric {
	out := make([]Metric, 0, len(catalogue))
	for _, m := range catalogue {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Metrics that every daemon has.
var (
	buildInfo = define("pop controller gateway", Gauge, "build_info", "Always 1; the labels say which program this is.", "version", "revision", "go")
	started   = define("pop controller gateway", Gauge, "start_timestamp_seconds", "When the process started, in seconds since 1970.")
	leftOut   = define("pop controller gateway", Gauge, "metrics_series_left_out", "Series that were not given out because there were more than 10,000.")
)
