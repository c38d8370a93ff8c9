package service

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"causeway/internal/resource"
)

// PoPReport is what is kept of what a PoP's agent tells: changes of state, no
// measurements.
type PoPReport struct {
	Connected     bool      `json:"connected"`
	Since         time.Time `json:"since"`             // of being connected, or away
	Version       uint64    `json:"version,omitempty"` // of the snapshot it runs
	Digest        string    `json:"digest,omitempty"`  // of that snapshot, as compile.Plan has it
	Refusal       string    `json:"refusal,omitempty"` // why it would not take the newest it was given, whole
	RefusedDigest string    `json:"refused_digest,omitempty"`
	Build         string    `json:"build,omitempty"`
	Sessions      int       `json:"sessions,omitempty"`
}

// ReportPoP keeps the newest report of the caller's own PoP. Equal reports are
// not written again.
func (s *Service) ReportPoP(ctx context.Context, call Call, r PoPReport) error {
	return reportPoP(ctx, s, call, r)
}

func reportPoP(ctx context.Context, s *Service, call Call, r PoPReport) error {
	_, err := mutate(ctx, s, call, "ReportPoP", r, func(t *tx) (struct{}, error) {
		var done struct{}
		if _, err := find[resource.PoP](t, call.Caller.PoP, ""); err != nil {
			return done, err
		}
		value, err := json.Marshal(r)
		if err != nil {
			return done, resource.AsError(err)
		}
		key := popKey(call.Caller.PoP)
		item, _, err := t.get(key)
		if err != nil || bytes.Equal(item.Value, value) {
			return done, err
		}
		t.put(key, value)
		return done, nil
	})
	return err
}
