package ipsec

import (
	"bytes"
	"testing"
)

func TestPeekTellsTheKind(t *testing.T) {
	ike := initRequest(7).bytes()
	edit := func(b []byte, at int, v byte) []byte {
		c := bytes.Clone(b)
		c[at] = v
		return c
	}
	tests := []struct {
		name    string
		payload []byte
		natt    bool
		want    Kind
	}{
		{"an empty payload is other", nil, true, Other},
		{"one byte FF on 4500 is a keepalive", []byte{0xFF}, true, Keepalive},
		{"one byte FF on 500 is a keepalive too", []byte{0xFF}, false, Keepalive},
		{"one byte of another value is other", []byte{0xFE}, true, Other},
		{"two bytes FF are no keepalive", []byte{0xFF, 0xFF}, true, Other},
		{"the smallest ESP packet is ESP", espBytes(256, 1, 12), true, ESP},
		{"one byte less than the smallest is other", espBytes(256, 1, 11), true, Other},
		{"an SPI that IANA reserves is other", espBytes(255, 1, 100), true, Other},
		{"the highest SPI is ESP", espBytes(0xFFFFFFFF, 0xFFFFFFFF, 100), true, ESP},
		{"IKE behind the marker on 4500 is IKE", marked(ike), true, IKE},
		{"IKE without a marker on 4500 is what the peer takes it for: ESP", initRequest(1 << 40).bytes(), true, ESP},
		{"IKE on 500 is IKE", ike, false, IKE},
		{"IKE with a marker on 500 is IKE", marked(ike), false, IKE},
		{"on 500 an initiator's SPI beginning with zeros is no marker", initRequest(1).bytes(), false, IKE},
		{"ESP never comes to 500", espBytes(0xABCD1234, 9, 100), false, Other},
		{"a bare marker is other", make([]byte, 4), true, Other},
		{"zeros are other", make([]byte, 200), true, Other},
		{"IKE cut within its header is other", marked(ike)[:30], true, Other},
		{"IKE shorter than it says is other", marked(ike)[:len(ike)+3], true, Other},
		{"IKE with bytes behind its end is IKE", append(marked(ike), 1, 2, 3), true, IKE},
		{"IKE that says less than a header is other", edit(edit(ike, 27, 27), 26, 0), false, Other},
		{"IKE of a third major version is other", edit(ike, 17, 0x30), false, Other},
		{"IKE of major version zero is other", edit(ike, 17, 0x02), false, Other},
		{"a minor version we do not know is IKE", edit(ike, 17, 0x2F), false, IKE},
		{"a zero initiator's SPI is other", initRequest(0).bytes(), false, Other},
		{"IKEv1 is IKE", message{initiator: 5, version: 0x10, exchange: MainMode}.bytes(), false, IKE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Peek(tt.payload, tt.natt); got.Kind != tt.want {
				t.Errorf("Peek = %v, want %v", got.Kind, tt.want)
			}
		})
	}
}

func TestPeekReadsEveryHeaderField(t *testing.T) {
	m := message{initiator: 0x0102030405060708, responder: 0x1112131415161718, version: 0x21,
		exchange: CreateChildSA, flags: FlagResponse | FlagInitiator, id: 0xA1B2C3D4, payloads: []part{sealed()}}
	want := Packet{Kind: IKE, Marker: true, InitiatorSPI: m.initiator, ResponderSPI: m.responder, Version: 0x21,
		Exchange: CreateChildSA, Flags: m.flags, NextPayload: 46, MessageID: m.id}
	if got := Peek(marked(m.bytes()), true); got != want {
		t.Errorf("with marker:\n got %+v\nwant %+v", got, want)
	}
	want.Marker = false
	if got := Peek(m.bytes(), false); got != want {
		t.Errorf("without marker:\n got %+v\nwant %+v", got, want)
	}
	if got, want := Peek(espBytes(0xC0FFEE00, 77, 80), true), (Packet{Kind: ESP, SPI: 0xC0FFEE00, Seq: 77}); got != want {
		t.Errorf("ESP: got %+v, want %+v", got, want)
	}
}

func TestPeekReadsTheNotifiesOfIKESAInit(t *testing.T) {
	cookie := bytes.Repeat([]byte{0xC5}, 64)
	chain := func(parts ...part) []byte { return marked(initResponse(1, 0, parts...).bytes()) }
	damaged := func(edit func(b []byte)) []byte {
		b := chain(notify(NotifyNATDetectionSource, make([]byte, 20)), notify(NotifyCookie, cookie))
		edit(b)
		return b
	}
	var many []part
	for i := range 40 {
		many = append(many, notify(Notify(40000+i), nil))
	}
	tests := []struct {
		name    string
		payload []byte
		notices []Notify
		cookie  []byte
		hasSA   bool
		damaged bool
	}{
		{"a request for a cookie carries it", chain(notify(NotifyCookie, cookie)), []Notify{NotifyCookie}, cookie, false, false},
		{"a cookie of one byte is read", chain(notify(NotifyCookie, []byte{9})), []Notify{NotifyCookie}, []byte{9}, false, false},
		{"an empty cookie is none", chain(notify(NotifyCookie, nil)), []Notify{NotifyCookie}, nil, false, false},
		{"a cookie of 65 bytes is none", chain(notify(NotifyCookie, make([]byte, 65))), []Notify{NotifyCookie}, nil, false, false},
		{"notifies behind an SA are read", chain(sa(), notify(NotifyNATDetectionSource, nil), notify(NotifyNATDetectionDest, nil)),
			[]Notify{NotifyNATDetectionSource, NotifyNATDetectionDest}, nil, true, false},
		{"an SPI in the notify is stepped over", chain(part{payloadNotify, append([]byte{3, 4, 0x40, 0x06, 1, 2, 3, 4}, cookie...)}),
			[]Notify{NotifyCookie}, cookie, false, false},
		{"an SPI longer than the notify is damage", chain(part{payloadNotify, []byte{3, 200, 0x40, 0x06, 1, 2}}), nil, nil, false, true},
		{"a notify too short for its type is damage", chain(part{payloadNotify, []byte{0, 0}}), nil, nil, false, true},
		{"a payload of length zero is damage, not a loop", damaged(func(b []byte) { b[4+28+2], b[4+28+3] = 0, 0 }), nil, nil, false, true},
		{"a payload beyond the end is damage", damaged(func(b []byte) { b[4+28+2] = 0x7F }), nil, nil, false, true},
		{"a chain that promises one more is damage, and what came before stands",
			damaged(func(b []byte) { b[4+28+28] = payloadNotify }), []Notify{NotifyNATDetectionSource, NotifyCookie}, cookie, false, true},
		{"a chain longer than any real one is damage", chain(many...), []Notify{40000, 40001, 40002, 40003, 40004, 40005, 40006, 40007}, nil, false, true},
		{"bytes behind the message are not read", append(chain(), notify(NotifyCookie, cookie).body...), nil, nil, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Peek(tt.payload, true)
			if p.Kind != IKE {
				t.Fatalf("kind %v, want ike", p.Kind)
			}
			if int(p.Init.Count) != len(tt.notices) {
				t.Fatalf("%d notifies %v, want %v", p.Init.Count, p.Init.Notifies, tt.notices)
			}
			for i, want := range tt.notices {
				if p.Init.Notifies[i] != want || !p.Init.Has(want) {
					t.Errorf("notify %d = %v, want %v", i, p.Init.Notifies[i], want)
				}
			}
			if got := p.Init.Cookie(tt.payload); !bytes.Equal(got, tt.cookie) {
				t.Errorf("cookie %x, want %x", got, tt.cookie)
			}
			if p.Init.HasSA != tt.hasSA || p.Init.Damaged != tt.damaged {
				t.Errorf("hasSA %v damaged %v, want %v %v", p.Init.HasSA, p.Init.Damaged, tt.hasSA, tt.damaged)
			}
		})
	}
}

func TestNATDetectionWantsBothNotifies(t *testing.T) {
	source, dest := notify(NotifyNATDetectionSource, nil), notify(NotifyNATDetectionDest, nil)
	for _, tt := range []struct {
		parts []part
		want  bool
	}{{[]part{source, dest}, true}, {[]part{source}, false}, {[]part{dest}, false}, {nil, false}} {
		p := Peek(initRequest(9, tt.parts...).bytes(), false)
		if got := p.Init.NATDetection(); got != tt.want {
			t.Errorf("%d notifies: NATDetection = %v, want %v", len(tt.parts), got, tt.want)
		}
	}
}

func TestEncryptedExchangesAreNotLookedInto(t *testing.T) {
	m := message{initiator: 1, responder: 2, version: 0x20, exchange: IKEAuth,
		payloads: []part{notify(NotifyCookie, make([]byte, 8))}}
	if p := Peek(m.bytes(), false); p.Init != (Init{}) {
		t.Errorf("IKE_AUTH filled Init: %+v", p.Init)
	}
}

func TestPeekDoesNotAllocate(t *testing.T) {
	esp, ike := espBytes(0x1234, 1, 200), marked(initRequest(4, notify(NotifyCookie, make([]byte, 20))).bytes())
	var sink Packet
	if n := testing.AllocsPerRun(100, func() { sink = Peek(esp, true); sink = Peek(ike, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_ = sink
}

// FuzzPeek holds Peek to what its users build on, whatever the bytes.
func FuzzPeek(f *testing.F) {
	f.Add([]byte{0xFF}, true)
	f.Add(espBytes(0x1234, 1, 64), true)
	f.Add(marked(initResponse(3, 4, sa(), notify(NotifyCookie, make([]byte, 20))).bytes()), true)
	f.Add(initRequest(3, notify(NotifyNATDetectionSource, make([]byte, 20))).bytes(), false)
	f.Add(message{initiator: 3, version: 0x10, exchange: MainMode, payloads: []part{{payloadV1SA, make([]byte, 48)}, {payloadV1NATD, make([]byte, 20)}}}.bytes(), false)
	f.Fuzz(func(t *testing.T, payload []byte, natt bool) {
		before := bytes.Clone(payload)
		p := Peek(payload, natt)
		if !bytes.Equal(before, payload) {
			t.Fatal("Peek changed the payload")
		}
		switch p.Kind {
		case ESP:
			if !natt || p.SPI < 256 || len(payload) < minESP {
				t.Fatalf("impossible ESP %+v from %d bytes, natt %v", p, len(payload), natt)
			}
		case IKE:
			if p.InitiatorSPI == 0 || p.Major() < 1 || p.Major() > 2 || (natt && !p.Marker) {
				t.Fatalf("impossible IKE %+v", p)
			}
			if p.Init != (Init{}) && !p.Opening() {
				t.Fatalf("Init filled for exchange %d", p.Exchange)
			}
			if c := p.Init.Cookie(payload); len(c) > maxCookie {
				t.Fatalf("cookie of %d bytes", len(c))
			}
		case Keepalive:
			if len(payload) != 1 {
				t.Fatalf("keepalive of %d bytes", len(payload))
			}
		case Other:
			if p != (Packet{}) {
				t.Fatalf("Other claims something: %+v", p)
			}
		}
		var proof Proof
		proof.FromEndpoint(p)
		proof.FromClient(p)
	})
}

func BenchmarkPeek(b *testing.B) {
	for _, bb := range []struct {
		name    string
		payload []byte
	}{
		{"esp", espBytes(0x1234, 1, 256)},
		{"ike", marked(message{initiator: 1, responder: 2, version: 0x20, exchange: Informational, payloads: []part{sealed()}}.bytes())},
		{"ike-sa-init", marked(initRequest(4, notify(NotifyNATDetectionSource, make([]byte, 20)), notify(NotifyNATDetectionDest, make([]byte, 20))).bytes())},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := Peek(bb.payload, true)
				if p.Kind == Other {
					b.Fatal("other")
				}
			}
		})
	}
}
