package compile

import (
	"reflect"
	"slices"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// Memo remembers one compilation, so that the next one need not judge and encode
// again what came out the same: in a large overlay a change is mostly of few
// PoPs. What it gives is what Compile gives, whatever came before. The zero Memo
// remembers nothing. It is for one caller at a time, and worlds it was given are not
// changed afterwards.
type Memo struct {
	told  []link                     // what peers are told of each PoP, in the order of names
	peers map[string][]snapshot.Peer // by PoP; what follows from told
	wired [][]bool

	judged map[string]judged // by PoP
	joined map[string]joined // by PoP
}

// joined is a list of peers that were given segments through relays, and what it was made of.
type joined struct{ base, list []snapshot.Peer }

// judged is a snapshot that does not contradict itself.
type judged struct {
	snapshot snapshot.Snapshot
	digest   string
}

// link is all of a PoP that segments depend on.
type link struct {
	name, key string
	label     uint16
	overlay   []resource.OverlayAddress
}

func (l link) equal(o link) bool {
	return l.name == o.name && l.key == o.key && l.label == o.label && slices.Equal(l.overlay, o.overlay)
}

// links are what segments between PoPs depend on.
func links(pops []*resource.PoP) []link {
	list := make([]link, len(pops))
	for i, p := range pops {
		list[i] = link{p.Name, p.PublicKey, p.Given.Label, p.Overlay}
	}
	return list
}

// digest returns the digest that s had, when it was judged before and differs in
// nothing but its version.
func (m *Memo) digest(s snapshot.Snapshot) (digest string, same bool) {
	was, known := m.judged[s.PoP.Name]
	if !known || !sameList(was.snapshot.Peers, s.Peers) {
		return "", false
	}
	s.Version, s.Peers = was.snapshot.Version, nil
	was.snapshot.Peers = nil // the long part, which is known to be the same
	return was.digest, reflect.DeepEqual(was.snapshot, s)
}

// sameList reports that two lists are one, by identity.
func sameList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
