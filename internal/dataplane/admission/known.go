package admission

import "net/netip"

// Known is the addresses whose clients have finished a negotiation of late: the
// newest knownMost of them. The zero Known is empty.
type Known struct {
	in    map[netip.Addr]struct{}
	order []netip.Addr // as they came; a ring once it is full
	next  int
}

// Good notes that a source has finished a negotiation: ESP of the endpoint goes
// to it, so they hold keys. It is no stranger any more.
func (k *Known) Good(source netip.Addr) {
	if k.in == nil {
		k.in = map[netip.Addr]struct{}{}
	}
	if _, have := k.in[source]; have {
		return
	}
	if len(k.order) < knownMost {
		k.order = append(k.order, source)
	} else {
		delete(k.in, k.order[k.next])
		k.order[k.next] = source
		k.next = (k.next + 1) % knownMost
	}
	k.in[source] = struct{}{}
}

// Has reports whether a source is known.
func (k *Known) Has(source netip.Addr) bool {
	_, ok := k.in[source]
	return ok
}

// Len is how many there are.
func (k *Known) Len() int { return len(k.in) }
