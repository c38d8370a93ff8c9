package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/keys"
	"causeway/internal/mono"
)

const start = mono.Time(time.Hour)

var (
	addressA = netip.MustParseAddrPort("192.0.2.1:4711")
	addressB = netip.MustParseAddrPort("[2001:db8::1]:4711")
	helloA   = Hello{VersionMin: 1, VersionMax: 1, Capabilities: 0b0110, Label: 7, Incarnation: 0xa1, Sequence: 5}
	helloB   = Hello{VersionMin: 1, VersionMax: 1, Capabilities: 0b0011, Label: 8, Incarnation: 0xb1}
)

// seeded is a source of random bytes that a test can repeat.
func seeded(seed uint64) io.Reader {
	return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
}

// pair is an initiator's key and a Responder that lists it.
type pair struct {
	rng       io.Reader
	a, b      keys.PrivateKey
	responder *Responder
	index     uint32
}

func newPair(t testing.TB, seed uint64, hello Hello) *pair {
	t.Helper()
	p := &pair{rng: seeded(seed), index: 1000}
	var err1, err2 error
	p.a, err1 = keys.GenerateFrom(p.rng)
	p.b, err2 = keys.GenerateFrom(p.rng)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p.responder = NewResponder(p.b, hello, func(s Segment) bool { return s.Peer == p.a.Public() && (s.Through == 0 || s.Through == relay) },
		func() uint32 { p.index++; return p.index }, p.rng)
	return p
}

func (p *pair) initiate(t testing.TB, hello Hello) *Initiation {
	t.Helper()
	i, err := Initiate(p.a, p.b.Public(), hello, 77, p.rng)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// relay is one that a and b have a segment through.
const relay = 0x1234

func TestAnInitiationSaysWhichSegmentItIsFor(t *testing.T) {
	p := newPair(t, 1, helloB)
	respond := func(through uint16, spoil func([]byte)) (*Initiation, []byte, *Keys, Reason) {
		h := helloA
		h.Through = through
		i := p.initiate(t, h)
		msg := bytes.Clone(i.Message())
		spoil(msg)
		reply, k, reason := p.responder.Respond(start, addressA, msg)
		return i, bytes.Clone(reply), k, reason
	}
	as := func(msg []byte, through uint16) { // by whoever knows the public key
		binary.BigEndian.PutUint16(msg[2:], through)
		body := len(msg) - 2*macLen
		copy(msg[body:], newMAC1(p.b.Public()).of(msg[:body]))
	}
	nothing := func([]byte) {}
	for _, through := range []uint16{0, relay} {
		i, reply, k, reason := respond(through, nothing)
		if reason != OK || k.Segment() != (Segment{p.a.Public(), through}) {
			t.Fatalf("through %#x: %v, keys for %+v", through, reason, k)
		}
		if binary.BigEndian.Uint16(i.Message()[2:]) != through || reply[2]|reply[3] != 0 {
			t.Errorf("through %#x: headers % x and % x", through, i.Message()[:8], reply[:8])
		}
		if ka, err := i.Finish(reply); err != nil || ka.Segment() != (Segment{p.b.Public(), through}) || ka.Send != k.Receive {
			t.Errorf("through %#x: %v, keys for %+v", through, err, ka.Segment())
		}
	}
	if _, reply, _, reason := respond(relay+1, nothing); reason != UnknownPeer || len(reply) > 0 {
		t.Errorf("through a relay that b does not know: %v", reason)
	}
	for _, c := range [][2]uint16{{relay, 0}, {0, relay}} {
		if _, reply, _, reason := respond(c[0], func(msg []byte) { as(msg, c[1]) }); reason != Forged || len(reply) > 0 {
			t.Errorf("through %#x, taken for %#x on the way: %v", c[0], c[1], reason)
		}
	}
	// What is recorded of one segment says nothing of another.
	h := helloA
	h.Incarnation, h.Sequence = 9, 100
	_, k, _ := p.responder.Respond(start, addressA, p.initiate(t, h).Message())
	p.responder.Confirm(k)
	h.Through, h.Sequence = relay, 50
	if _, _, reason := p.responder.Respond(start, addressA, p.initiate(t, h).Message()); reason != OK {
		t.Errorf("older than what the other segment has confirmed: %v", reason)
	}
}

// TestOlderBuildsAreSilentAboutRelays has what builds before segments through relays
// check of an initiation: its bytes 2 and 3 are zero, or it is dropped.
func TestOlderBuildsAreSilentAboutRelays(t *testing.T) {
	p := newPair(t, 1, helloB)
	takes := func(msg []byte) bool { return msg[0] == TypeInitiation && msg[2]|msg[3] == 0 }
	for through, want := range map[uint16]bool{0: true, 1: false, 0x100: false, relay: false, 0xffff: false} {
		h := helloA
		h.Through = through
		if got := takes(p.initiate(t, h).Message()); got != want {
			t.Errorf("through %#x: an older build takes it: %v", through, got)
		}
	}
}

func TestBothSidesHaveTheSameKeys(t *testing.T) {
	p := newPair(t, 1, helloB)
	i := p.initiate(t, helloA)
	reply, kb, reason := p.responder.Respond(start, addressA, i.Message())
	if reason != OK || kb == nil {
		t.Fatalf("reason %v, want ok", reason)
	}
	if index, ok := PeekIndex(reply); !ok || index != i.Index() {
		t.Errorf("the response is for index %d, want %d", index, i.Index())
	}
	if len(reply) >= len(i.Message()) {
		t.Errorf("response of %d bytes to %d", len(reply), len(i.Message()))
	}
	ka, err := i.Finish(reply)
	if err != nil {
		t.Fatal(err)
	}
	wantB := helloB
	want := Keys{Send: kb.Receive, Receive: kb.Send, Peer: p.b.Public(), PeerHello: wantB,
		Version: 1, Capabilities: 0b0010, LocalIndex: 77, PeerIndex: 1001}
	if ka != want {
		t.Errorf("initiator has %+v, want %+v", ka, want)
	}
	want = Keys{Send: ka.Receive, Receive: ka.Send, Peer: p.a.Public(), PeerHello: helloA,
		Version: 1, Capabilities: 0b0010, LocalIndex: 1001, PeerIndex: 77, order: 1}
	if *kb != want {
		t.Errorf("responder has %+v, want %+v", *kb, want)
	}
	if ka.Send == ka.Receive || ka.Send == (keys.Secret{}) || ka.Receive == (keys.Secret{}) {
		t.Error("the keys are not two different ones")
	}
	if _, err := i.Finish(reply); !errors.Is(err, ErrFinished) {
		t.Errorf("second Finish: %v", err)
	}
}

// The bytes on the wire, and the keys, are what the Noise specification says,
// judged by a second implementation.
func TestMessagesAreNoiseIK(t *testing.T) {
	for seed := range uint64(20) {
		p := newPair(t, seed, helloB)
		ephemeralA, ephemeralB := make([]byte, 32), make([]byte, 32)
		_, _ = seeded(1000 + seed).Read(ephemeralA)
		_, _ = seeded(2000 + seed).Read(ephemeralB)
		i, err := Initiate(p.a, p.b.Public(), helloA, 77, bytes.NewReader(ephemeralA))
		if err != nil {
			t.Fatal(err)
		}
		p.responder.rng = bytes.NewReader(ephemeralB)
		reply, k, reason := p.responder.Respond(start, addressA, i.Message())
		if reason != OK {
			t.Fatal(reason)
		}
		public := p.b.Public()
		header := []byte{1, 0, 0, 0, 0, 0, 0, 77}
		plain := newPlainIK(t, append([]byte("Causeway segment handshake"), header...), public[:])
		msg1, msg2, k1, k2 := plain.run(p.a[:], p.b[:], ephemeralA, ephemeralB,
			[]byte{1, 2, 1, 1, 2, 4, 0, 0, 0, 6, 3, 2, 0, 7, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0xa1, 5, 8, 0, 0, 0, 0, 0, 0, 0, 5},
			[]byte{1, 2, 1, 1, 2, 4, 0, 0, 0, 3, 3, 2, 0, 8, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0xb1, 6, 4, 0, 0, 0x03, 0xe9})
		if got := i.Message()[:len(i.Message())-32]; !bytes.Equal(got, append(header, msg1...)) {
			t.Errorf("initiation %x, want %x", got, append(header, msg1...))
		}
		if got := reply[:len(reply)-16]; !bytes.Equal(got, append([]byte{2, 0, 0, 0, 0, 0, 0, 77}, msg2...)) {
			t.Errorf("response %x, want %x", got, msg2)
		}
		if !bytes.Equal(k.Receive[:], k1) || !bytes.Equal(k.Send[:], k2) {
			t.Error("the keys are others than the plain implementation's")
		}
	}
}

func TestCopiesOfAnInitiationGetTheSameAnswer(t *testing.T) {
	p := newPair(t, 2, helloB)
	i := p.initiate(t, helloA)
	first, _, _ := p.responder.Respond(start, addressA, i.Message())
	first = bytes.Clone(first)
	for n, from := range []netip.AddrPort{addressA, addressB, addressA} {
		reply, k, reason := p.responder.Respond(start.Add(time.Duration(n)*time.Second), from, i.Message())
		if reason != Repeated || k != nil || !bytes.Equal(reply, first) {
			t.Errorf("copy %d: %v, keys %v, same answer %v; want the first answer again", n, reason, k != nil, bytes.Equal(reply, first))
		}
	}
	// Later the keys may be forgotten at our side, so a copy makes new ones.
	reply, k, reason := p.responder.Respond(start.Add(answerLifetime), addressA, i.Message())
	if reason != OK || k == nil || bytes.Equal(reply, first) {
		t.Errorf("a late copy: %v, want new keys", reason)
	}
	if _, err := i.Finish(reply); err != nil {
		t.Errorf("the newer answer: %v", err)
	}
}

func TestAnswersKeptAreBounded(t *testing.T) {
	var kept answers
	message := func(n int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n)) }
	for n := range 3 * answersKept {
		kept.keep(start, message(n), []byte{byte(n)})
		kept.keep(start, message(n), []byte{byte(n)}) // the same again takes no place
		if kept.find(start, message(0)) == nil {      // in use, so it stays
			t.Fatalf("the answer in use was forgotten after %d", n)
		}
	}
	if len(kept.byMAC) != answersKept || kept.order.Len() != answersKept {
		t.Errorf("%d and %d kept, want %d", len(kept.byMAC), kept.order.Len(), answersKept)
	}
	if kept.find(start, message(1)) != nil || kept.find(start, message(3*answersKept-1)) == nil {
		t.Error("not the longest unused were forgotten")
	}
}

func TestEveryDamagedInitiationIsRefused(t *testing.T) {
	p := newPair(t, 3, helloB)
	msg := p.initiate(t, helloA).Message()
	for bit := range (len(msg) - macLen) * 8 { // mac2 is not looked at without load
		bad := bytes.Clone(msg)
		bad[bit/8] ^= 1 << (bit % 8)
		if reply, k, reason := p.responder.Respond(start, addressA, bad); reply != nil || k != nil || reason != Malformed && reason != WrongMAC {
			t.Fatalf("bit %d: %v", bit, reason)
		}
		// A stranger who knows our key can make mac1 right, and no more.
		body := len(bad) - 2*macLen
		copy(bad[body:], newMAC1(p.b.Public()).of(bad[:body]))
		if bytes.Equal(bad, msg) { // the bit was mac1's own
			continue
		}
		p.responder.admission = admission{}
		if reply, k, reason := p.responder.Respond(start, addressA, bad); reply != nil || k != nil || reason != Malformed && reason != Forged {
			t.Fatalf("bit %d with a right mac1: %v", bit, reason)
		}
	}
	for n := range len(msg) {
		for _, bad := range [][]byte{msg[:n], append(bytes.Clone(msg), make([]byte, n+1)...)} {
			if reply, k, reason := p.responder.Respond(start, addressA, bad); reply != nil || k != nil || reason != Malformed && reason != WrongMAC {
				t.Fatalf("%d bytes: %v", len(bad), reason)
			}
		}
	}
	if _, _, reason := p.responder.Respond(start, addressA, msg); reason != OK {
		t.Errorf("the true one afterwards: %v", reason)
	}
}

func TestEveryDamagedResponseIsRefusedAndHarmless(t *testing.T) {
	p := newPair(t, 4, helloB)
	i := p.initiate(t, helloA)
	msg := bytes.Clone(i.Message())
	reply, kb, _ := p.responder.Respond(start, addressA, msg)
	refused := func(bad []byte) {
		t.Helper()
		if _, err := i.Finish(bad); !errors.Is(err, ErrForged) && !errors.Is(err, ErrNotForUs) {
			t.Fatalf("Finish: %v", err)
		}
	}
	for bit := range len(reply) * 8 {
		bad := bytes.Clone(reply)
		bad[bit/8] ^= 1 << (bit % 8)
		refused(bad)
		if bit%8 == 0 && bit/8 >= headerLen && bit/8 < len(bad)-macLen { // with a right mac1, down to Noise
			copy(bad[len(bad)-macLen:], newMAC1(p.a.Public()).of(bad[:len(bad)-macLen]))
			refused(bad)
		}
	}
	for n := range len(reply) {
		refused(reply[:n])
		refused(append(bytes.Clone(reply), make([]byte, n+1)...))
	}
	lowOrder := bytes.Clone(reply) // a point that makes every secret zero
	clear(lowOrder[headerLen : headerLen+32])
	copy(lowOrder[len(lowOrder)-macLen:], newMAC1(p.a.Public()).of(lowOrder[:len(lowOrder)-macLen]))
	refused(lowOrder)
	if !bytes.Equal(i.Message(), msg) {
		t.Error("a wrong response changed the initiation")
	}
	ka, err := i.Finish(reply)
	if err != nil || ka.Send != kb.Receive {
		t.Errorf("the true one afterwards: %v", err)
	}
}

func TestStrangersGetSilence(t *testing.T) {
	p := newPair(t, 5, helloB)
	stranger, _ := keys.GenerateFrom(p.rng)
	i, err := Initiate(stranger, p.b.Public(), helloA, 1, p.rng)
	if err != nil {
		t.Fatal(err)
	}
	if reply, k, reason := p.responder.Respond(start, addressA, i.Message()); reply != nil || k != nil || reason != UnknownPeer {
		t.Errorf("a key not on the list: %v", reason)
	}
	if len(p.responder.answers.byMAC) != 0 || len(p.responder.lives) != 0 {
		t.Error("something of a stranger was remembered")
	}
	other, _ := keys.GenerateFrom(p.rng)
	i, _ = Initiate(p.a, other.Public(), helloA, 1, p.rng)
	if reply, _, reason := p.responder.Respond(start, addressA, i.Message()); reply != nil || reason != WrongMAC {
		t.Errorf("an initiation for somebody else: %v", reason)
	}
	if _, err := Initiate(p.a, keys.PublicKey{}, helloA, 1, p.rng); err == nil {
		t.Error("a handshake with the zero key was started")
	}
}

func TestPayloadsThatMakeNoSense(t *testing.T) {
	for name, records := range map[string][]byte{
		"no records":                 {},
		"no version":                 {recordLabel, 2, 0, 1},
		"a record cut short":         {recordVersion, 2, 1, 1, recordLabel, 2, 0},
		"a lone type":                {recordVersion, 2, 1, 1, 9},
		"a known record too small":   {recordVersion, 1, 1},
		"a record twice":             {recordVersion, 2, 1, 1, recordVersion, 2, 1, 1},
		"an unknown record twice":    {recordVersion, 2, 1, 1, 200, 0, 200, 0},
		"no range of versions":       {recordVersion, 2, 2, 1},
		"version zero and no other":  {recordVersion, 2, 0, 0},
		"a sequence of seven bytes":  {recordVersion, 2, 1, 1, recordSequence, 7, 0, 0, 0, 0, 0, 0, 0},
		"a length beyond everything": {recordVersion, 255, 1, 1},
	} {
		if p, err := decodePayload(records); err == nil {
			t.Errorf("%s: read as %+v", name, p)
		}
	}
	// What a later version might say is understood as far as we can.
	later := []byte{250, 3, 1, 2, 3, recordVersion, 3, 1, 9, 77, recordLabel, 2, 0, 5, 0, 0}
	if p, err := decodePayload(later); err != nil || p.hello != (Hello{VersionMin: 1, VersionMax: 9, Label: 5}) {
		t.Errorf("a later version's payload: %+v, %v", p, err)
	}
}

func TestVersionsThatMeet(t *testing.T) {
	for _, v := range []struct{ aMin, aMax, bMin, bMax, want uint8 }{
		{1, 1, 1, 1, 1}, {1, 2, 1, 1, 1}, {1, 1, 1, 2, 1}, {1, 2, 1, 2, 2}, {2, 3, 1, 2, 2}, {1, 3, 3, 9, 3}, {0, 1, 1, 255, 1},
		{2, 2, 1, 1, 0}, {1, 1, 2, 3, 0}, {3, 4, 1, 2, 0},
	} {
		t.Run(fmt.Sprintf("%d-%d with %d-%d", v.aMin, v.aMax, v.bMin, v.bMax), func(t *testing.T) {
			p := newPair(t, 6, Hello{VersionMin: v.bMin, VersionMax: v.bMax})
			i := p.initiate(t, Hello{VersionMin: v.aMin, VersionMax: v.aMax})
			reply, kb, reason := p.responder.Respond(start, addressA, i.Message())
			if len(reply) > len(i.Message()) {
				t.Errorf("response of %d bytes to %d", len(reply), len(i.Message()))
			}
			ka, err := i.Finish(reply)
			if v.want == 0 {
				var refused *VersionError
				if reason != WrongVersion || kb != nil || !errors.As(err, &refused) || refused.Peer.VersionMax != v.bMax {
					t.Errorf("%v and %v, want a refusal that both sides understand", reason, err)
				}
				return
			}
			if reason != OK || err != nil || ka.Version != v.want || kb.Version != v.want {
				t.Errorf("version %d and %d, %v, %v; want %d", ka.Version, kb.Version, reason, err, v.want)
			}
		})
	}
}

func TestUnderLoadACookieIsAsked(t *testing.T) {
	p := newPair(t, 7, helloB)
	now := start
	for n := range defaultRate { // somebody who knows our public key
		stranger, _ := keys.GenerateFrom(p.rng)
		flood, _ := Initiate(stranger, p.b.Public(), helloA, uint32(n), p.rng)
		if _, _, reason := p.responder.Respond(now, addressB, flood.Message()); reason != UnknownPeer {
			t.Fatalf("initiation %d: %v", n, reason)
		}
	}
	i := p.initiate(t, helloA)
	reply, k, reason := p.responder.Respond(now, addressA, i.Message())
	if reason != CookieAsked || k != nil || len(reply) >= len(i.Message()) {
		t.Fatalf("%v with %d bytes, want a cookie reply shorter than %d", reason, len(reply), len(i.Message()))
	}
	reply = bytes.Clone(reply)

	for bit := range len(reply) * 8 {
		bad := bytes.Clone(reply)
		bad[bit/8] ^= 1 << (bit % 8)
		if i.Cookie(bad) == nil && bit/8 != 1 {
			t.Fatalf("a cookie reply with bit %d changed was accepted", bit)
		}
	}
	other := p.initiate(t, helloA)
	if err := other.Cookie(reply); !errors.Is(err, ErrForged) {
		t.Errorf("a cookie for another initiation: %v", err)
	}
	fresh := p.initiate(t, helloA)
	reply, _, _ = p.responder.Respond(now, addressA, fresh.Message())
	reply = bytes.Clone(reply)
	before := bytes.Clone(fresh.Message())
	if err := fresh.Cookie(reply); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Cookie(reply); !errors.Is(err, ErrNotForUs) {
		t.Errorf("the same cookie again: %v", err)
	}
	if n := len(before) - macLen; !bytes.Equal(before[:n], fresh.Message()[:n]) || bytes.Equal(before[n:], fresh.Message()[n:]) {
		t.Error("a cookie must change mac2 and nothing else")
	}
	if _, _, reason := p.responder.Respond(now, addressB, fresh.Message()); reason != CookieAsked {
		t.Errorf("the cookie shown from another address: %v", reason)
	}
	reply, k, reason = p.responder.Respond(now, addressA, fresh.Message())
	if reason != OK || k == nil {
		t.Fatalf("with the cookie: %v", reason)
	}
	if _, err := fresh.Finish(reply); err != nil {
		t.Error(err)
	}
	if _, _, reason := p.responder.Respond(now, addressA, before); reason != Repeated {
		t.Errorf("the copy from before the cookie: %v, want the same answer", reason)
	}
}

func TestCookiesAge(t *testing.T) {
	b := baker{rng: seeded(8)}
	if err := b.rotate(start); err != nil {
		t.Fatal(err)
	}
	data := []byte("an initiation")
	mac2 := bytes.Clone(newMAC(b.cookie(addressA)).of(data))
	for _, v := range []struct {
		age  time.Duration
		want bool
	}{{0, true}, {cookieLifetime - 1, true}, {cookieLifetime, true}, {2*cookieLifetime - 1, true}, {2 * cookieLifetime, false}, {time.Hour, false}} {
		if err := b.rotate(start.Add(v.age)); err != nil {
			t.Fatal(err)
		}
		if got := b.proves(addressA, data, mac2); got != v.want {
			t.Errorf("after %v: %v, want %v", v.age, got, v.want)
		}
	}
	idle := baker{rng: seeded(8)}
	_ = idle.rotate(start)
	mac2 = bytes.Clone(newMAC(idle.cookie(addressA)).of(data))
	_ = idle.rotate(start.Add(time.Hour))
	if idle.proves(addressA, data, mac2) {
		t.Error("a cookie of an hour ago is accepted when nobody came in between")
	}
	mapped := netip.AddrPortFrom(netip.AddrFrom16(addressA.Addr().As16()), addressA.Port())
	if mac2 = bytes.Clone(newMAC(idle.cookie(addressA)).of(data)); !idle.proves(mapped, data, mac2) {
		t.Error("IPv4 and IPv4-mapped differ")
	}
}

func TestProvenSourcesAreLimitedToo(t *testing.T) {
	a := admission{salt: newMAC([]byte("salt"))}
	admitted := 0
	for port := range uint16(1000) { // one /24, whatever the host and port
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(port)}), port)
		if a.admitProven(start, from) {
			admitted++
		}
	}
	if admitted != sourceBurst {
		t.Errorf("%d admitted from one prefix, want %d", admitted, sourceBurst)
	}
	if !a.admitProven(start, addressB) {
		t.Error("another source suffers")
	}
	admitted = 0
	for n := range 20_000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n >> 8), byte(n), 1, 1}), 1)
		if a.admitProven(start, from) {
			admitted++
		}
	}
	if admitted > provenBurst {
		t.Errorf("%d admitted together, want at most %d", admitted, provenBurst)
	}
	if !a.admitProven(start.Add(time.Second), netip.MustParseAddrPort("192.0.2.1:1")) {
		t.Error("a second later nothing is admitted")
	}
}

// What was recorded of a peer's earlier handshakes is refused once the peer
// has proved that it is further on, in this life or a later one.
func TestRecordedInitiationsAreStale(t *testing.T) {
	p := newPair(t, 9, helloB)
	now := start
	respond := func(i *Initiation) (*Keys, Reason) {
		now = now.Add(time.Minute) // past the answers kept, within the rate
		_, k, reason := p.responder.Respond(now, addressA, i.Message())
		return k, reason
	}
	at := func(incarnation, sequence uint64) *Initiation {
		h := helloA
		h.Incarnation, h.Sequence = incarnation, sequence
		return p.initiate(t, h)
	}
	first, second, third := at(1, 10), at(1, 20), at(1, 30)
	k1, _ := respond(first)
	k2, _ := respond(second)
	if k, reason := respond(first); k == nil || reason != OK {
		t.Fatalf("nothing was confirmed, yet: %v", reason)
	}
	p.responder.Confirm(k2)
	for _, old := range []*Initiation{first, second} {
		if k, reason := respond(old); k != nil || reason != Stale {
			t.Errorf("an initiation not newer than the confirmed one: %v", reason)
		}
	}
	if _, reason := respond(third); reason != OK {
		t.Errorf("a newer one: %v", reason)
	}
	restarted := at(2, 1)
	k3, reason := respond(restarted)
	if reason != OK {
		t.Fatalf("after the peer's restart: %v", reason)
	}
	p.responder.Confirm(k3)
	p.responder.Confirm(k1) // late data under old keys
	if _, reason := respond(third); reason != Stale {
		t.Errorf("an initiation of the peer's former life: %v", reason)
	}
	if _, reason := respond(at(2, 2)); reason != OK {
		t.Errorf("the living peer: %v", reason)
	}
	if _, reason := respond(at(1, 0)); reason != OK {
		t.Errorf("a peer that gives no sequence: %v", reason)
	}
	for n := range uint64(3 * retiredKept) {
		k, reason := respond(at(100+n, 1))
		if reason != OK {
			t.Fatal(reason)
		}
		p.responder.Confirm(k)
	}
	if n := len(p.responder.lives[Segment{Peer: p.a.Public()}].retired); n > retiredKept {
		t.Errorf("%d lives remembered", n)
	}
	p.responder.Forget(Segment{Peer: p.a.Public()})
	if len(p.responder.lives) != 0 {
		t.Error("a forgotten peer is remembered")
	}
}

func TestARestartedPeerNeverUsesOldKeys(t *testing.T) {
	seen := map[keys.Secret]bool{}
	p := newPair(t, 10, helloB)
	for restart := range 50 { // same static keys, same indices, same hello; only the random source moves on
		i := p.initiate(t, helloA)
		p.responder.answers = answers{}
		p.responder.admission = admission{}
		reply, kb, reason := p.responder.Respond(start, addressA, i.Message())
		if reason != OK {
			t.Fatal(reason)
		}
		if _, err := i.Finish(reply); err != nil {
			t.Fatal(err)
		}
		for _, k := range []keys.Secret{kb.Send, kb.Receive} {
			if seen[k] {
				t.Fatalf("restart %d: a key came back", restart)
			}
			seen[k] = true
		}
		// The same initiation answered by a responder that lost its memory: other keys.
		p.responder.answers = answers{}
		if _, again, _ := p.responder.Respond(start, addressA, i.Message()); again == nil || seen[again.Send] || seen[again.Receive] {
			t.Fatal("a responder that restarted repeats its keys")
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	p := newPair(t, 11, helloB)
	i := p.initiate(t, helloA)
	_, k, _ := p.responder.Respond(start, addressA, i.Message())
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		for _, v := range []any{i, p.responder, k, *k} {
			out := fmt.Sprintf(verb, v)
			for _, secret := range [][]byte{p.a[:8], p.b[:8], k.Send[:8], k.Receive[:8]} {
				for _, form := range []string{fmt.Sprintf("%x", secret), fmt.Sprint(secret)[1:20]} {
					if bytes.Contains([]byte(out), []byte(form)) {
						t.Errorf("%s of %T shows a secret", verb, v)
					}
				}
			}
		}
	}
}

func TestFailingRandomSource(t *testing.T) {
	p := newPair(t, 12, helloB)
	i := p.initiate(t, helloA)
	p.responder.rng = bytes.NewReader(nil)
	p.responder.baker.rng = p.responder.rng
	if reply, k, reason := p.responder.Respond(start, addressA, i.Message()); reply != nil || k != nil || reason != Failed {
		t.Errorf("in the handshake: %v", reason)
	}
	p.responder.admission.anybody = bucket{used: defaultRate, last: start}
	if reply, k, reason := p.responder.Respond(start, addressA, i.Message()); reply != nil || k != nil || reason != Failed {
		t.Errorf("in the cookie: %v", reason)
	}
	if _, err := Initiate(p.a, p.b.Public(), helloA, 1, bytes.NewReader(nil)); err == nil {
		t.Error("an initiation without random bytes")
	}
}

func TestTheRejectPathAllocatesNothing(t *testing.T) {
	p := newPair(t, 13, helloB)
	msg := bytes.Clone(p.initiate(t, helloA).Message())
	msg[20] ^= 1
	if n := testing.AllocsPerRun(100, func() {
		if _, _, reason := p.responder.Respond(start, addressA, msg); reason != WrongMAC {
			t.Fatal(reason)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
