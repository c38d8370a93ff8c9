package reference

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"causeway/internal/telemetry"
)

// metrics.md is made from the catalogue.
func TestTheMetricsPageIsTheCatalogue(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`# Metrics

Made from the code by ` + "`go test ./docs/reference -run Metrics -update`" + `. [Monitoring](../how-to/monitoring.md) says how to get them.

Names keep their meaning; new ones may appear. Labels have closed sets of values, and no address of a client is in any. A daemon gives out at
most 10,000 series; ` + "`causeway_metrics_series_left_out`" + ` says when there were more. Counters begin at zero with the process.

| metric | type | labels | from | meaning |
|---|---|---|---|---|
`)
	for _, m := range telemetry.Catalog() {
		labels := "–"
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "` `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, labels, strings.Join(m.From, ", "), m.Help)
	}
	if *update {
		if err := os.WriteFile("metrics.md", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("metrics.md")
	if err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("metrics.md is not what the code says (%v); run: go test ./docs/reference -run Metrics -update", err)
	}
}
