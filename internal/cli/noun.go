package cli

import (
	"causeway/internal/resource"

	"github.com/spf13/cobra"
)

// noun is one kind of resource as the commands know it. Each has its own file.
type noun struct {
	kind     resource.Kind
	about    string // of the noun's help, a sentence or two
	create   string // example: what follows `causeway NOUN create`
	change   string // example: what follows `causeway NOUN update`; empty: it never changes
	filters  []string
	flags    func(*specFlags)
	columns  []column
	verbs    []func(*remote) *cobra.Command // further ones
	secrets  bool                           // it has some that can be shown
	explicit bool                           // the noun's command is made elsewhere, and only gets the verbs
}

// column is one of a table; wide ones are shown with -o wide only.
type column struct {
	heading string
	wide    bool
	cell    func(resource.Object) any
}

// col makes a column of a resource of type T.
func col[T any](heading string, cell func(*T) any) column {
	return column{heading: heading, cell: func(o resource.Object) any { return cell(any(o).(*T)) }}
}

// wideCol is col, with -o wide only.
func wideCol[T any](heading string, cell func(*T) any) column {
	c := col(heading, cell)
	c.wide = true
	return c
}

var nouns = []*noun{&regionNoun, &popNoun, &acceleratorNoun, &bandwidthPackageNoun, &ipSetNoun, &aclNoun, &listenerNoun, &egressIPNoun, &endpointGroupNoun,
	&vpnGatewayNoun, &customerGatewayNoun, &ipsecConnectionNoun, &vpnRouteNoun, &accessKeyNoun, &tokenNoun}

// stateCell is a state in its colour.
func stateCell(s resource.State) Cell {
	switch s {
	case resource.Active, resource.Connected, resource.Bound, resource.InUse, resource.Usable, resource.IPsecEstablished:
		return Cell{string(s), Good}
	case resource.Refused, resource.Blocked, resource.Away, resource.IKENotEstablished, resource.IPsecNotEstablished:
		return Cell{string(s), Bad}
	case resource.Configuring, resource.Incomplete, resource.NotEnrolled, resource.IKEEstablished:
		return Cell{string(s), Warn}
	}
	return Cell{string(s), Faint}
}
