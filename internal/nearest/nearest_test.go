package nearest

import (
	"strings"
	"testing"
)

func TestAMistypedWordIsGuessed(t *testing.T) {
	names := []string{"name", "listeners", "endpoint_groups", "pop", "aes128gcm16", "fortigate"}
	for given, want := range map[string]string{
		"nmae": "name", "listener": "listeners", "endpointGroups": "endpoint_groups", "End-Point-Groups": "endpoint_groups",
		"pops": "pop", "AES-128-GCM-16": "aes128gcm16", "fortgate": "fortigate", "forti": "", "colour": "", "xyz": "", "": "",
	} {
		if got := Of(given, names); got != want {
			t.Errorf("Of(%q) = %q, want %q", given, got, want)
		}
	}
	if got := Of("pot", []string{"pop", "poi"}); got != "pop" {
		t.Errorf("of two that are equally near, %q", got)
	}
	if got := Of(strings.Repeat("x", 1<<20), names); got != "" {
		t.Errorf("a word of a megabyte is near to %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"same", "same", 0}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "acbd", 1}, {"abc", "", 3},
	} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
