package docs

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the drawings of the wire format anew")

// The drawings of the wire format are those that stand in the comments of the code. Each is
// marked with its file and the words it begins with. Renew them with:
// go test ./docs -run Drawings -update
func TestDrawingsOfTheWireFormatAreTheCodes(t *testing.T) {
	page, err := os.ReadFile("wire-format.md")
	if err != nil {
		t.Fatal(err)
	}
	drawing := regexp.MustCompile("(?s)<!-- drawn in (\\S+): (.*?) -->\n```\n.*?```\n")
	n := 0
	want := drawing.ReplaceAllStringFunc(string(page), func(was string) string {
		n++
		m := drawing.FindStringSubmatch(was)
		return "<!-- drawn in " + m[1] + ": " + m[2] + " -->\n```\n" + drawn(t, m[1], m[2]) + "```\n"
	})
	if n < 8 {
		t.Errorf("only %d drawings were found: are they still marked as this test reads them?", n)
	}
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatal("the code draws something else than wire-format.md; renew it and see whether the words around still hold: go test ./docs -run Drawings -update")
	}
	if err := os.WriteFile("wire-format.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// drawn are the lines of a comment from the one that begins with those words up to an empty one.
func drawn(t *testing.T, file, begins string) string {
	text, err := os.ReadFile("../" + file)
	if err != nil {
		t.Error(err)
		return ""
	}
	var lines []string
	for _, line := range strings.Split(string(text), "\n") {
		comment, ok := strings.CutPrefix(strings.TrimLeft(line, "\t"), "//")
		if len(lines) == 0 && !(ok && strings.HasPrefix(strings.TrimSpace(comment), begins)) {
			continue
		}
		if !ok || strings.TrimSpace(comment) == "" {
			break
		}
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(strings.ReplaceAll(comment, "\t", "  "), " "), " "))
	}
	if len(lines) == 0 {
		t.Errorf("%s draws nothing that begins with %q", file, begins)
	}
	return strings.Join(lines, "\n") + "\n"
}
