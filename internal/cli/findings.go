package cli

import (
	"fmt"
	"io"
	"strings"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// warn says what a resource's parameters alone make one think of. It goes to
// standard error, so that output for programs stays what it is.
func warn(w io.Writer, o resource.Object) {
	c, ok := o.(*resource.IPsecConnection)
	if !ok {
		return
	}
	for _, f := range c.Status.Findings {
		if f.At.IsZero() && f.Severity != vpn.Normal {
			fmt.Fprintln(w, "warning: "+finding(f))
		}
	}
}

// finding is one conclusion in a line.
func finding(f vpn.Finding) string {
	var b strings.Builder
	b.WriteString(string(f.Code))
	switch {
	case f.Field != "":
		fmt.Fprintf(&b, " (%s)", f.Field)
	case f.Tunnel != "":
		fmt.Fprintf(&b, " (tunnel %s)", f.Tunnel)
	}
	fmt.Fprintf(&b, ": %s", strings.TrimSuffix(f.Text, "."))
	if f.Fix != "" {
		fmt.Fprintf(&b, "; %s", f.Fix)
	}
	return b.String()
}
