package popagent

import (
	"context"
	"net/netip"
	"time"

	"causeway/internal/popagent/health"
	"causeway/internal/snapshot"
)

// HealthTaker is a Plane that wants to know how its endpoints are. Without it
// nobody asks them.
type HealthTaker interface {
	// SetEndpointHealth takes a verdict on an endpoint of a group that leaves here,
	// and the newest answer's round-trip time. It is called from any goroutine,
	// while Run runs.
	SetEndpointHealth(group string, endpoint netip.Addr, up bool, rtt time.Duration) error
}

// BearsTaker is a Plane that wants to know which endpoints accept an IKE cookie that they have not asked for.
type BearsTaker interface {
	// SetEndpointBears is called from any goroutine, while Run runs.
	SetEndpointBears(group string, endpoint netip.Addr, bears bool)
}

// askEndpoints asks the endpoints that askAbout names until ctx ends; the channel
// it returns is closed when nobody is asked any more.
func (a *runner) askEndpoints(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	taker, ok := a.plane.(HealthTaker)
	if !ok {
		close(ended)
		return ended
	}
	a.monitor = health.New(taker.SetEndpointHealth, a.Log)
	if taker, ok := a.plane.(BearsTaker); ok {
		a.monitor.Bears = taker.SetEndpointBears
	}
	go func() {
		defer close(ended)
		a.monitor.Run(ctx)
	}()
	return ended
}

// askAbout has the endpoints of a snapshot that was applied asked.
func (a *runner) askAbout(s snapshot.Snapshot) {
	if a.monitor != nil {
		a.monitor.Set(s)
	}
}
