package dataplane

import (
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// logging is a rig whose listener logs its flows into a channel of that room.
func logging(t *testing.T, room int) *rig {
	return newRig(t, func(r *rig) {
		r.sh.snap.Listeners[0].FlowLog, r.sh.snap.Listeners[0].Accelerator = true, "office"
		r.sh.snap.Listeners[0].Addresses[0].Public = r.sh.addr.Next()
		r.sh.flows, r.se.flows = make(chan report.Flow, room), make(chan report.Flow, room)
	})
}

func (p *rigPoP) records() (list []report.Flow) {
	for {
		select {
		case f := <-p.flows:
			list = append(list, f)
		default:
			return list
		}
	}
}

func TestASessionIsLoggedWhileItLastsAndWhenItEnds(t *testing.T) {
	r := logging(t, 100)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	began := r.now
	for range 110 { // eleven minutes
		r.run(6 * time.Second)
		r.mustReach(client, egress)
	}
	spoke := r.now
	r.run(6 * time.Minute) // idle
	list := r.sh.records()
	if len(list) != 4 {
		t.Fatalf("%d records: %+v", len(list), list)
	}
	for i, f := range list {
		want := "update"
		if i == 3 {
			want = "end"
		}
		if f.Event != want || f.Client != client || f.Accelerated != port(r.sh.addr.Next(), 500) || f.Egress != egress || f.Endpoint != port(endpointIP, 500) ||
			f.Listener != "vpn" || f.Accelerator != "office" || f.Group != "seoul" || f.PoP != "sh" || len(f.Session) != 16 {
			t.Errorf("record %d: %+v", i, f)
		}
		if i > 0 && f.ToClient.Packets < list[i-1].ToClient.Packets {
			t.Errorf("counters fall: %+v", f)
		}
	}
	last := list[3]
	if last.Reason != "idle" || last.ToEndpoint.Packets != 112 || last.ToClient.Packets != 112 || last.ToClient.Bytes == 0 {
		t.Errorf("the last record: %+v", last)
	}
	if took := last.End.Sub(last.Start); took != spoke.Sub(began) {
		t.Errorf("it is said to have taken %v, and took %v", took, spoke.Sub(began))
	}
	if n := len(r.se.records()); n != 0 {
		t.Errorf("the egress logged %d records", n)
	}
}

func TestStrangersAndListenersThatDoNotLogLeaveNoRecord(t *testing.T) {
	r := logging(t, 100)
	r.knock(clientIP)
	r.run(6 * time.Minute)
	if list := r.sh.records(); len(list) != 0 {
		t.Errorf("a stranger left %+v", list)
	}
	r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners[0].FlowLog = false })
	r.tunnel(port(clientIP, 500))
	r.run(6 * time.Minute)
	if list := r.sh.records(); len(list) != 0 {
		t.Errorf("a listener without a log left %+v", list)
	}
}

func TestRecordsThatFindNoRoomAreCountedAndHoldNobodyUp(t *testing.T) {
	r := logging(t, 2)
	for n := range uint16(5) {
		r.tunnel(port(clientIP, 600+n))
	}
	r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners[0].Ports = []uint16{4500} })
	if list := r.sh.records(); len(list) != 2 || list[0].Reason != "not_allowed" || r.sh.engine.flowsLost != 3 {
		t.Errorf("%d records, %d lost: %+v", len(list), r.sh.engine.flowsLost, list)
	}
	r = logging(t, 2)
	for n := range uint16(5) {
		r.tunnel(port(clientIP, 600+n))
	}
	r.sh.engine.Close()
	list := r.sh.records()
	if len(list) != 2 || list[0].Reason != "stopped" || r.sh.engine.flowsLost != 3 {
		t.Errorf("%d records, %d lost: %+v", len(list), r.sh.engine.flowsLost, list)
	}
}
