package forward

import (
	"fmt"
	"os"
	"strings"
)

// The section of the page that Document renews stands between these.
const (
	docBegin = "<!-- forward:begin -->"
	docEnd   = "<!-- forward:end -->"
)

// Document renews the result's section in a Markdown file, and adds it at the end
// when it is not there.
func (r *Result) Document(file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(file, []byte(replaceSection(string(old), r.markdown())), 0o644)
}

// replaceSection puts text between the markers of page.
func replaceSection(page, text string) string {
	section := docBegin + "\n" + text + docEnd
	before, rest, ok := strings.Cut(page, docBegin)
	if ok {
		if _, after, ok := strings.Cut(rest, docEnd); ok {
			return before + section + after
		}
	}
	if page != "" && !strings.HasSuffix(page, "\n") {
		page += "\n"
	}
	if page != "" {
		page += "\n"
	}
	return page + section + "\n"
}

func (r *Result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "TODO")
	return b.String()
}
