package popagent

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/snapshot"
)

// askingPlane is a plane that wants to know how endpoints are.
type askingPlane struct {
	*fakePlane
	told chan bool
}

func (p *askingPlane) SetEndpointHealth(group string, _ netip.Addr, up bool, _ time.Duration) error {
	if group == "office" {
		p.told <- up
	}
	return nil
}

func TestEndpointsOfTheAppliedSnapshotAreAsked(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	plane := &askingPlane{newFakePlane(), make(chan bool, 1000)}
	a := &runner{Options: Options{Log: slog.New(slog.DiscardHandler)}, plane: plane}
	ctx, cancel := context.WithCancel(t.Context())
	ended := a.askEndpoints(ctx)
	s := snapshot.Snapshot{PoP: snapshot.PoP{Name: "seoul"}, EndpointGroups: []snapshot.EndpointGroup{{
		Name: "office", PoP: "seoul", EgressIP: snapshot.Address{Bind: at.Addr()}, Endpoints: []snapshot.Endpoint{{Address: at.Addr()}},
		Health: &snapshot.HealthCheck{Probe: snapshot.ProbeTCP, Port: at.Port(), Interval: 5 * time.Millisecond, Timeout: time.Second, Down: 1},
	}}}
	if err := a.take(ctx, s); err != nil {
		t.Fatal(err)
	}
	await := func(want bool) {
		t.Helper()
		for late := time.After(time.Minute); ; {
			select {
			case up := <-plane.told:
				if up == want {
					return
				}
			case <-late:
				t.Fatalf("the plane is not told that the endpoint's being up is %v", want)
			}
		}
	}
	await(true)
	l.Close()
	await(false)
	cancel()
	<-ended
}

func TestAPlaneThatDoesNotWantToKnowIsLeftAlone(t *testing.T) {
	a := &runner{plane: newFakePlane()}
	<-a.askEndpoints(t.Context())
	a.askAbout(snapshot.Snapshot{})
}
