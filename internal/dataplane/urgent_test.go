package dataplane

import (
	"bytes"
	"testing"

	"causeway/internal/dataplane/udpio"
)

func TestIKEOvertakesAFullBatchAndNothingElseChangesPlaces(t *testing.T) {
	r := newRig(t, nil)
	r.tunnel(port(clientIP, 4500)) // which makes the session
	natt := func(b []byte) []byte { return append(make([]byte, 4), b...) }
	var batch []udpio.Message
	add := func(data []byte) { batch = append(batch, udpio.Message{Data: data, From: port(clientIP, 4500)}) }
	for i := range 60 {
		add(espPacket(0x01020304, uint32(i+1), 1200))
	}
	add(natt(ikeMessage(7, 0, 34, 8)))
	add(natt(ikeMessage(7, 6, 35, 8)))
	r.got = nil
	sock := r.sh.engine.byAddr[port(r.sh.addr, 4500)]
	r.sh.engine.Receive(r.now, sock.token, batch)
	r.sh.engine.Flush(r.now)
	var esp, ike []int
	r.carry()
	for at, p := range r.got {
		switch {
		case bytes.HasPrefix(p.data, make([]byte, 4)):
			ike = append(ike, at)
		case len(p.data) > 1000:
			esp = append(esp, int(p.data[7]))
			if len(ike) < 2 {
				t.Fatalf("ESP packet %d left before the IKE messages behind it", p.data[7])
			}
		}
	}
	if len(ike) != 2 || len(esp) != 60 {
		t.Fatalf("%d IKE messages and %d ESP packets left", len(ike), len(esp))
	}
	for i, n := range esp {
		if n != i+1 {
			t.Fatalf("ESP packets left as %v", esp)
		}
	}
}
