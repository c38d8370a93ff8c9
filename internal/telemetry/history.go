package telemetry

import "github.com/prometheus/client_golang/prometheus"

// HistoryCollector gives out how the store of history is.
type HistoryCollector struct {
	// Stats returns how many series are kept, and how many files were set aside.
	Stats func() (series int, setAside uint64)
}

// Describe implements prometheus.Collector.
func (c HistoryCollector) Describe(to chan<- *prometheus.Desc) {
	to <- historySeries.desc
	to <- setAside.desc
}

// Collect implements prometheus.Collector.
func (c HistoryCollector) Collect(to chan<- prometheus.Metric) {
	series, aside := c.Stats()
	to <- prometheus.MustNewConstMetric(historySeries.desc, prometheus.GaugeValue, float64(series))
	to <- prometheus.MustNewConstMetric(setAside.desc, prometheus.CounterValue, float64(aside))
}
