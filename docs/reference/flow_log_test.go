package reference

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"causeway/internal/report"
)

// The page's example is a record, and every field of a record stands in its table.
func TestTheFlowLogIsDescribed(t *testing.T) {
	page, err := os.ReadFile("flow-log.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindSubmatch(page)
	if example == nil {
		t.Fatal("the page has no example")
	}
	var f report.Flow
	d := json.NewDecoder(bytes.NewReader(example[1]))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(f)
	if err != nil || !bytes.Equal(again, example[1]) {
		t.Errorf("the example is written as\n%s", again)
	}
	var rows string
	for _, m := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllSubmatch(page, -1) {
		rows += string(m[1]) + " "
	}
	for field := range reflect.TypeFor[report.Flow]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !strings.Contains(rows, "`"+name+"`") {
			t.Errorf("no row tells of %s", name)
		}
	}
}
