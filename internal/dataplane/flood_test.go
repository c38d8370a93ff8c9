package dataplane

import (
	"testing"
	"time"
)

// spend uses up what the clients of sh's listener share that are not proven.
func (r *rig) spend() {
	r.t.Helper()
	stranger := port(clientIP.Next().Next(), 4500)
	for range unprovenPackets + unprovenPerSecond {
		if len(r.send(stranger, port(r.sh.addr, 4500), []byte("a stranger"))) == 0 {
			return
		}
	}
	r.t.Fatal("strangers share no bound")
}

func TestLittleCrossesOfStrangers(t *testing.T) {
	const strangers, each = 100, 50
	r := newRig(t, nil)
	crossed, client := 0, clientIP
	for range strangers {
		for range each {
			crossed += len(r.send(port(client, 4500), port(r.sh.addr, 4500), []byte("a stranger")))
		}
		client = client.Next()
	}
	if most := strangers*unprovenPackets + unprovenPerSecond/20 + 1; crossed > most {
		t.Errorf("%d of %d packets crossed; at most %d should", crossed, strangers*each, most)
	}
	if got := r.sh.drops("unproven"); got != uint64(strangers*each-crossed) {
		t.Errorf("%d crossed and %d were counted as dropped, of %d", crossed, got, strangers*each)
	}
}

func TestANegotiationIsCompletedBesideStrangers(t *testing.T) {
	r := newRig(t, nil)
	r.spend()
	client, accelerated := port(clientIP, 500), port(r.sh.addr, 500)
	const spi = 1 << 50
	first := ikeMessage(spi, 0, 34, 8)
	out := r.send(client, accelerated, first)
	if len(out) != 1 {
		t.Fatalf("the endpoint got %v; drops %v", out, r.sh.engine.drops.Map())
	}
	egress := out[0].from
	for again := range 5 { // the endpoint is slow
		r.spend()
		if out := r.send(client, accelerated, first); len(out) != 1 {
			t.Fatalf("repetition %d: the endpoint got %v; drops %v", again, out, r.sh.engine.drops.Map())
		}
	}
	r.send(out[0].to, egress, ikeMessage(spi, spi+1, 34, 0x20))
	for part := range 40 { // the client's certificates, in pieces
		r.spend()
		if out := r.send(client, accelerated, ikeMessage(spi, spi+1, 35, 8)); len(out) != 1 {
			t.Fatalf("piece %d: the endpoint got %v; drops %v", part, out, r.sh.engine.drops.Map())
		}
	}
	if out := r.send(out[0].to, egress, ikeMessage(spi, spi+1, 35, 0x20)); len(out) != 1 {
		t.Fatalf("the client got %v; drops %v", out, r.sh.engine.drops.Map())
	}
}

// A PoP that has lost its disk sees tunnels begin in the middle: nothing but ESP, each of
// whose packets the other end answers in time.
func TestESPThatComesFirstIsProvenBesideStrangers(t *testing.T) {
	r := newRig(t, nil)
	r.run(time.Second)
	r.spend()
	client, accelerated := port(clientIP, 4500), port(r.sh.addr, 4500)
	seq := uint32(1000)
	out := r.send(client, accelerated, espPacket(700, seq, 100))
	if len(out) != 1 {
		t.Fatalf("the first packet did not cross; drops %v", r.sh.engine.drops.Map())
	}
	egress := out[0].from
	for round := range 12 {
		r.spend()
		if out := r.send(port(endpointIP, 4500), egress, espPacket(701, seq, 100)); len(out) != 1 {
			t.Fatalf("round %d: the client got %v; drops %v", round, out, r.sh.engine.drops.Map())
		}
		for range 3 { // acknowledged, and gone on
			seq++
			if out := r.send(client, accelerated, espPacket(700, seq, 100)); len(out) != 1 {
				t.Fatalf("round %d: the endpoint got %v; drops %v", round, out, r.sh.engine.drops.Map())
			}
		}
		r.run(100 * time.Millisecond)
	}
	r.spend()
	for range 100 { // proven: no bound holds it
		seq++
		if out := r.send(client, accelerated, espPacket(700, seq, 100)); len(out) != 1 {
			t.Fatalf("after the proof the endpoint got %v; drops %v", out, r.sh.engine.drops.Map())
		}
	}
}

// What is never answered goes on at the rate that strangers share, while nobody floods.
func TestTrafficWithoutAnswersGoesOn(t *testing.T) {
	r := newRig(t, nil)
	client, accelerated := port(clientIP, 4500), port(r.sh.addr, 4500)
	for seq := range uint32(200) {
		if out := r.send(client, accelerated, espPacket(700, seq+1, 100)); len(out) != 1 {
			t.Fatalf("packet %d: the endpoint got %v; drops %v", seq, out, r.sh.engine.drops.Map())
		}
		r.run(10 * time.Millisecond)
	}
}
