// Package runbooks holds a page for each alert, and these tests, which keep
// alerts, pages, dashboard and metrics together.
package runbooks

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"causeway/internal/strictyaml"
	"causeway/internal/telemetry"
)

const (
	rulesFile     = "../../packaging/prometheus/causeway.rules.yml"
	dashboardFile = "../../packaging/grafana/causeway.json"
)

// rules is a file of Prometheus rules, as far as ours goes.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func readRules(t *testing.T) rules {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	if err := strictyaml.Decode(rulesFile, text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) == 0 || len(r.Groups[0].Rules) < 20 {
		t.Fatal("the rules are not there")
	}
	return r
}

func TestPromtoolTakesTheRules(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: run scripts/setup.sh, or apt-get install -y prometheus")
	}
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", "../../packaging/prometheus/causeway.rules.test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestEveryAlertHasItsPageAndEveryPageItsAlert(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range readRules(t).Groups[0].Rules {
		names = append(names, r.Alert)
		page, err := os.ReadFile(r.Alert + ".md")
		if err != nil {
			t.Errorf("%s has no page: %v", r.Alert, err)
			continue
		}
		for _, needed := range []string{"# " + r.Alert + "\n", r.Expr, "Severity: " + r.Labels["severity"], "## What it means", "## Where to look", "## What to do"} {
			if !strings.Contains(string(page), needed) {
				t.Errorf("the page of %s lacks %q", r.Alert, needed)
			}
		}
		if !strings.Contains(string(index), "("+r.Alert+".md)") {
			t.Errorf("README.md does not list %s", r.Alert)
		}
		if r.Annotations["runbook"] != "docs/runbooks/"+r.Alert+".md" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has the annotations %v", r.Alert, r.Annotations)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
	}
	pages, _ := filepath.Glob("*.md")
	for _, page := range pages {
		if name := strings.TrimSuffix(page, ".md"); name != "README" && !slices.Contains(names, name) {
			t.Errorf("%s is about no alert", page)
		}
	}
}

var ourMetric = regexp.MustCompile(`\bcauseway_[a-z0-9_]+\b`)

// exists judges the names of metrics and of their labels in an expression.
func exists(t *testing.T, where, text string) {
	t.Helper()
	for _, name := range ourMetric.FindAllString(text, -1) {
		if !slices.ContainsFunc(telemetry.Catalog(), func(m telemetry.Metric) bool {
			base := name
			if m.Kind == telemetry.Histogram {
				base = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			}
			return m.Name == base
		}) {
			t.Errorf("%s speaks of %s, which no daemon gives out", where, name)
		}
	}
}

func TestRulesPagesAndDashboardSpeakOfMetricsThatThereAre(t *testing.T) {
	labels := map[string]bool{"instance": true, "job": true, "le": true}
	for _, m := range telemetry.Catalog() {
		for _, l := range m.Labels {
			labels[l] = true
		}
	}
	for _, r := range readRules(t).Groups[0].Rules {
		exists(t, r.Alert, r.Expr)
		for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["description"], -1) {
			if !labels[m[1]] {
				t.Errorf("%s speaks of a label %s, which there is not", r.Alert, m[1])
			}
		}
	}
	pages, _ := filepath.Glob("*.md")
	for _, page := range append(pages, "../how-to/monitoring.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		exists(t, page, string(text))
	}
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) < 10 {
		t.Errorf("the dashboard has %d panels", len(dashboard.Panels))
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			exists(t, "the panel "+p.Title, target.Expr)
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !labels[m[1]] {
					t.Errorf("the panel %s speaks of a label %s, which there is not", p.Title, m[1])
				}
			}
		}
	}
}
