package cli

import (
	"fmt"
	"io"
	"strings"

	"causeway/internal/apiform"
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

// warn says what the IPsec connections of a file make one think of, as far as
// the file has what they refer to.
func (f file) warn(w io.Writer) {
	var around resource.Around
	for _, o := range f.objects {
		filled := apiform.New(o.Kind())
		if apiform.Decode(apiform.Encode(o.Object), filled) != nil {
			continue
		}
		filled.FillDefaults()
		switch o := filled.(type) {
		case *resource.VPNGateway:
			around.VPNGateways = append(around.VPNGateways, *o)
		case *resource.CustomerGateway:
			around.CustomerGateways = append(around.CustomerGateways, *o)
		case *resource.IPSet:
			around.IPSets = append(around.IPSets, *o)
		case *resource.Listener:
			around.Listeners = append(around.Listeners, *o)
		case *resource.EndpointGroup:
			around.EndpointGroups = append(around.EndpointGroups, *o)
		}
	}
	for _, o := range f.objects {
		c, ok := o.Object.(*resource.IPsecConnection)
		if !ok {
			continue
		}
		for _, one := range around.Lint(c) {
			if one.Severity != vpn.Normal {
				one.Field = strings.TrimSuffix(o.path+"."+one.Field, ".")
				fmt.Fprintln(w, "warning: "+finding(one))
			}
		}
	}
}
