package strictyaml

import (
	"errors"
	"reflect"
	"testing"

	"causeway/internal/problem"
)

// FuzzDecode: any bytes are either read or refused with an *Error whose places
// exist; reading is repeatable; a refusal leaves the value alone.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"name: x\nports: [500, 4500]\n", `{"name": "x", "inner": {"kind": "a"}}`,
		"list:\n  - kind: a\n    next: &n {kind: b}\n  - *n\n", "any: {a: [1, 2.5, null]}", "name: |\n  a\n b\n",
		"? a\n: b\n", "a: b: c", "- - -", "&a *a", "!!map {}", "%YAML 1.2\n---\n", "\t", "'", "\"\\u12", "<<: {}",
	} {
		f.Add([]byte(seed), "list[0].kind")
	}
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		var first, second sample
		err := Decode("f", data, &first)
		again := Decode("f", data, &second)
		if (err == nil) != (again == nil) || err == nil && !reflect.DeepEqual(first, second) {
			t.Fatalf("two readings differ: %+v, %v and %+v, %v", first, err, second, again)
		}
		if err != nil {
			check(t, err)
			if !reflect.DeepEqual(first, sample{}) {
				t.Fatalf("refused, but the value is %+v", first)
			}
		}
		check(t, Locate("f", data, problem.List{problem.New(path, "x", "y")}))
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	var refused *Error
	if !errors.As(err, &refused) || len(refused.Problems) == 0 || refused.Error() == "" {
		t.Fatalf("not a proper refusal: %#v", err)
	}
}
