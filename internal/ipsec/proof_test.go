package ipsec

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestProofIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Proof{}); n > 32 {
		t.Errorf("a Proof takes %d bytes, more than 32", n)
	}
}

func TestProof(t *testing.T) {
	type step struct {
		from byte // 'c' client, 'e' endpoint
		m    message
		want bool // after a client's packet
	}
	auth := func(i, r uint64, flags Flags) message {
		return message{initiator: i, responder: r, version: 0x20, exchange: IKEAuth, flags: flags, id: 1, payloads: []part{sealed()}}
	}
	info := func(i, r uint64, flags Flags, p part) message {
		return message{initiator: i, responder: r, version: 0x20, exchange: Informational, flags: flags, id: 1, payloads: []part{p}}
	}
	v1 := func(i, r uint64, e Exchange, flags Flags, kind uint8) message {
		return message{initiator: i, responder: r, version: 0x10, exchange: e, flags: flags, payloads: []part{{kind, make([]byte, 40)}}}
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a client that goes on with the responder's SPI has seen it", []step{
			{'c', initRequest(1), false}, {'e', initResponse(1, 2, sa()), false}, {'c', auth(1, 2, FlagInitiator), true}}},
		{"an SPI that the client made up proves nothing", []step{
			{'c', initRequest(1), false}, {'e', initResponse(1, 2, sa()), false}, {'c', auth(1, 3, FlagInitiator), false}}},
		{"the responder's SPI under another initiator's proves nothing", []step{
			{'c', initRequest(1), false}, {'e', initResponse(1, 2, sa()), false}, {'c', auth(9, 2, FlagInitiator), false}}},
		{"a client that repeats its first message has proven nothing", []step{
			{'c', initRequest(1), false}, {'e', initResponse(1, 2, sa()), false}, {'c', initRequest(1), false}}},
		{"a responder that asks for a cookie has shown no SPI", []step{
			{'c', initRequest(1), false}, {'e', initResponse(1, 0, notify(NotifyCookie, make([]byte, 8))), false}, {'c', initRequest(1), false}}},
		{"an SPI that the endpoint only echoes in a refusal proves nothing", []step{
			{'c', auth(1, 66, FlagInitiator), false},
			{'e', info(1, 66, FlagResponse, notify(NotifyInvalidIKESPI, nil)), false},
			{'c', auth(1, 66, FlagInitiator), false}}},
		{"an echo dressed as an answer to IKE_SA_INIT proves nothing", []step{
			{'e', initResponse(1, 66, notify(NotifyInvalidIKESPI, nil)), false}, {'c', auth(1, 66, FlagInitiator), false}}},
		{"an endpoint that initiates is answered by a client that has seen its SPI", []step{
			{'e', initRequest(7), false}, {'c', initResponse(7, 8, sa()), true}}},
		{"an answer to an SPI that the endpoint never sent proves nothing", []step{
			{'e', initRequest(7), false}, {'c', initResponse(6, 8, sa()), false}}},
		{"in the middle of an SA the endpoint's protected request names it", []step{
			{'c', info(1, 2, FlagInitiator, sealed()), false},
			{'e', info(1, 2, 0, sealed()), false}, {'c', info(1, 2, FlagInitiator|FlagResponse, sealed()), true}}},
		{"in the middle of an SA the endpoint's protected response names it", []step{
			{'c', info(1, 2, FlagInitiator, sealed()), false},
			{'e', info(1, 2, FlagResponse, sealed()), false}, {'c', info(1, 2, FlagInitiator, sealed()), true}}},
		{"two strangers' first messages in between do not spoil it", []step{
			{'e', initResponse(1, 2, sa()), false}, {'e', initResponse(3, 4, sa()), false}, {'e', initResponse(5, 6, sa()), false},
			{'c', auth(1, 2, FlagInitiator), true}}},
		{"IKEv1: the cookie of main mode's second message, given back, proves", []step{
			{'c', v1(1, 0, MainMode, 0, payloadV1SA), false}, {'e', v1(1, 2, MainMode, 0, payloadV1SA), false}, {'c', v1(1, 2, MainMode, 0, 4), true}}},
		{"IKEv1: a cookie echoed in an unprotected notify proves nothing", []step{
			{'c', v1(1, 5, MainMode, 0, 4), false}, {'e', v1(1, 5, 5, 0, 11), false}, {'c', v1(1, 5, MainMode, 0, 4), false}}},
		{"IKEv1: an encrypted message of the endpoint names the SA", []step{
			{'e', v1(1, 2, 5, FlagEncrypted, 8), false}, {'c', v1(1, 2, 5, FlagEncrypted, 8), true}}},
		{"once proven, anything keeps it so", []step{
			{'e', initResponse(1, 2, sa()), false}, {'c', auth(1, 2, FlagInitiator), true}, {'c', initRequest(99), true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Proof
			for i, s := range tt.steps {
				k := Peek(marked(s.m.bytes()), true)
				if k.Kind != IKE {
					t.Fatalf("step %d: the test's own message is %v", i, k.Kind)
				}
				if s.from == 'e' {
					p.FromEndpoint(k)
					continue
				}
				if got := p.FromClient(k); got != s.want || p.Proven() != s.want {
					t.Errorf("step %d: proven = %v, want %v", i, got, s.want)
				}
			}
		})
	}
}

func TestESPAndKeepalivesProveNothing(t *testing.T) {
	var p Proof
	p.FromEndpoint(Peek(espBytes(0x1000, 1, 64), true))
	if p.FromClient(Peek(espBytes(0x1000, 1, 64), true)) || p.FromClient(Peek([]byte{0xFF}, true)) || p.FromClient(Packet{}) {
		t.Error("proven without IKE")
	}
}

// A blind sender knows every SPI but those the endpoint draws. Whatever it
// sends and the endpoint refuses, accepts or repeats, it must not be believed.
func TestABlindSenderIsNeverProven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Proof
		secret := uint64(1) << 40 // the endpoint's draws, disjoint from anything the sender uses
		small := rapid.Uint64Range(1, 6)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i, r := small.Draw(t, "initiator"), rapid.Uint64Range(0, 6).Draw(t, "responder")
			protected := rapid.Bool().Draw(t, "protected")
			body := part{kind: payloadSA, body: make([]byte, 8)}
			if protected {
				body = sealed()
			}
			m := message{initiator: i, responder: r, version: 0x20, flags: FlagInitiator, payloads: []part{body},
				exchange: rapid.SampledFrom([]Exchange{IKESAInit, IKEAuth, Informational}).Draw(t, "exchange")}
			if p.FromClient(Peek(m.bytes(), false)) {
				t.Fatalf("believed %+v", m)
			}
			switch rapid.IntRange(0, 3).Draw(t, "endpoint") {
			case 0: // accepts, with an SPI of its own
				secret++
				p.FromEndpoint(Peek(initResponse(i, secret, sa()).bytes(), false))
			case 1: // refuses, copying what it got
				m.flags, m.payloads = FlagResponse, []part{notify(NotifyInvalidIKESPI, nil)}
				p.FromEndpoint(Peek(m.bytes(), false))
			case 2: // initiates by itself
				secret++
				p.FromEndpoint(Peek(initRequest(secret).bytes(), false))
			}
		}
	})
}
