package controller

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"testing"

	"causeway/internal/agentlink"
	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/control/store/memstore"
	"causeway/internal/resource"
)

// seoul is a service with one PoP, which has not been enrolled.
func seoul(t *testing.T) *service.Service {
	t.Helper()
	sealer, err := auth.NewSealer(bytes.Repeat([]byte{1}, auth.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	st := memstore.New()
	t.Cleanup(func() { st.Close() })
	s, call := service.New(st, sealer, service.Options{}), service.Call{Caller: auth.Local}
	if _, err := s.CreateRegion(t.Context(), call, resource.Region{Meta: resource.Meta{Name: "kr-seoul"}}); err != nil {
		t.Fatal(err)
	}
	pop := resource.PoP{Meta: resource.Meta{Name: "seoul"}, PoPSpec: resource.PoPSpec{Region: "kr-seoul", Overlay: []resource.OverlayAddress{{Name: "isp", Bind: netip.MustParseAddrPort("203.0.113.1:4600")}},
		PublicKey: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))}}
	if _, err := s.CreatePoP(t.Context(), call, pop); err != nil {
		t.Fatal(err)
	}
	return s
}

// A controller that has started does not take another's agents for missing: it
// asks the other one, and believes the store while it cannot know.
func TestOnlyAgentsThatNobodyHasAreTakenForMissing(t *testing.T) {
	const own, other = "https://own:4640", "https://other:4640"
	for name, c := range map[string]struct {
		reporter        string // the controller that the store says it reports to
		there, answered bool   // what that one says
		looks           int
		away            bool
	}{
		"the other controller has it":                {other, true, true, 3, false},
		"the other controller does not have it":      {other, false, true, 1, true},
		"the other controller does not answer, once": {other, false, false, 1, false},
		"the other controller does not answer":       {other, false, false, silences, true},
		"it was here before the restart":             {own, false, false, 1, true},
		"it was with one that others do not reach":   {"", false, false, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := seoul(t)
			before := New(s, nil, slog.New(slog.DiscardHandler))
			before.Address = c.reporter
			if err := before.Report(t.Context(), "seoul", agentlink.Report{Build: "1"}); err != nil {
				t.Fatal(err)
			}
			started := New(s, nil, slog.New(slog.DiscardHandler))
			started.Address = own
			started.Elsewhere = func(_ context.Context, address, agent string) (bool, bool) {
				if address != other || agent != "seoul" {
					t.Errorf("%s was asked for %s", address, agent)
				}
				return c.there, c.answered
			}
			if err := started.compile(t.Context()); err != nil {
				t.Fatal(err)
			}
			unanswered := map[string]int{}
			for range c.looks {
				started.noteMissing(t.Context(), unanswered)
			}
			pop, err := s.GetPoP(t.Context(), service.Call{Caller: auth.Local}, "seoul")
			if err != nil {
				t.Fatal(err)
			}
			if away := pop.Status.State == resource.Away; away != c.away {
				t.Errorf("it is %s", pop.Status.State)
			}
		})
	}
}

func TestNothingIsKeptOfAgentsThatAreGone(t *testing.T) {
	s := seoul(t)
	c := New(s, nil, slog.New(slog.DiscardHandler))
	look := func() {
		t.Helper()
		if err := c.compile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if err := c.Report(t.Context(), "seoul", agentlink.Report{JSON: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	c.join("seoul")
	c.leave("seoul")
	look()
	if _, have := c.LastReport("seoul"); !have {
		t.Fatal("its report is gone while it exists")
	}
	if _, err := s.DeletePoP(t.Context(), service.Call{Caller: auth.Local}, "seoul"); err != nil {
		t.Fatal(err)
	}
	look()
	empty := func(when string) {
		t.Helper()
		c.mu.Lock()
		defer c.mu.Unlock()
		if n := len(c.reports) + len(c.encoded) + len(c.known) + len(c.followers) + len(c.leaving) + len(c.summed); n != 0 {
			t.Errorf("%s, %d things are kept: %v %v %v %v", when, n, c.reports, c.known, c.followers, c.leaving)
		}
	}
	empty("after it was deleted")
	if err := c.Report(t.Context(), "seoul", agentlink.Report{JSON: []byte("{}")}); err == nil {
		t.Error("its report was taken")
	}
	empty("after it reported once more")
}

// An agent that has gone to another controller is not away, whatever the one that
// it left believes.
func TestAnAgentThatWentToAnotherControllerIsNotAway(t *testing.T) {
	log, s, ctx := slog.New(slog.DiscardHandler), seoul(t), t.Context()
	first, second := New(s, nil, log), New(s, nil, log)
	first.Address, second.Address = "https://first:4640", "https://second:4640"
	for _, c := range []*Controller{first, second} {
		if err := c.Report(ctx, "seoul", agentlink.Report{Build: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	first.left(ctx, "seoul")
	if where, err := s.ReporterOf(ctx, "seoul"); err != nil || where != second.Address {
		t.Errorf("it is connected to %q, %v", where, err)
	}
	second.left(ctx, "seoul")
	if where, err := s.ReporterOf(ctx, "seoul"); err != nil || where != "" {
		t.Errorf("nobody has it, and it is connected to %q, %v", where, err)
	}
}
