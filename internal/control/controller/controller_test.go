package controller

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"

	"causeway/internal/agentlink"
	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/control/store/memstore"
	"causeway/internal/resource"
)

// An agent that has gone to another controller is not away, whatever the one that
// it left believes.
func TestAnAgentThatWentToAnotherControllerIsNotAway(t *testing.T) {
	sealer, err := auth.NewSealer(bytes.Repeat([]byte{1}, auth.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, ctx, call := service.New(memstore.New(), sealer, service.Options{}), t.Context(), service.Call{Caller: auth.Local}
	if _, err := s.CreateRegion(ctx, call, resource.Region{Meta: resource.Meta{Name: "kr-seoul"}}); err != nil {
		t.Fatal(err)
	}
	pop := resource.PoP{Meta: resource.Meta{Name: "seoul"}, PoPSpec: resource.PoPSpec{Region: "kr-seoul", Overlay: []resource.OverlayAddress{{Name: "isp", Bind: netip.MustParseAddrPort("203.0.113.1:4600")}}}}
	if _, err := s.CreatePoP(ctx, call, pop); err != nil {
		t.Fatal(err)
	}
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
