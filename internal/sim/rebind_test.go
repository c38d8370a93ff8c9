package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// rebound is world3 with a client whose tunnel stands, and an address that it, or
// an attacker, may send from, too.
type rebound struct {
	*world3
	other   netip.AddrPort
	there   *Host
	atOther []datagram
	seq     uint32
}

func newRebound(t *testing.T, seed uint64) *rebound {
	w := &rebound{world3: newWorld3(t, seed, calm), other: netip.MustParseAddrPort("198.18.77.3:61234")}
	w.Run(2 * time.Second)
	w.there = w.Host(w.other)
	w.there.Receive = func(from, to netip.AddrPort, data []byte) {
		w.atOther = append(w.atOther, datagram{from, to, data, time.Duration(w.Now)})
	}
	w.tunnel()
	return w
}

// tunnel brings up IKE on port 4500 and sends a little ESP each way. The endpoint
// answers what is authentic: the newest request of IKE, as often as it comes, and ESP with
// numbers that it has not seen. The last byte stands for the integrity check.
func (w *rebound) tunnel() {
	highest, newest := uint32(0), uint32(0)
	w.answers = func(b []byte) []byte {
		switch {
		case len(b) < 32 || b[len(b)-1] != authentic:
			return nil
		case !isESP(b):
			if id := binary.BigEndian.Uint32(b[24:]); id >= newest {
				newest = id
				return ikeID(b[22], 0x20, id)
			}
			return nil
		}
		if seq := binary.BigEndian.Uint32(b[4:]); seq > highest {
			highest = seq
			return esp(0x900, seq, len(b))
		}
		return nil
	}
	for id, exchange := range []byte{35, 35, 37} {
		w.client.Send(client4500, accelerated4500, ikeID(exchange, 8, uint32(id+1)))
		w.Run(200 * time.Millisecond)
	}
	w.speak(w.client, client4500, 50)
	w.Run(200 * time.Millisecond)
	w.atClient, w.atEndpoint, w.atOther = nil, nil, nil
}

const authentic = 0xA7

// ikeID is a sealed message of the tunnel's IKE SA on port 4500.
func ikeID(exchange, flags byte, id uint32) []byte {
	b := ike(true, 0xaaaa, 0xbbbb, exchange, flags, 80)
	binary.BigEndian.PutUint32(b[4+20:], id)
	b[len(b)-1] = authentic
	return b
}

// speak sends the next n packets of the tunnel, one every 10 ms.
func (w *rebound) speak(h *Host, from netip.AddrPort, n int) {
	for range n {
		w.seq++
		b := esp(0x700, w.seq, 120)
		b[len(b)-1] = authentic
		h.Send(from, accelerated4500, b)
		w.Run(10 * time.Millisecond)
	}
}

// client4500 is where the tunnel's client is: the one that the endpoint knows by egress4500.
func (w *rebound) client4500() netip.AddrPort {
	w.t.Helper()
	for _, s := range w.sh.Report().Sessions.List {
		if s.Accelerated == accelerated4500 && s.Egress == egress4500 {
			return s.Client
		}
	}
	w.t.Fatal("the session is gone")
	return netip.AddrPort{}
}

// mustSeeOneEgress fails when the endpoint saw the client under another address.
func (w *rebound) mustSeeOneEgress() {
	w.t.Helper()
	for _, d := range w.atEndpoint {
		if d.from != egress4500 {
			w.t.Fatalf("the endpoint saw the client at %v, before at %v", d.from, egress4500)
		}
	}
}

func TestATunnelSurvivesItsClientsNewAddress(t *testing.T) {
	w := newRebound(t, 31)
	w.speak(w.there, w.other, 300)
	w.Run(time.Second)
	if got := len(w.atEndpoint); got != 300 {
		t.Errorf("%d of 300 packets reached the endpoint", got)
	}
	w.mustSeeOneEgress()
	if got := len(w.atOther); got < 230 {
		t.Errorf("%d of 300 answers came to the new address; drops %v", got, w.sh.Report().Drops)
	}
	if got := w.client4500(); got != w.other {
		t.Errorf("the session's client is %v", got)
	}
	for _, p := range []*PoP{w.sh, w.se} {
		r := p.Report().Sessions
		if r.Moved != 1 || r.Confirmed != 1 || len(r.List) != 1 || r.List[0].Client != w.other {
			t.Errorf("%s: %+v", p.Report().Name, r)
		}
	}
	// It is kept on disk like that.
	w.sh.Kill()
	if err := w.sh.Start(); err != nil {
		t.Fatal(err)
	}
	w.Run(2 * time.Second)
	w.atEndpoint, w.atOther = nil, nil
	w.speak(w.there, w.other, 50)
	w.Run(200 * time.Millisecond)
	if len(w.atOther) != 50 {
		t.Errorf("%d of 50 answers after a restart of the ingress", len(w.atOther))
	}
	w.mustSeeOneEgress()
}

func TestANewPortOfTheSameNATIsFollowed(t *testing.T) {
	w := newRebound(t, 32)
	port := netip.AddrPortFrom(addrClient, 40001)
	h := w.Host(port)
	got := 0
	h.Receive = func(_, _ netip.AddrPort, _ []byte) { got++ }
	h.Send(port, accelerated4500, []byte{0xFF}) // a keepalive first: it opens a stranger's session
	w.Run(50 * time.Millisecond)
	w.speak(h, port, 200)
	w.Run(time.Second)
	if got < 130 || w.client4500() != port {
		t.Errorf("%d of 200 answers; the client is %v", got, w.client4500())
	}
	w.atEndpoint = w.atEndpoint[1:] // the keepalive
	w.mustSeeOneEgress()
	if n := len(w.se.Report().Sessions.List); n != 1 {
		t.Errorf("the egress has %d sessions", n)
	}
}

func TestAnIdleTunnelIsFollowedWhenTheEndpointAnswers(t *testing.T) {
	w := newRebound(t, 33)
	w.there.Send(w.other, accelerated4500, ikeID(37, 8, 4)) // one request for life
	w.Run(200 * time.Millisecond)
	if len(w.atOther) != 1 || w.client4500() != w.other {
		t.Errorf("%d answers; the client is %v", len(w.atOther), w.client4500())
	}
	w.mustSeeOneEgress()
}

func TestATunnelGoesBackAtOnce(t *testing.T) {
	w := newRebound(t, 34)
	w.speak(w.there, w.other, 100)
	w.atClient = nil
	w.speak(w.client, client4500, 20)
	w.Run(200 * time.Millisecond)
	if len(w.atClient) < 20 { // with those that were under way
		t.Errorf("%d of 20 answers came back to the old address", len(w.atClient))
	}
}

func TestGuessesDoNotStealATunnel(t *testing.T) {
	w := newRebound(t, 35)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		for range 20 { // 60,000 guesses
			w.there.Send(w.other, accelerated4500, esp(256+rng.Uint32(), rng.Uint32()%5000, 100))
		}
		w.there.Send(w.other, accelerated4500, ike(true, rng.Uint64(), rng.Uint64(), 37, 8, 100))
		w.Run(time.Millisecond)
	}
	if got := w.client4500(); got != client4500 {
		t.Fatalf("guesses moved the client to %v", got)
	}
	w.atClient = nil
	w.speak(w.client, client4500, 50)
	w.Run(200 * time.Millisecond)
	if len(w.atClient) != 50 {
		t.Errorf("%d of 50 answers", len(w.atClient))
	}
}

func TestRecordedPacketsDoNotStealATunnel(t *testing.T) {
	w := newRebound(t, 36)
	var recorded [][]byte
	w.Tap = func(from, _ netip.AddrPort, data []byte) {
		if from == client4500 {
			recorded = append(recorded, append([]byte(nil), data...))
		}
	}
	w.client.Send(client4500, accelerated4500, ikeID(37, 8, 4))
	w.speak(w.client, client4500, 300)
	w.client.Send(client4500, accelerated4500, ikeID(37, 8, 5))
	w.Run(time.Minute) // and then it is silent
	for range 3 {
		for _, b := range recorded {
			w.there.Send(w.other, accelerated4500, b)
			w.Run(5 * time.Millisecond)
		}
	}
	if got := w.client4500(); got != client4500 {
		t.Fatalf("a recording moved the client to %v", got)
	}
	for _, d := range w.atOther {
		if isESP(d.data) {
			t.Fatal("the attacker was sent ESP of the tunnel")
		}
	}
	w.atClient = nil
	w.speak(w.client, client4500, 50)
	w.Run(200 * time.Millisecond)
	if len(w.atClient) != 50 {
		t.Errorf("%d of 50 answers", len(w.atClient))
	}
}

// Who knows the SPI and where the numbers stand, and writes newer ones, gets
// nothing while the client speaks, and loses what it gets when the client
// speaks again.
func TestForgedNumbersStealNothingFromAClientThatSpeaks(t *testing.T) {
	w := newRebound(t, 37)
	for range 400 {
		w.speak(w.client, client4500, 1)
		w.there.Send(w.other, accelerated4500, esp(0x700, w.seq+1, 120))
	}
	w.Run(200 * time.Millisecond)
	if got := w.client4500(); got != client4500 || len(w.atOther) != 0 {
		t.Fatalf("the client is at %v; the attacker got %d packets", got, len(w.atOther))
	}
	if len(w.atClient) < 350 {
		t.Errorf("%d of 400 answers", len(w.atClient))
	}
	w.Run(30 * time.Second) // the client falls silent
	for i := range uint32(100) {
		w.there.Send(w.other, accelerated4500, esp(0x700, w.seq+1+i, 120))
		w.Run(10 * time.Millisecond)
	}
	w.seq += 100
	w.atClient = nil
	w.speak(w.client, client4500, 20)
	w.Run(200 * time.Millisecond)
	if got := w.client4500(); got != client4500 || len(w.atClient) != 20 {
		t.Errorf("the client is at %v with %d of 20 answers", got, len(w.atClient))
	}
}
