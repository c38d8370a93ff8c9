// Package reference holds the reference pages, and these tests, which keep them
// complete and their examples true.
package reference

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("snapshot.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheExampleSnapshotRuns(t *testing.T) {
	_, example, ok := strings.Cut(page(t), "```yaml\n")
	if !ok {
		t.Fatal("the page has no example")
	}
	example, _, _ = strings.Cut(example, "```")
	var s snapshot.Snapshot
	if err := strictyaml.Decode("snapshot.md", []byte(example), &s); err != nil {
		t.Fatal(err)
	}
	if err := strictyaml.Locate("snapshot.md", []byte(example), s.Consistent()); err != nil {
		t.Error(err)
	}
}

// Every field of the code stands in the table of its section, and every row of a
// table is a field.
func TestEveryFieldHasItsRow(t *testing.T) {
	sections := map[string]reflect.Type{
		"The file": reflect.TypeFor[snapshot.Snapshot](), "pop": reflect.TypeFor[snapshot.PoP](), "peers": reflect.TypeFor[snapshot.Peer](),
		"routes": reflect.TypeFor[snapshot.Route](), "listeners": reflect.TypeFor[snapshot.Listener](),
		"endpoint_groups": reflect.TypeFor[snapshot.EndpointGroup](), "limits": reflect.TypeFor[snapshot.Limits](),
		"health": reflect.TypeFor[snapshot.HealthCheck](), "allowances": reflect.TypeFor[snapshot.Allowance](),
	}
	for title, typ := range sections {
		want := map[string]bool{}
		fields(typ, "", title != "The file", want)
		for _, row := range rows(t, title) {
			if !want[row] {
				t.Errorf("%q has a row for %s, which is no field", title, row)
			}
			delete(want, row)
		}
		for field := range want {
			t.Errorf("%q has no row for %s", title, field)
		}
	}
}

// fields collects the names of typ's fields, those of the structs inside too
// when deep.
func fields(typ reflect.Type, prefix string, deep bool, into map[string]bool) {
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		name = prefix + name
		inner, mark := f.Type, ""
		if inner.Kind() == reflect.Slice {
			inner, mark = inner.Elem(), "[]"
		}
		isStruct := inner.Kind() == reflect.Struct && inner.PkgPath() == typ.PkgPath() && inner != reflect.TypeFor[time.Time]()
		// A struct that has no meaning beside that of its fields needs no row.
		if !isStruct || !deep || mark != "" || name == "egress_ip" {
			into[name] = true
		}
		if isStruct && deep {
			fields(inner, name+mark+".", deep, into)
		}
	}
}

func rows(t *testing.T, title string) []string {
	t.Helper()
	section := regexp.MustCompile(`(?ms)^##+ ` + regexp.QuoteMeta(title) + `\n(.*?)(^## |^### |\z)`).FindStringSubmatch(page(t))
	if section == nil {
		t.Fatalf("there is no section %q", title)
	}
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section[1], -1) {
		names = append(names, m[1])
	}
	return names
}

// The bounds and defaults in the page are those of the code.
func TestTheFiguresAreTheCodes(t *testing.T) {
	filled := snapshot.WithDefaults(snapshot.Snapshot{
		Peers: []snapshot.Peer{{}}, Listeners: []snapshot.Listener{{}}, PoP: snapshot.PoP{Overlay: []snapshot.Overlay{{}}},
	})
	if filled.PoP.Overlay[0].MTU != 1500 || filled.Peers[0].Repair.Cap != 3 || filled.Listeners[0].IdleTimeout != 300*time.Second ||
		filled.Listeners[0].Repair != "balanced" || filled.Listeners[0].Order != "ordered" || filled.Listeners[0].ReplayWindow != 32 ||
		filled.Limits != (snapshot.Limits{Sessions: 200_000, Unconfirmed: 4_096, SessionsPerPrefix: 1_024, HandshakesPerSec: 50}) ||
		snapshot.DefaultWeight != 128 || snapshot.MaxWires != 16 || snapshot.MaxCandidates != 16 || snapshot.MaxRelays != 2 ||
		snapshot.MinMTU != 1280 || snapshot.MaxMTU != 9000 || snapshot.MinCap != 1 || snapshot.MaxCap != 8 ||
		snapshot.MinBudget != 5*time.Millisecond || snapshot.MaxBudget != 2*time.Second || snapshot.MaxSessions != 4_000_000 ||
		snapshot.MaxFailover != 9 || snapshot.MaxAllowances != 8 || snapshot.MinRate != 8_000 || snapshot.MaxRate != 1e12 || snapshot.MinBurst != 2_048 || snapshot.MaxBurst != 1<<30 ||
		snapshot.MinInterval != time.Second || snapshot.MaxInterval != 5*time.Minute || snapshot.MinIKEInterval != 5*time.Second ||
		snapshot.MinProbeTimeout != 100*time.Millisecond || snapshot.MaxProbeTimeout != time.Minute || snapshot.MinThreshold != 1 || snapshot.MaxThreshold != 10 ||
		snapshot.DefaultTrafficPercentage != 100 ||
		(snapshot.HealthCheck{Probe: snapshot.ProbeICMP}).WithDefaults() != (snapshot.HealthCheck{Probe: snapshot.ProbeICMP, Interval: 2 * time.Second, Timeout: 2 * time.Second, Up: 3, Down: 3}) ||
		(snapshot.HealthCheck{Probe: snapshot.ProbeIKE}).WithDefaults() != (snapshot.HealthCheck{Probe: snapshot.ProbeIKE, Port: 500, Interval: 5 * time.Second, Timeout: 3 * time.Second, Up: 3, Down: 3}) ||
		snapshot.MinUnconfirmed != 16 || snapshot.MaxUnconfirmed != 1_000_000 || snapshot.MaxHandshakesPerSec != 100_000 || snapshot.MaxReplayWindow != 65536 {
		t.Error("a figure of the code has changed: correct snapshot.md, then this test")
	}
}
