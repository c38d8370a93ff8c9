package admission

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

var begin = mono.Time(time.Hour)

func source(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}) }

func newCookies() *Cookies { return &Cookies{Random: rand.New(rand.NewPCG(1, 2)).Uint64} }

// ask returns the cookie of a challenge, read as an initiator reads it.
func ask(t *testing.T, c *Cookies, now mono.Time, client netip.AddrPort, spi uint64, natt bool) []byte {
	t.Helper()
	b := c.AppendChallenge(nil, now, client, spi, natt)
	p := ipsec.Peek(b, natt)
	if p.Kind != ipsec.IKE || !p.Response() || p.InitiatorSPI != spi || p.ResponderSPI != 0 || p.MessageID != 0 || p.Init.Damaged || p.Init.HasSA || !p.Init.Has(ipsec.NotifyCookie) {
		t.Fatalf("the challenge is read as %+v", p)
	}
	return p.Init.Cookie(b)
}

func TestACookieIsGoodForWhoWasAskedAndNotForLong(t *testing.T) {
	c := newCookies()
	client, spi := netip.MustParseAddrPort("198.18.0.1:500"), uint64(7)
	for _, natt := range []bool{false, true} {
		cookie := ask(t, c, begin, client, spi, natt)
		for name, x := range map[string]struct {
			after  time.Duration
			client netip.AddrPort
			spi    uint64
			edit   func([]byte) []byte
			want   bool
		}{
			"at once":                   {0, client, spi, nil, true},
			"a little later":            {50 * time.Second, client, spi, nil, true},
			"after a change of secrets": {70 * time.Second, client, spi, nil, true},
			"after two changes":         {130 * time.Second, client, spi, nil, false},
			"after a long silence":      {time.Hour, client, spi, nil, false},
			"from another port":         {0, netip.AddrPortFrom(client.Addr(), 501), spi, nil, false},
			"from another address":      {0, netip.MustParseAddrPort("198.18.0.2:500"), spi, nil, false},
			"for another SPI":           {0, client, spi + 1, nil, false},
			"with a bit turned":         {0, client, spi, func(b []byte) []byte { b[9] ^= 1; return b }, false},
			"of another secret":         {0, client, spi, func(b []byte) []byte { b[0]++; return b }, false},
			"cut short":                 {0, client, spi, func(b []byte) []byte { return b[:16] }, false},
			"with a byte more":          {0, client, spi, func(b []byte) []byte { return append(b, 0) }, false},
			"none at all":               {0, client, spi, func([]byte) []byte { return nil }, false},
		} {
			copied := append([]byte(nil), cookie...)
			if x.edit != nil {
				copied = x.edit(copied)
			}
			fresh := *c // a test does not turn the secrets of the next
			if got := fresh.Check(begin.Add(x.after), x.client, x.spi, copied); got != x.want {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

func TestOneSourceHasTwo(t *testing.T) {
	var g Gate
	for spi := uint64(1); spi <= 5; spi++ {
		want := Admit
		if spi > PerStranger {
			want = Refuse
		}
		if v := g.Begin(begin, source(1), spi, false, false, Never); v != want {
			t.Errorf("negotiation %d: %v, want %v", spi, v, want)
		}
	}
	if v := g.Begin(begin, source(1), 2, false, false, Never); v != Admit {
		t.Error("a retransmission was not admitted")
	}
	if v := g.Begin(begin, source(2), 1, false, false, Never); v != Admit {
		t.Error("somebody else was not admitted")
	}
	g.Done(source(1), 1)
	if v := g.Begin(begin, source(1), 6, false, false, Never); v != Admit {
		t.Error("a place that was given back was not given out")
	}
}

func TestWhatPilesUpBoundsStrangersAndNotThoseKnown(t *testing.T) {
	var g Gate
	n := 0
	for i := range 100 { // strangers whom the endpoint answers, and who never go on
		if g.Begin(begin, source(i), 9, false, false, Never) == Admit {
			g.Answered(begin, source(i), 9)
			n++
		}
	}
	if n != Young || !g.Pressed(begin) {
		t.Errorf("%d strangers were admitted at once, want %d", n, Young)
	}
	now := begin.Add(giveUp)
	for i := range 100 {
		if g.Begin(now, source(200+i), 9, false, false, Never) == Admit {
			n++
		}
	}
	if n -= Young; n != Pressed {
		t.Errorf("%d strangers were admitted under pressure, want %d", n, Pressed)
	}
	for spi := range uint64(3) {
		if g.Begin(now, source(999), spi+1, true, false, Never) != Admit {
			t.Error("one that is known was not admitted")
		}
	}
	if now = now.Add(pressure + giveUp); g.Pressed(now) || g.Len(now) != 0 {
		t.Errorf("pressure lasts; %d half-open", g.Len(now))
	}
}

// Somebody may send in the name of one that is known.
func TestOneThatIsKnownHasNotMuchMore(t *testing.T) {
	var g Gate
	for spi := range uint64(PerKnown + 1) {
		want := Admit
		if spi == PerKnown {
			want = Refuse
		}
		if v := g.Begin(begin, source(1), spi, true, false, Never); v != want {
			t.Errorf("number %d: %v, want %v", spi, v, want)
		}
	}
	var asking Gate
	for spi := range uint64(PerStranger + 1) {
		want := Admit
		if spi == PerStranger {
			want = Challenge
		}
		if v := asking.Begin(begin, source(1), spi, true, false, IfPressed); v != want {
			t.Errorf("number %d: %v, want %v", spi, v, want)
		}
	}
}

func TestStrangersAreAskedWhenItMatters(t *testing.T) {
	var g Gate
	asked := 0
	for i := range 10 {
		if g.Begin(begin, source(i), 9, false, false, IfPressed) == Challenge {
			asked++
		}
	}
	if asked != 10-askFrom {
		t.Errorf("%d of 10 strangers at once were asked, want all but the first %d", asked, askFrom)
	}
	if g.Begin(begin, source(50), 9, false, true, IfPressed) != Admit {
		t.Error("one with a cookie was not admitted")
	}
	if g.Begin(begin, source(51), 9, true, false, IfPressed) != Admit {
		t.Error("one that is known was asked")
	}
	var always Gate
	if always.Begin(begin, source(1), 1, false, false, Always) != Challenge || always.Begin(begin, source(1), 1, false, true, Always) != Admit {
		t.Error("not asked always")
	}
}

func TestARefusalOfTheEndpointFreesThePlaceAndLetsItTryAgain(t *testing.T) {
	var g Gate
	g.Begin(begin, source(1), 1, false, true, Always)
	g.Turned(begin, source(1), 1) // INVALID_KE_PAYLOAD, or a cookie of its own
	if g.Len(begin) != 0 {
		t.Error("it still counts")
	}
	if g.Begin(begin.Add(time.Second), source(1), 1, false, false, Always) != Admit {
		t.Error("its second try, which brings no cookie of ours, was not admitted")
	}
	if g.Len(begin.Add(time.Second)) != 1 {
		t.Error("the second try does not count")
	}
}

func TestASilentEndpointHoldsNobodyUp(t *testing.T) {
	var g Gate
	for i := range Young {
		g.Begin(begin, source(i), 9, false, false, Never)
	}
	if now := begin.Add(unanswered); g.Begin(now, source(100), 9, false, false, Never) != Admit || g.Len(now) != 1 {
		t.Errorf("%d that were never answered count as half-open", g.Len(now)-1)
	}
}

func TestKnownForgetsTheOldest(t *testing.T) {
	var k Known
	for i := range knownMost + 100 {
		k.Good(source(i))
		k.Good(source(i))
	}
	if k.Len() != knownMost || k.Has(source(99)) || !k.Has(source(100)) || !k.Has(source(knownMost+99)) {
		t.Errorf("%d are known", k.Len())
	}
}

func TestLanesShareWhatStrangersMayHave(t *testing.T) {
	admitted := 0
	for lane := range 4 {
		g := Gate{Lanes: 4}
		g.press(begin)
		for i := range 10 {
			if g.Begin(begin, source(100*lane+i), 9, false, false, Never) == Admit {
				admitted++
			}
		}
	}
	if admitted != Pressed {
		t.Errorf("%d strangers were admitted under pressure by four lanes, want %d", admitted, Pressed)
	}
}

func TestAnIPv6NetworkIsOneSource(t *testing.T) {
	a, b, c := netip.MustParseAddr("2001:db8:1:2::3"), netip.MustParseAddr("2001:db8:1:2:ffff::1"), netip.MustParseAddr("2001:db8:1:3::1")
	if Source(a) != Source(b) || Source(a) == Source(c) || Source(netip.MustParseAddr("::ffff:192.0.2.1")) != netip.MustParseAddr("192.0.2.1") {
		t.Error("sources are told apart wrongly")
	}
}

func TestJudgingAllocatesNothing(t *testing.T) {
	var g Gate
	c := newCookies()
	client := netip.MustParseAddrPort("198.18.0.1:500")
	buf := make([]byte, 0, 128)
	now, spi := begin, uint64(0)
	round := func() {
		now, spi = now.Add(time.Millisecond), spi+1
		g.Begin(now, source(int(spi)), spi, false, c.Check(now, client, spi, buf[:17]), IfPressed)
		c.AppendChallenge(buf, now, client, spi, true)
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCheck: no cookie but the right one is taken.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint64(7))
	f.Fuzz(func(t *testing.T, cookie []byte, spi uint64) {
		c := newCookies()
		client := netip.MustParseAddrPort("198.18.0.1:500")
		right := c.AppendChallenge(nil, begin, client, spi, false)[36:]
		if got := c.Check(begin, client, spi, cookie); got != (string(cookie) == string(right)) {
			t.Errorf("%x was judged %v", cookie, got)
		}
		if binary.BigEndian.Uint64(right[1:]) == 0 {
			t.Error("an empty hash")
		}
	})
}

func BenchmarkJudgeAFlood(b *testing.B) {
	var g Gate
	c := newCookies()
	client := netip.MustParseAddrPort("198.18.0.1:500")
	b.ReportAllocs()
	for i := range b.N {
		now := begin.Add(time.Duration(i) * 10 * time.Microsecond)
		if g.Begin(now, source(i), uint64(i), false, false, IfPressed) == Challenge {
			var buf [128]byte
			c.AppendChallenge(buf[:0], now, client, uint64(i), true)
		}
	}
}
