package report

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/fields.txt; only commit what you meant to change")

// The JSON form is an interface. A line that goes from the golden file is a
// field that someone's script no longer finds.
func TestFieldsAreStable(t *testing.T) {
	var b strings.Builder
	fields(&b, "", reflect.TypeFor[PoP](), t)
	const golden = "testdata/fields.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }
	for _, line := range lines(string(want)) {
		if !slices.Contains(lines(b.String()), line) {
			t.Errorf("gone: %s", line)
		}
	}
	for _, line := range lines(b.String()) {
		if !slices.Contains(lines(string(want)), line) {
			t.Errorf("new: %s", line)
		}
	}
	if t.Failed() {
		t.Logf("if that is meant, run the test with -update, which rewrites %s", golden)
	}
}

func fields(b *strings.Builder, prefix string, typ reflect.Type, t *testing.T) {
	snake := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !snake.MatchString(name) {
			t.Errorf("%s.%s: json name %q is not in snake_case", typ, f.Name, name)
		}
		path, inner := prefix+name, f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Slice {
			path, inner = path+"[]", inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == typ.PkgPath() {
			fields(b, path+".", inner, t)
			continue
		}
		b.WriteString(path + " " + inner.String() + "\n")
	}
}

func TestAnEmptyReportHasNoNullLists(t *testing.T) {
	p := PoP{Segments: make([]Segment, 1), Routes: []Route{{Candidates: make([]Candidate, 1)}}, Listeners: make([]Listener, 1), Egresses: make([]Egress, 1)}
	text, err := json.Marshal(p.Tidy())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "null") {
		t.Errorf("null in %s", text)
	}
	var back PoP
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("what we write we cannot read: %v", err)
	}
	if !reflect.DeepEqual(back, p.Tidy()) {
		t.Errorf("came back as %+v", back)
	}
}
