package sim

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/ipsec"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// gatewayHalfOpen is a VPN gateway as strongSwan is by default: it refuses an
// address with five half-open negotiations without a word, and gives each up after half a
// minute. A cookie that it has not asked for it passes over.
type gatewayHalfOpen struct {
	w        *world3
	open     map[uint64]mono.Time
	up       map[uint64]bool
	shutOut  int // first messages that were refused
	greatest int // half-open negotiations at once
}

const swanBlock, swanTimeout = 5, 30 * time.Second

func (g *gatewayHalfOpen) answer(b []byte) []byte {
	p := ipsec.Peek(b, false)
	switch {
	case p.Kind != ipsec.IKE:
		return nil
	case p.Begins():
		for spi, since := range g.open {
			if g.w.Now.Sub(since) >= swanTimeout {
				delete(g.open, spi)
			}
		}
		if _, again := g.open[p.InitiatorSPI]; !again {
			if len(g.open) >= swanBlock {
				g.shutOut++
				return nil
			}
			g.open[p.InitiatorSPI] = g.w.Now
			g.greatest = max(g.greatest, len(g.open))
		}
		return ikeInit(p.InitiatorSPI, ^p.InitiatorSPI, 0x20)
	case p.Exchange == ipsec.IKEAuth && b[len(b)-1] == authentic:
		delete(g.open, p.InitiatorSPI)
		g.up[p.InitiatorSPI] = true
		return ike(false, p.InitiatorSPI, ^p.InitiatorSPI, 35, 0x20, 100)
	}
	return nil
}

// branch is an honest initiator: it repeats a message after 4 s, 7.2 s, … as
// strongSwan does, brings a cookie when it is asked for one, and authenticates.
type branch struct {
	w      *world3
	h      *Host
	at     netip.AddrPort
	spi    uint64
	cookie []byte
	step   int // 0: begins, 1: authenticates, 2: up
	upAt   time.Duration
	began  time.Duration
}

func (w *world3) branch(n int) *branch {
	b := &branch{w: w, at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 200, byte(n)}), 500), spi: 0xB0000000 + uint64(n), began: time.Duration(w.Now)}
	b.h = w.Host(b.at)
	b.h.Receive = func(_, _ netip.AddrPort, data []byte) {
		p := ipsec.Peek(data, false)
		if p.Kind != ipsec.IKE || p.InitiatorSPI != b.spi || !p.Response() {
			return
		}
		switch {
		case b.step == 0 && p.Init.HasSA:
			b.step = 1
			b.say(4 * time.Second)
		case b.step == 0 && p.Init.Has(ipsec.NotifyCookie):
			b.cookie = append([]byte(nil), p.Init.Cookie(data)...)
			b.say(4 * time.Second)
		case b.step == 1 && p.Exchange == ipsec.IKEAuth:
			b.step, b.upAt = 2, time.Duration(w.Now)
		}
	}
	b.say(4 * time.Second)
	return b
}

func (b *branch) say(again time.Duration) {
	step, cookie := b.step, len(b.cookie)
	message := ikeInit(b.spi, 0, 8)
	if cookie > 0 {
		message = withCookie(message, b.cookie)
	}
	if step == 1 {
		message = ike(false, b.spi, ^b.spi, 35, 8, 200)
		message[len(message)-1] = authentic
	}
	b.h.Send(b.at, accelerated500, message)
	b.w.After(again, func() {
		if b.step == step && len(b.cookie) == cookie && again < time.Minute {
			b.say(again * 9 / 5)
		}
	})
}

// withCookie puts a COOKIE in front of a request's payloads (RFC 7296 section 2.6).
func withCookie(request, cookie []byte) []byte {
	b := append([]byte(nil), request[:28]...)
	b = append(b, request[16], 0, 0, byte(8+len(cookie)), 0, 0, 0x40, 0x06)
	b = append(append(b, cookie...), request[28:]...)
	b[16] = 41
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

// attack is one way to leave negotiations half-open.
type attack struct {
	name      string
	admission snapshot.Admission
	bears     bool // the egress has found that the endpoint passes unasked cookies over
	every     time.Duration
	spoofed   bool // each message from another address, and no answer comes back to the attacker
}

func TestHonestBranchesComeUpUnderAHalfOpenAttack(t *testing.T) {
	for _, a := range []attack{
		{"from one address, and nothing is known of the endpoint", snapshot.AdmitAuto, false, 10 * time.Millisecond, false},
		{"from one address, without challenges", snapshot.AdmitOpen, false, 10 * time.Millisecond, false},
		{"from one address, everybody is asked", snapshot.AdmitChallenge, false, 10 * time.Millisecond, false},
		{"spoofed, everybody is asked", snapshot.AdmitChallenge, false, 5 * time.Millisecond, true},
		{"spoofed, the endpoint is known to bear cookies", snapshot.AdmitAuto, true, 5 * time.Millisecond, true},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld3(t, 41, calm, func(w *world3) { w.sh.Snapshot.Listeners[0].Admission = a.admission })
			g := &gatewayHalfOpen{w: w, open: map[uint64]mono.Time{}, up: map[uint64]bool{}}
			w.answers = g.answer
			w.Run(2 * time.Second)
			if a.bears {
				if err := w.se.SetEndpointHealth("seoul", addrEndpoint, true, time.Millisecond); err != nil {
					t.Fatal(err)
				}
				w.se.SetEndpointBears("seoul", addrEndpoint, true)
				w.Run(2 * time.Second)
			}
			spi, end := uint64(0xA0000000), w.Now.Add(100*time.Second)
			attacker := w.Host(netip.MustParseAddrPort("198.18.66.6:500"))
			out := uint64(0)
			attacker.Receive = func(netip.AddrPort, netip.AddrPort, []byte) { out++ }
			w.Every(a.every, func() bool {
				spi++
				from := netip.MustParseAddrPort("198.18.66.6:500")
				if a.spoofed {
					from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 64, byte(spi >> 8), byte(spi)}), 500)
				}
				attacker.Send(from, accelerated500, ikeInit(spi, 0, 8))
				return w.Now < end
			})
			w.Run(5 * time.Second)
			up := 0
			for n := range 20 {
				b := w.branch(n)
				w.Run(5 * time.Second)
				if b.step == 2 && b.upAt-b.began <= 5*time.Second {
					up++
				}
			}
			r := w.sh.Report()
			if up != 20 || g.shutOut > 0 || g.greatest >= swanBlock {
				t.Errorf("%d of 20 branches came up; the endpoint refused %d first messages, and had %d half-open at once; drops %v", up, g.shutOut, g.greatest, r.Drops)
			}
			if !slicesContainsAlarm(r.Alarms, "half_open_pressure") && a.admission != snapshot.AdmitChallenge {
				t.Errorf("no alarm: %+v", r.Alarms)
			}
			if n := r.Sessions.Confirmed + r.Sessions.Unconfirmed; n > 60 {
				t.Errorf("%d sessions are held for strangers", n)
			}
			if c := r.Listeners[0].Admission; c.Admitted == 0 || c.Challenged+c.Refused < 1000 {
				t.Errorf("admission reported as %+v", c)
			}
			t.Logf("half-open at once at most %d; %+v; drops %v", g.greatest, r.Listeners[0].Admission, r.Drops)
		})
	}
}

// Without a PoP's account the same attack shuts everybody out: the gateway of
// these tests is as weak as the real one.
func TestTheGatewayOfTheseTestsIsShutOutByFive(t *testing.T) {
	w := newWorld3(t, 42, calm)
	g := &gatewayHalfOpen{w: w, open: map[uint64]mono.Time{}, up: map[uint64]bool{}}
	for spi := range uint64(5) {
		if g.answer(ikeInit(spi+1, 0, 8)) == nil {
			t.Fatalf("number %d was refused", spi)
		}
	}
	if g.answer(ikeInit(99, 0, 8)) != nil {
		t.Error("the sixth was answered")
	}
}

// A gateway that asks for cookies itself has its own answered: the initiator
// brings that one instead of ours.
func TestACookieOfTheEndpointsOwnPasses(t *testing.T) {
	w := newWorld3(t, 43, calm, func(w *world3) { w.sh.Snapshot.Listeners[0].Admission = snapshot.AdmitChallenge })
	g := &gatewayHalfOpen{w: w, open: map[uint64]mono.Time{}, up: map[uint64]bool{}}
	own := []byte("the endpoint's own cookie")
	asked := 0
	w.answers = func(b []byte) []byte {
		if p := ipsec.Peek(b, false); p.Begins() && string(p.Init.Cookie(b)) != string(own) {
			asked++
			refusal := withCookie(ikeInit(p.InitiatorSPI, 0, 0x20)[:28], own)
			refusal[28] = 0 // nothing follows
			return refusal
		}
		return g.answer(b)
	}
	w.Run(2 * time.Second)
	b := w.branch(1)
	w.Run(3 * time.Second)
	if b.step != 2 || asked != 1 {
		t.Errorf("step %d, asked %d times; drops %v", b.step, asked, w.sh.Report().Drops)
	}
}

func slicesContainsAlarm(list []report.Alarm, kind string) bool {
	for _, a := range list {
		if a.Kind == kind {
			return true
		}
	}
	return false
}
