package handshake

import (
	"bytes"
	"testing"
)

func FuzzPayload(f *testing.F) {
	f.Add(payload{hello: helloA}.encode(nil))
	f.Add(payload{hello: helloB, index: 7, hasIndex: true}.encode(nil))
	f.Add([]byte{200, 1, 0, recordVersion, 2, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePayload(b)
		if err != nil {
			return
		}
		again, err := decodePayload(p.encode(nil))
		if err != nil || again != p {
			t.Errorf("%+v came back as %+v, %v", p, again, err)
		}
	})
}

// FuzzRespond makes mac1 right, as a stranger with our public key can, so that
// the fuzzer gets as far as that stranger.
func FuzzRespond(f *testing.F) {
	p := newPair(f, 1, helloB)
	genuine := p.initiate(f, helloA).Message()
	f.Add(genuine, false)
	f.Add(genuine, true)
	f.Add(genuine[:len(genuine)-1], true)
	through := bytes.Clone(genuine)
	through[2], through[3] = relay>>8, relay&0xff
	f.Add(through, true)
	f.Fuzz(func(t *testing.T, msg []byte, sign bool) {
		msg = bytes.Clone(msg)
		if body := len(msg) - 2*macLen; sign && body >= 0 {
			copy(msg[body:], newMAC1(p.b.Public()).of(msg[:body]))
		}
		reply, k, reason := p.responder.Respond(start, addressA, msg)
		if len(reply) > len(msg) {
			t.Errorf("%d bytes in, %d out", len(msg), len(reply))
		}
		noise := len(msg) - 2*macLen
		if k != nil && !bytes.Equal(msg[:noise], genuine[:noise]) {
			t.Error("keys for a forged initiation")
		}
		if (k != nil) != (reason == OK) {
			t.Errorf("keys %v with reason %v", k != nil, reason)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	p := newPair(f, 1, helloB)
	i := p.initiate(f, helloA)
	reply, _, _ := p.responder.Respond(start, addressA, i.Message())
	genuine := bytes.Clone(reply)
	p.responder.admission.anybody = bucket{used: 1e9, last: start}
	cookie, _, _ := p.responder.Respond(start, addressA, p.initiate(f, helloA).Message())
	f.Add(genuine[:len(genuine)-2], true)
	f.Add(bytes.Clone(cookie), false)
	f.Fuzz(func(t *testing.T, msg []byte, sign bool) {
		msg = bytes.Clone(msg)
		if body := len(msg) - macLen; sign && body >= 0 {
			copy(msg[body:], newMAC1(p.a.Public()).of(msg[:body]))
		}
		_, _ = PeekIndex(msg)
		if i.Cookie(msg) == nil {
			t.Error("a forged cookie was accepted")
		}
		if _, err := i.Finish(msg); err == nil {
			// The shard byte is nobody's concern here, and mac1 was made to match.
			if end := len(genuine) - macLen; msg[0] != genuine[0] || !bytes.Equal(msg[2:len(msg)-macLen], genuine[2:end]) {
				t.Error("a forged response was accepted")
			}
			i.finished = false
			if err := i.write(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
