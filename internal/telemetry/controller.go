package telemetry

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"causeway/internal/report"
)

// The control plane.
var (
	apiRequests   = define("controller", Histogram, "api_request_duration_seconds", "Time that API calls took; action is the method, code the outcome as Connect names it.", "action", "code")
	apiThrottled  = define("controller", Counter, "api_throttled_total", "API requests that were refused as there were too many: of a caller (rate), or of an address that had failed to sign in too often (sign-in).", "reason")
	pops          = define("controller", Gauge, "controller_pops", "PoPs by state: connected, away, not-enrolled, refused and so on.", "state")
	gateways      = define("controller", Gauge, "controller_connections", "Connections of agents to this controller.")
	storeLeader   = define("controller", Gauge, "store_has_leader", "1 while the store's member here knows a leader.")
	storeBytes    = define("controller", Gauge, "store_db_bytes", "Size of the store's database.")
	storeCommit   = define("controller", Histogram, "store_commit_duration_seconds", "Time that the store's commits to disk took.")
	storeRevision = define("controller", Gauge, "config_revision_compiled", "Revision of the store that was compiled last.")
	certExpiry    = define("controller", Gauge, "cert_expiry_timestamp_seconds", "When the authority's certificate ends, in seconds since 1970.")
	setAside      = define("pop controller", Counter, "history_files_set_aside_total", "Files of history that could not be read and were set aside.")
	historySeries = define("pop controller", Gauge, "history_series", "Series whose history is kept.")
)

// ControllerFacts is what a controller says of itself at a scrape.
type ControllerFacts struct {
	Build       report.Build
	Started     time.Time
	PoPs        map[string]int    // by state
	Connections int               // of agents
	Revision    int64             // compiled last
	Authority   time.Time         // when its certificate ends
	Throttled   map[string]uint64 // requests refused as there were too many, by reason
}

// ControllerCollector gives out what a controller says of itself, and how long
// API calls took.
type ControllerCollector struct {
	facts    func() ControllerFacts
	store    prometheus.Gatherer // etcd's own metrics; nil where the store is elsewhere
	requests *prometheus.HistogramVec
}

// NewControllerCollector returns a collector. Store is where an etcd in this
// process registers its metrics, prometheus.DefaultGatherer; nil: there is none.
func NewControllerCollector(facts func() ControllerFacts, store prometheus.Gatherer) *ControllerCollector {
	return &ControllerCollector{facts: facts, store: store, requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: apiRequests.Name, Help: apiRequests.Help, Buckets: []float64{.001, .005, .02, .1, .5, 2, 10},
	}, apiRequests.Labels)}
}

// Describe implements prometheus.Collector.
func (c *ControllerCollector) Describe(to chan<- *prometheus.Desc) {
	describe(Controller, to)
	to <- storeCommit.desc
	c.requests.Describe(to)
}

// Collect implements prometheus.Collector.
func (c *ControllerCollector) Collect(to chan<- prometheus.Metric) {
	c.requests.Collect(to)
	e := newEmitter(to, SeriesLimit/2) // the other half is for requests: methods times codes
	defer e.done()
	f := c.facts()
	e.build(f.Build)
	e.when(started, f.Started)
	for state, n := range f.PoPs {
		e.set(pops, float64(n), state)
	}
	e.set(gateways, float64(f.Connections))
	for reason, n := range f.Throttled {
		e.set(apiThrottled, float64(n), reason)
	}
	e.set(storeRevision, float64(f.Revision))
	e.when(certExpiry, f.Authority)
	if c.store != nil {
		e.etcd(c.store)
	}
}

// etcd gives out the three of etcd's own metrics that tell whether it is well.
func (e *emitter) etcd(from prometheus.Gatherer) {
	families, _ := from.Gather() // what could be gathered
	for _, f := range families {
		if len(f.GetMetric()) == 0 {
			continue
		}
		m := f.GetMetric()[0]
		switch f.GetName() {
		case "etcd_server_has_leader":
			e.set(storeLeader, m.GetGauge().GetValue())
		case "etcd_mvcc_db_total_size_in_bytes":
			e.set(storeBytes, m.GetGauge().GetValue())
		case "etcd_disk_backend_commit_duration_seconds":
			e.histogram(storeCommit, m.GetHistogram())
		}
	}
}

func (e *emitter) histogram(m *Metric, h *dto.Histogram) {
	buckets := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		buckets[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	if metric, err := prometheus.NewConstHistogram(m.desc, h.GetSampleCount(), h.GetSampleSum(), buckets); err == nil {
		e.to <- metric
	}
}

// Interceptor times API calls. Methods are those that exist, so there are as many
// series as methods and codes.
func (c *ControllerCollector) Interceptor() connect.Interceptor { return timing{c.requests} }

type timing struct{ requests *prometheus.HistogramVec }

func (t timing) note(procedure string, began time.Time, err error) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	t.requests.WithLabelValues(procedure[strings.LastIndexByte(procedure, '/')+1:], code).Observe(time.Since(began).Seconds())
}

// WrapUnary implements connect.Interceptor.
func (t timing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		answer, err := next(ctx, r)
		t.note(r.Spec().Procedure, began, err)
		return answer, err
	}
}

// WrapStreamingHandler implements connect.Interceptor. A stream's time is its life.
func (t timing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, c connect.StreamingHandlerConn) error {
		began := time.Now()
		err := next(ctx, c)
		t.note(c.Spec().Procedure, began, err)
		return err
	}
}

// WrapStreamingClient is for clients, which this is not for.
func (t timing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}
