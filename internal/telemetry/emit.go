package telemetry

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/internal/report"
)

// emitter hands values to one scrape, and stops at the limit.
type emitter struct {
	to    chan<- prometheus.Metric
	limit int
	sent  int
	over  int
	seen  map[string]bool // a series is given out once, whatever a report repeats
}

func newEmitter(to chan<- prometheus.Metric, limit int) *emitter {
	return &emitter{to: to, limit: limit - 1, seen: map[string]bool{}} // one is kept for leftOut
}

// set gives out one value.
func (e *emitter) set(m *Metric, value float64, labels ...string) {
	for i := range labels {
		labels[i] = clean(labels[i])
	}
	key := m.Name + "\xff" + strings.Join(labels, "\xff")
	if e.seen[key] {
		return
	}
	if e.sent >= e.limit {
		e.over++
		return
	}
	kind := prometheus.GaugeValue
	if m.Kind == Counter {
		kind = prometheus.CounterValue
	}
	metric, err := prometheus.NewConstMetric(m.desc, kind, value, labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(m.desc, err)
	}
	e.seen[key] = true
	e.sent++
	e.to <- metric
}

func (e *emitter) flag(m *Metric, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	e.set(m, value, labels...)
}

func (e *emitter) count(m *Metric, n uint64, labels ...string) { e.set(m, float64(n), labels...) }

// when gives out an instant; one that never was is left out.
func (e *emitter) when(m *Metric, t time.Time, labels ...string) {
	if !t.IsZero() {
		e.set(m, float64(t.UnixMilli())/1000, labels...)
	}
}

func (e *emitter) build(b report.Build) { e.set(buildInfo, 1, b.Version, b.Revision, b.Go) }

// done says how much was left out.
func (e *emitter) done() {
	e.limit++
	e.set(leftOut, float64(e.over))
}

// clean makes a label's value one that Prometheus takes, and not longer than it
// should be.
func clean(s string) string {
	const most = 128
	s = strings.ToValidUTF8(s, "�")
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// describe is Describe of every collector here: what belongs to a daemon.
func describe(daemon string, to chan<- *prometheus.Desc) {
	for _, m := range catalogue {
		for _, from := range m.From {
			if from == daemon && !m.registered() {
				to <- m.desc
			}
		}
	}
}

// registered reports whether a metric is kept by an instrument of its own, which
// describes itself.
func (m *Metric) registered() bool { return m.Kind == Histogram || m == setAside || m == historySeries }
