package ipsec

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"causeway/internal/mono"
)

// arrivals are numbers first…first+n-1 with loss, duplicates and reordering, and what is
// true of them: counted from the list itself, the obvious way.
func arrivals(rng *rand.Rand, first uint32, n int, loss, dup float64, late int) (seqs []uint32, want ESPCount) {
	type at struct {
		seq  uint32
		when int
	}
	var all []at
	for i := range n {
		if i > 0 && i < n-1 && rng.Float64() < loss {
			continue
		}
		when := i
		if late > 0 && i > 0 && i < n-1 && rng.IntN(10) == 0 {
			when += rng.IntN(late)
		}
		all = append(all, at{first + uint32(i), when})
		if rng.Float64() < dup {
			all = append(all, at{first + uint32(i), when + rng.IntN(100)})
		}
	}
	slices.SortStableFunc(all, func(a, b at) int { return a.when - b.when })
	seen := map[uint32]bool{}
	top := first - 1
	for _, a := range all {
		seqs = append(seqs, a.seq)
		if seen[a.seq] {
			want.Duplicates++
			continue
		}
		seen[a.seq] = true
		want.Packets++
		if back := int32(top - a.seq); back > 0 {
			want.Reordered++
			if back >= 32 {
				want.Outside32++
			}
			if back >= 64 {
				want.Outside64++
			}
		} else {
			top = a.seq
		}
	}
	want.Lost = uint64(top-first+1) - want.Packets
	want.SPIs = 1
	return seqs, want
}

func TestNumbersShowLossDuplicatesAndReordering(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		first := uint32(1)
		if seed%3 == 1 {
			first = rng.Uint32()
		} else if seed%3 == 2 {
			first = math.MaxUint32 - 500 // the counter wraps
		}
		seqs, want := arrivals(rng, first, 3000, rng.Float64()*0.3, rng.Float64()*0.1, rng.IntN(150))
		var w Watch
		for i, seq := range seqs {
			w.NoteESP(mono.Time(i), ToClient, 0xC0DE, seq)
		}
		got := *w.ESP(ToClient)
		got.Gaps, got.LongestGap = 0, 0 // the twin does not count them
		if seed%3 == 2 {
			// Numbers just below the wrap leave the window's words at once: what comes late
			// there cannot be told from a duplicate.
			if d := int64(got.Packets) - int64(want.Packets); d < -100 || d > 100 {
				t.Errorf("seed %d: got %+v, want %+v", seed, got, want)
			}
			continue
		}
		if got != want {
			t.Errorf("seed %d:\n got %+v\nwant %+v", seed, got, want)
		}
		if other := *w.ESP(ToEndpoint); other != (ESPCount{}) {
			t.Errorf("the other direction has %+v", other)
		}
	}
}

func TestWhatIsNoSADoesNotCount(t *testing.T) {
	var w Watch
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range uint32(1000) { // a tunnel, and as many guesses of strangers
		w.NoteESP(mono.Time(i), ToEndpoint, 0x700, 100+i)
		w.NoteESP(mono.Time(i), ToEndpoint, 256+rng.Uint32(), rng.Uint32())
	}
	if c := w.ESP(ToEndpoint); c.Packets != 1000 || c.Lost != 0 || c.SPIs != 1 {
		t.Errorf("got %+v", *c)
	}
	if n := len(w.esp[ToEndpoint].flows); n > espFlows {
		t.Errorf("%d SPIs are followed", n)
	}
}

func TestOneForgedNumberDoesNotCountAsLoss(t *testing.T) {
	var w Watch
	w.NoteESP(1, ToEndpoint, 0x700, 1)
	for i := range uint32(99) {
		w.NoteESP(1, ToEndpoint, 0x700, 2+i)
		w.NoteESP(1, ToEndpoint, 0x700, 0x40000000+i*5000)
	}
	if c := w.ESP(ToEndpoint); c.Packets != 100 || c.Lost != 0 || c.Strays != 99 {
		t.Errorf("got %+v", *c)
	}
}

func TestAnOutageCountsAsLossOnceItIsOver(t *testing.T) {
	var w Watch
	for i := range uint32(100) {
		w.NoteESP(1, ToEndpoint, 0x700, 1+i)
	}
	for i := range uint32(100) {
		w.NoteESP(1, ToEndpoint, 0x700, 200_001+i)
	}
	c := w.ESP(ToEndpoint)
	if c.Packets != 100+97 || c.Lost != 200_000-100+3 || c.Strays != 3 || c.LongestGap != 200_000-100+3 {
		t.Errorf("got %+v", *c)
	}
}

func TestANewSPIIsSeenFromItsFirstPacketOn(t *testing.T) {
	var w Watch
	for i := range uint32(50) {
		w.NoteESP(mono.Time(i), ToEndpoint, 0x700, 1+i)
	}
	fresh := 0
	for i := range uint32(50) {
		if w.NoteESP(mono.Time(i), ToEndpoint, 0x800, 3+i) { // 1 and 2 were lost
			fresh++
		}
	}
	if c := w.ESP(ToEndpoint); c.SPIs != 2 || c.Lost != 2 || c.Packets != 100 || fresh != 1 {
		t.Errorf("got %+v, fresh %d times", *c, fresh)
	}
}

// talk feeds messages to a Watch; each is what one side says.
type talk struct {
	w   Watch
	now mono.Time
}

func (k *talk) say(d Direction, natt bool, m message, more int) {
	b := m.bytes()
	if natt {
		b = marked(b)
	}
	p := Peek(b, natt)
	k.now = k.now.Add(10 * time.Millisecond)
	k.w.Note(k.now, d, natt, &p, len(b)+more)
}

func sealedMessage(exchange Exchange, flags Flags, id uint32) message {
	return message{initiator: 1, responder: 2, version: 0x20, exchange: exchange, flags: flags, id: id, payloads: []part{{kind: payloadEncrypted, body: make([]byte, 48)}}}
}

func detection() []part {
	return []part{notify(NotifyNATDetectionSource, make([]byte, 20)), notify(NotifyNATDetectionDest, make([]byte, 20))}
}

func TestExchangesAreFollowed(t *testing.T) {
	var k talk
	k.say(ToEndpoint, false, initRequest(1, detection()...), 0)
	k.say(ToEndpoint, false, initRequest(1, detection()...), 0) // again
	k.say(ToClient, false, initResponse(1, 0, notify(NotifyInvalidKE, []byte{0, 19})), 0)
	k.say(ToEndpoint, false, initRequest(1, detection()...), 0) // another try, not a retransmission
	k.say(ToClient, false, initResponse(1, 2, append([]part{sa()}, detection()...)...), 0)
	k.say(ToEndpoint, true, sealedMessage(IKEAuth, FlagInitiator, 1), 0)
	k.say(ToClient, true, sealedMessage(IKEAuth, FlagResponse, 1), 0)
	k.say(ToEndpoint, true, sealedMessage(IKEAuth, FlagInitiator, 1), 0) // the answer was lost behind us
	k.say(ToClient, true, sealedMessage(CreateChildSA, 0, 0), 0)
	k.say(ToEndpoint, true, sealedMessage(CreateChildSA, FlagInitiator, 2), 0) // at the same time
	k.say(ToEndpoint, true, sealedMessage(CreateChildSA, FlagInitiator|FlagResponse, 0), 0)
	k.say(ToClient, true, sealedMessage(CreateChildSA, FlagResponse, 2), 0)
	k.say(ToEndpoint, true, sealedMessage(Informational, FlagInitiator, 3), 0)
	k.say(ToEndpoint, true, sealedMessage(Informational, FlagInitiator, 4), 0) // 3 was never answered
	c := k.w.IKE
	if c.Version != 0x20 || !c.NATT || c.NoNATD != [2]bool{} || c.IKESAs != 1 {
		t.Errorf("version %x, NAT-T %v, without detection %v, IKE SAs %d", c.Version, c.NATT, c.NoNATD, c.IKESAs)
	}
	if c.Exchanges != [ExchangeKinds]uint32{KindInit: 2, KindAuth: 1, KindCreate: 2, KindInformational: 2} {
		t.Errorf("exchanges %v", c.Exchanges)
	}
	if c.Retransmit != [2]uint32{2, 0} || c.AnswerLost != [2]uint32{1, 0} || c.Unanswered != [2]uint32{1, 0} || c.Collisions != 1 {
		t.Errorf("retransmit %v, answer lost %v, unanswered %v, collisions %d", c.Retransmit, c.AnswerLost, c.Unanswered, c.Collisions)
	}
	if c.Messages != [2][2]uint32{{3, 2}, {6, 3}} {
		t.Errorf("messages %v", c.Messages)
	}
	for i := range NotifyKinds {
		if n := c.Notifies[ToClient][i]; (NotifyName(i) == "INVALID_KE_PAYLOAD") != (n == 1) {
			t.Errorf("%d × %s", n, NotifyName(i))
		}
	}
	if c.Probes[ToEndpoint].Sent != 2 || c.Probes[ToEndpoint].Every != 10*time.Millisecond {
		t.Errorf("probes %+v", c.Probes[ToEndpoint])
	}
}

func TestPiecesOfAMessageAreOneMessage(t *testing.T) {
	var k talk
	piece := func(n byte) message {
		m := sealedMessage(IKEAuth, FlagInitiator, 1)
		m.payloads = []part{{kind: payloadEncryptedFragments, body: append([]byte{0, n, 0, 3}, make([]byte, 1200)...)}}
		return m
	}
	for range 2 {
		for n := range byte(3) {
			k.say(ToEndpoint, true, piece(n+1), 0)
		}
	}
	if c := k.w.IKE; c.Exchanges[KindAuth] != 1 || c.Retransmit[ToEndpoint] != 1 || c.LargeAgain[ToEndpoint] != 1 || c.Fragments[ToEndpoint] != 6 {
		t.Errorf("got %+v", c)
	}
}

func TestAPeerWithoutNATTraversalIsNoticed(t *testing.T) {
	var k talk
	k.say(ToEndpoint, false, initRequest(1, detection()...), 0)
	k.say(ToClient, false, initResponse(1, 2, sa()), 0)
	if c := k.w.IKE; c.NoNATD != [2]bool{ToClient: true} || c.NATT {
		t.Errorf("got %+v", c)
	}
}

func TestIKEv1IsFollowed(t *testing.T) {
	var k talk
	v1 := func(exchange Exchange, flags Flags, responder uint64, id uint32, parts ...part) message {
		return message{initiator: 1, responder: responder, version: 0x10, exchange: exchange, flags: flags, id: id, payloads: parts}
	}
	proposal := part{kind: payloadV1SA, body: make([]byte, 48)}
	k.say(ToEndpoint, false, v1(MainMode, 0, 0, 0, proposal), 0)
	k.say(ToEndpoint, false, v1(MainMode, 0, 0, 0, proposal), 0)
	k.say(ToClient, false, v1(InformationalV1, 0, 9, 77, part{payloadV1Notify, []byte{0, 0, 0, 1, 1, 0, 0, 14}}), 0)
	c := k.w.IKE
	if c.Version != 0x10 || c.Retransmit[ToEndpoint] != 1 || c.Exchanges[KindInit] != 1 {
		t.Errorf("got %+v", c)
	}
	for i := range NotifyKinds {
		if NotifyName(i) == "NO_PROPOSAL_CHOSEN" && c.Notifies[ToClient][i] != 1 {
			t.Errorf("the refusal was not counted: %+v", c.Notifies)
		}
	}
}

func TestOnlyWhatIsNewFollows(t *testing.T) {
	var k talk
	k.say(ToEndpoint, false, initRequest(1), 0)
	k.say(ToClient, false, initResponse(1, 2, sa()), 0)
	k.say(ToEndpoint, true, sealedMessage(IKEAuth, FlagInitiator, 1), 0)
	follows := func(m message) bool {
		p := Peek(marked(m.bytes()), true)
		return k.w.Follows(&p)
	}
	if follows(sealedMessage(Informational, FlagInitiator, 2)) {
		t.Error("an SA that the endpoint has sent nothing under is gone on with")
	}
	k.say(ToClient, true, sealedMessage(IKEAuth, FlagResponse, 1), 0)
	other := sealedMessage(Informational, FlagInitiator, 2)
	other.responder = 3
	for name, c := range map[string]struct {
		m    message
		want bool
	}{
		"the next request follows":           {sealedMessage(Informational, FlagInitiator, 2), true},
		"a request that was seen does not":   {sealedMessage(IKEAuth, FlagInitiator, 1), false},
		"an answer does not":                 {sealedMessage(Informational, FlagInitiator|FlagResponse, 2), false},
		"another SA's request does not":      {other, false},
		"a request far ahead does not":       {sealedMessage(Informational, FlagInitiator, 1<<20), false},
		"a first message does not":           {initRequest(1), false},
		"a first message with SPIs does not": {initResponse(1, 2, sa()), false},
	} {
		if follows(c.m) != c.want {
			t.Errorf("%s: got %v", name, !c.want)
		}
	}
	for i := range uint32(10) {
		k.w.NoteESP(k.now, ToEndpoint, 0x700, 1+i)
	}
	for seq, want := range map[uint32]bool{10: false, 3: false, 11: true, 5000: true, 11 + espFollowOn: false, 0xFFFFFFFF: false} {
		if got := k.w.Follows(&Packet{Kind: ESP, SPI: 0x700, Seq: seq}); got != want {
			t.Errorf("ESP %d: got %v", seq, got)
		}
	}
	if k.w.Follows(&Packet{Kind: ESP, SPI: 0x701, Seq: 11}) {
		t.Error("another SPI follows")
	}
}

func TestWatchIsSmall(t *testing.T) {
	if n := reflect.TypeFor[Watch]().Size(); n > 768 {
		t.Errorf("a Watch has %d bytes", n)
	}
	if n := reflect.TypeFor[espFlow]().Size(); n > 72 {
		t.Errorf("an espFlow has %d bytes", n)
	}
	t.Logf("Watch %d bytes, and %d for each SPI", reflect.TypeFor[Watch]().Size(), reflect.TypeFor[espFlow]().Size())
}

func TestWatchingAllocatesNothing(t *testing.T) {
	var w Watch
	seq := uint32(0)
	message := marked(initRequest(1, detection()...).bytes())
	round := func() {
		seq++
		w.NoteESP(mono.Time(seq), ToEndpoint, 0x700, seq)
		p := Peek(message, true)
		w.Note(mono.Time(seq), ToEndpoint, true, &p, len(message))
	}
	round()
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// FuzzWatch feeds whole conversations: what is read must stay within bounds
// whatever comes, and never count more than came.
func FuzzWatch(f *testing.F) {
	f.Add(marked(initRequest(1, detection()...).bytes()))
	f.Add(espBytes(0x700, 1, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		var w Watch
		n := uint64(0)
		for i := 0; len(b) > 2; i++ {
			size := min(int(b[0])+1, len(b)-1)
			d, natt := Direction(b[0]&1), b[0]&2 != 0
			p := Peek(b[1:1+size], natt)
			w.Note(mono.Time(i), d, natt, &p, size)
			w.Follows(&p)
			n++
			b = b[1+size:]
		}
		for d := range Direction(2) {
			c := w.ESP(d)
			if c.Packets+c.Duplicates+c.Strays > n || c.Reordered > c.Packets || c.Outside64 > c.Outside32 || c.Outside32 > c.Reordered || c.Loss() < 0 || c.Loss() > 1 {
				t.Errorf("%d packets made %+v", n, *c)
			}
		}
	})
}

func BenchmarkWatchESP(b *testing.B) {
	var w Watch
	b.ReportAllocs()
	for i := range b.N {
		w.NoteESP(mono.Time(i), ToEndpoint, 0x700, uint32(i))
	}
}
