package diagnose

import (
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/vpn"
)

func TestWireNamesWhatPoPsSee(t *testing.T) {
	answered := Lane{IKE500: 4, IKE4500: 10, ESP: 1000, Idle: time.Second}
	for _, c := range []struct {
		name string
		o    Observation
		want vpn.Code
	}{
		{"nothing was seen", Observation{}, ""},
		{"all is well", Observation{Begun: 1, Proofs: 1, ToEndpoint: answered, ToClient: answered}, vpn.NoExceptionFound},
		{"the endpoint is silent", Observation{Begun: 1, ToEndpoint: Lane{IKE500: 5, Retransmits: 4}, ToClient: Lane{Idle: -1}}, vpn.NoResponse},
		{"two messages are no reason yet", Observation{Begun: 1, ToEndpoint: Lane{IKE500: 2, Retransmits: 1}, ToClient: Lane{Idle: -1}}, ""},
		{"the client does not offer NAT-T", Observation{Begun: 1, ToEndpoint: Lane{IKE500: 4, NoNATD: true}, ToClient: Lane{IKE500: 4}}, vpn.NatTMissing},
		{"IKE ends on 500", Observation{Begun: 1, Proofs: 1, ToEndpoint: Lane{IKE500: 4}, ToClient: Lane{IKE500: 4}}, vpn.NatTMissing},
		{"4500 is blocked", Observation{Begun: 1, Proofs: 1, ToEndpoint: Lane{IKE500: 1, IKE4500: 5, Retransmits: 4}, ToClient: Lane{IKE500: 1}}, vpn.Port4500Blocked},
		{"a large certificate does not arrive", Observation{Begun: 1, Proofs: 1, ToEndpoint: Lane{IKE500: 1, IKE4500: 5, Retransmits: 4, LargeAgain: 4}, ToClient: Lane{IKE500: 1}}, vpn.FragmentsLost},
		{"proposals are refused", Observation{Begun: 1, ToEndpoint: Lane{IKE500: 1}, ToClient: Lane{IKE500: 1, Notifies: map[string]uint64{"NO_PROPOSAL_CHOSEN": 1}}}, vpn.ProposalMismatch},
		{"another version", Observation{Begun: 1, ToEndpoint: Lane{IKE500: 1}, ToClient: Lane{IKE500: 1, Notifies: map[string]uint64{"INVALID_MAJOR_VERSION": 1}}}, vpn.IkeVersionMismatch},
		{"one cookie is a step", Observation{Begun: 1, Proofs: 1, ToEndpoint: answered, ToClient: Lane{IKE500: 1, IKE4500: 1, ESP: 100, Notifies: map[string]uint64{"COOKIE": 1}}}, vpn.NoExceptionFound},
		{"cookies and nothing else", Observation{Begun: 5, ToEndpoint: Lane{IKE500: 5}, ToClient: Lane{IKE500: 5, Notifies: map[string]uint64{"COOKIE": 5}}}, vpn.HalfOpenLimit},
		{"refused behind encryption", Observation{Begun: 4, Proofs: 4, ToEndpoint: Lane{IKE500: 4, IKE4500: 4}, ToClient: Lane{IKE500: 4, IKE4500: 4}}, vpn.NegotiationFailed},
		{"one way only", Observation{Begun: 1, Proofs: 1, ToEndpoint: answered, ToClient: Lane{IKE500: 4, IKE4500: 10}}, vpn.NoReturnTraffic},
		{"collisions", Observation{Begun: 1, Proofs: 1, Collisions: 3, ToEndpoint: answered, ToClient: answered}, vpn.RekeyCollision},
		{"late packets", Observation{Begun: 1, Proofs: 1, ToEndpoint: Lane{IKE500: 4, IKE4500: 10, ESP: 1000, Outside32: 30}, ToClient: answered}, vpn.ReplayWindowTooSmall},
		{"late packets and a large window", Observation{Begun: 1, Proofs: 1, Window: 1024, ToEndpoint: Lane{IKE500: 4, IKE4500: 10, ESP: 1000, Outside32: 30}, ToClient: answered}, vpn.NoExceptionFound},
		{"the endpoint has died", Observation{Begun: 1, Proofs: 1, ToEndpoint: Lane{IKE500: 4, IKE4500: 10, ESP: 1000, Unanswered: 2, Idle: time.Second}, ToClient: Lane{IKE500: 4, IKE4500: 10, ESP: 900, Idle: 3 * time.Minute}}, vpn.DpdTimeout},
		{"a lossy line", Observation{Begun: 1, Proofs: 1, ToEndpoint: answered, ToClient: answered, Stretches: []Stretch{{"client", "ingress", 0.3, 1000, true}, {"ingress", "egress", 0.001, 1000, true}}}, vpn.PathLoss},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Wire(c.o)
			if first(got) != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
			if len(got) > 1 && c.want != "" {
				t.Errorf("more was said than asked: %+v", got)
			}
			for _, f := range got {
				if f.Text == "" || f.Fix == "" || f.Source == "" {
					t.Errorf("incomplete: %+v", f)
				}
			}
		})
	}
}

func TestSeenTakesEachDirectionWhereItComesIn(t *testing.T) {
	in := report.IPsec{IKEVersion: "2.0", Exchanges: map[string]uint64{"init": 1, "auth": 1},
		ToEndpoint: report.IPsecLane{ESP: report.ESPLane{Packets: 900, Lost: 100, Loss: 0.1}, IKE: report.IKELane{On500: 1, OnNATT: 1}, Idle: 2},
		ToClient:   report.IPsecLane{ESP: report.ESPLane{Packets: 500, Outside32: 50}, IKE: report.IKELane{On500: 1, OnNATT: 1}}}
	out := report.IPsec{IKEVersion: "2.0",
		ToEndpoint: report.IPsecLane{ESP: report.ESPLane{Packets: 900, Lost: 100, Loss: 0.1}, IKE: report.IKELane{On500: 1, OnNATT: 1}},
		ToClient:   report.IPsecLane{ESP: report.ESPLane{Packets: 500}, IKE: report.IKELane{On500: 1, OnNATT: 1}, Idle: -1}}
	o := Seen(in, out)
	if o.Version != 2 || o.ToEndpoint.ESP != 900 || o.ToEndpoint.Idle != 2*time.Second || o.ToClient.Outside32 != 50 || o.ToClient.Idle >= 0 {
		t.Errorf("got %+v", o)
	}
	f := Wire(o)
	if len(f) != 2 || f[0].Severity != vpn.Warn {
		t.Fatalf("got %+v", f)
	}
	for _, x := range f {
		if x.Code != vpn.PathLoss && x.Code != vpn.ReplayWindowTooSmall {
			t.Errorf("got %+v", x)
		}
	}
}

func FuzzWire(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, "COOKIE", 0.5)
	f.Fuzz(func(t *testing.T, b []byte, notify string, loss float64) {
		next := func() (n uint64) {
			if len(b) > 0 {
				n, b = uint64(b[0]), b[1:]
			}
			return n
		}
		half := func() Lane {
			return Lane{IKE500: next(), IKE4500: next(), Retransmits: next(), Unanswered: next(), LargeAgain: next(), ESP: next(), Outside32: next(), Outside64: next(),
				Idle: time.Duration(next()) * time.Second, NoNATD: next() > 128, Notifies: map[string]uint64{notify: next()}}
		}
		o := Observation{Begun: next(), Proofs: next(), Collisions: next(), Window: int(next()), ToEndpoint: half(), ToClient: half(), Stretches: []Stretch{{"client", "ingress", loss, next() * 10, true}}}
		for _, x := range Wire(o) {
			if x.Text == "" || x.Fix == "" || severity(x) < 0 {
				t.Fatalf("incomplete: %+v", x)
			}
		}
	})
}

func TestMergeSaysEachThingOnceAndCausesFirst(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := Merge(
		[]vpn.Finding{{Code: vpn.NoResponse, Severity: vpn.Critical, At: at.Add(time.Hour)}, {Code: vpn.PskMismatch, Severity: vpn.Critical, At: at, Text: "old"}},
		[]vpn.Finding{{Code: vpn.PskMismatch, Severity: vpn.Critical, At: at.Add(time.Minute), Text: "new"}, {Code: vpn.NoExceptionFound, Severity: vpn.Normal}, {Code: vpn.WeakAlgorithm, Severity: vpn.Warn, Field: "a"}, {Code: vpn.WeakAlgorithm, Severity: vpn.Warn, Field: "b"}},
	)
	if len(f) != 4 || f[0].Code != vpn.PskMismatch || f[0].Text != "new" || f[1].Code != vpn.NoResponse || f[2].Field != "a" || f[3].Field != "b" {
		t.Errorf("got %+v", f)
	}
}
