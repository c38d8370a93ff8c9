// Package problem is the one shape of "this input is wrong": where, what was
// found, what is allowed, and how to mend it. Validators return lists of them
// so that a user sees every mistake of a file at once; a validator judges and
// changes nothing.
package problem

import (
	"fmt"
	"strings"
)

// Problem is one mistake in something a user or a controller gave us.
type Problem struct {
	Path    string `json:"path,omitempty"`    // where, as a path of field names: listeners[2].ports[0]
	Found   string `json:"found,omitempty"`   // what was given, as the user wrote it; empty when something is missing
	Allowed string `json:"allowed,omitempty"` // what would have been accepted
	Fix     string `json:"fix,omitempty"`     // what to do about it; may be empty when Allowed says it all
}

// New returns a Problem at path; found is printed with %v.
func New(path string, found any, allowed string) Problem {
	return Problem{Path: path, Found: fmt.Sprint(found), Allowed: allowed}
}

// WithFix returns p with the remedy set.
func (p Problem) WithFix(format string, args ...any) Problem {
	p.Fix = fmt.Sprintf(format, args...)
	return p
}

// Under returns p with prefix put before its path.
func (p Problem) Under(prefix string) Problem {
	switch {
	case p.Path == "":
		p.Path = prefix
	case strings.HasPrefix(p.Path, "["):
		p.Path = prefix + p.Path
	default:
		p.Path = prefix + "." + p.Path
	}
	return p
}

// String is the problem on one line: path: found X, allowed Y; fix.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Path)
	b.WriteString(": ")
	if p.Found == "" {
		b.WriteString("missing")
	} else {
		fmt.Fprintf(&b, "found %q", p.Found)
	}
	if p.Allowed != "" {
		b.WriteString("; allowed: ")
		b.WriteString(p.Allowed)
	}
	if p.Fix != "" {
		b.WriteString("; ")
		b.WriteString(p.Fix)
	}
	return b.String()
}

// List is an error made of problems. A nil List is no error; use Err.
type List []Problem

// Err returns l as an error, or nil when the list is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Error is one problem a line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
