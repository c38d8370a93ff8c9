package handshake

import (
	"bytes"
	"container/list"
	"slices"
	"time"

	"causeway/internal/mono"
)

// Answers given lately, so that all copies of an initiation get the same one.
const (
	answersKept    = 1024
	answerLifetime = 10 * time.Second // less than PendingLifetime, so the keys of a repeated answer are still held
)

// answer is what an initiation was answered with.
type answer struct {
	initiation []byte // without mac2, which a cookie changes
	reply      []byte
	at         mono.Time
}

// answers is a bounded memory of them, the longest unused forgotten first. Only
// listed peers' initiations get in. The zero value is empty.
type answers struct {
	byMAC map[[macLen]byte]*list.Element
	order list.List // of *answer, the latest used in front
}

// find returns the reply given to an initiation before, or nil.
func (a *answers) find(now mono.Time, initiation []byte) []byte {
	e, ok := a.byMAC[macOf(initiation)]
	if !ok {
		return nil
	}
	found := e.Value.(*answer)
	if now.Sub(found.at) >= answerLifetime {
		a.drop(e)
		return nil
	}
	if !bytes.Equal(found.initiation, initiation) {
		return nil
	}
	a.order.MoveToFront(e)
	return found.reply
}

// keep remembers a reply.
func (a *answers) keep(now mono.Time, initiation, reply []byte) {
	if a.byMAC == nil {
		a.byMAC = make(map[[macLen]byte]*list.Element)
	}
	if e, ok := a.byMAC[macOf(initiation)]; ok {
		a.drop(e)
	}
	if a.order.Len() >= answersKept {
		a.drop(a.order.Back())
	}
	a.byMAC[macOf(initiation)] = a.order.PushFront(&answer{bytes.Clone(initiation), bytes.Clone(reply), now})
}

func (a *answers) drop(e *list.Element) {
	delete(a.byMAC, macOf(a.order.Remove(e).(*answer).initiation))
}

// macOf is mac1, the last bytes of an initiation without mac2.
func macOf(initiation []byte) [macLen]byte {
	return [macLen]byte(initiation[len(initiation)-macLen:])
}

// retiredKept bounds how many former lives of a segment's other end are remembered.
const retiredKept = 64

// life is what we know for certain of a peer: the start of its process that
// last sent data, and those before it.
type life struct {
	incarnation, sequence uint64 // of the initiation whose keys were confirmed last
	order                 uint64 // of these keys among all we handed out
	retired               []uint64
}

// lives remembers one life per segment, made by a confirmation and so bounded by
// how many there are. The zero value is empty.
type lives map[Segment]*life

// stale tells whether an initiation was made before one that is confirmed
// already. Of a process's start never heard of nothing can be told.
func (l lives) stale(s Segment, h Hello) bool {
	known, ok := l[s]
	if !ok || h.Sequence == 0 {
		return false
	}
	if h.Incarnation == known.incarnation {
		return h.Sequence <= known.sequence
	}
	return slices.Contains(known.retired, h.Incarnation)
}

// confirm notes that the initiator of k is alive. Keys handed out before those
// confirmed last tell nothing new: their data was merely late.
func (l lives) confirm(k *Keys) {
	known, ok := l[k.Segment()]
	switch {
	case !ok:
		known = &life{incarnation: k.PeerHello.Incarnation}
		l[k.Segment()] = known
	case k.order <= known.order:
		return
	case k.PeerHello.Incarnation != known.incarnation:
		if len(known.retired) == retiredKept {
			known.retired = slices.Delete(known.retired, 0, 1)
		}
		known.retired = append(known.retired, known.incarnation)
		known.incarnation, known.sequence = k.PeerHello.Incarnation, 0
	}
	known.sequence, known.order = max(known.sequence, k.PeerHello.Sequence), k.order
}
