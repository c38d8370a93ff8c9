package handshake

import "testing"

func BenchmarkRejectStranger(b *testing.B) {
	p := newPair(b, 1, helloB)
	msg := p.initiate(b, helloA).Message()
	msg[20] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		p.responder.Respond(start, addressA, msg)
	}
}

func BenchmarkRepeated(b *testing.B) {
	p := newPair(b, 1, helloB)
	msg := p.initiate(b, helloA).Message()
	p.responder.Respond(start, addressA, msg)
	b.ReportAllocs()
	for b.Loop() {
		p.responder.Respond(start, addressA, msg)
	}
}

func BenchmarkCookieReply(b *testing.B) {
	p := newPair(b, 1, helloB)
	p.responder.admission.anybody = bucket{used: 1e9, last: start}
	msg := p.initiate(b, helloA).Message()
	b.ReportAllocs()
	for b.Loop() {
		p.responder.Respond(start, addressA, msg)
	}
}

func BenchmarkHandshake(b *testing.B) {
	p := newPair(b, 1, helloB)
	b.ReportAllocs()
	for b.Loop() {
		i := p.initiate(b, helloA)
		p.responder.admission = admission{}
		reply, _, _ := p.responder.Respond(start, addressA, i.Message())
		if _, err := i.Finish(reply); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRespond is what one genuine initiation costs the responder.
func BenchmarkRespond(b *testing.B) {
	p := newPair(b, 1, helloB)
	msg := p.initiate(b, helloA).Message()
	b.ReportAllocs()
	for b.Loop() {
		p.responder.answers, p.responder.admission = answers{}, admission{}
		if _, _, reason := p.responder.Respond(start, addressA, msg); reason != OK {
			b.Fatal(reason)
		}
	}
}
