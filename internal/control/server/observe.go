package server

import (
	"context"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/telemetry"
)

// askStore bounds how long a scrape or a check waits for the store.
const askStore = 5 * time.Second

// Facts is what metrics tell of this controller. What the store does not answer
// is left out.
func (s *Server) Facts(ctx context.Context) telemetry.ControllerFacts {
	ctx, cancel := context.WithTimeout(ctx, askStore)
	defer cancel()
	f := telemetry.ControllerFacts{PoPs: map[string]int{}, Authority: s.authority.Certificate.NotAfter}
	refused := s.throttle.Refused()
	f.Throttled = map[string]uint64{"rate": refused.Rate, "sign-in": refused.SignIns}
	if compiled, err := s.service.Compiled(ctx); err == nil {
		f.Revision = compiled.World.Revision
	}
	for q := (service.Query{Limit: 1000}); ; {
		page, err := s.service.ListPoPs(ctx, service.Call{Caller: auth.Local}, q)
		if err != nil {
			break
		}
		for i := range page.Items {
			f.PoPs[string(page.Items[i].Status.State)]++
			f.Connections += s.controller.Connections(page.Items[i].Name)
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	return f
}

// Ready judges whether this controller can do its work.
func (s *Server) Ready(ctx context.Context) []telemetry.Check {
	ctx, cancel := context.WithTimeout(ctx, askStore)
	defer cancel()
	store, authority := telemetry.Check{Name: "store"}, telemetry.Check{Name: "authority"}
	if _, err := s.service.Compiled(ctx); err != nil {
		store.Reason = "the store does not answer: " + err.Error()
		store.Fix = "is there a majority of its members, and room on their disks? PoPs go on meanwhile"
	}
	if left := time.Until(s.authority.Certificate.NotAfter); left < 30*24*time.Hour {
		authority.Reason = "the authority's certificate ends " + s.authority.Certificate.NotAfter.Format(time.RFC3339)
		authority.Fix = "set up another controller with a new authority, and enrol PoPs with it"
	}
	return []telemetry.Check{store, authority}
}
