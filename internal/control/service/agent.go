package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// PoPReport is what is kept of what the agent of a PoP or VPN gateway tells:
// changes of state, no measurements.
type PoPReport struct {
	Connected     bool      `json:"connected"`
	Since         time.Time `json:"since"`             // of being connected, or away
	Version       uint64    `json:"version,omitempty"` // of the snapshot it runs
	Digest        string    `json:"digest,omitempty"`  // of that snapshot, as compile.Plan has it
	Refusal       string    `json:"refusal,omitempty"` // why it would not take the newest it was given, whole
	RefusedDigest string    `json:"refused_digest,omitempty"`
	Build         string    `json:"build,omitempty"`
	Sessions      int       `json:"sessions,omitempty"`

	Controller string      `json:"controller,omitempty"` // address of the one that it tells, which knows all that it tells
	VPN        *VPNSummary `json:"vpn,omitempty"`        // of a VPN gateway
}

// ReporterOf returns the address of the controller that an agent is connected
// to; "" when it is connected to none, or to one that others do not reach. For
// the controller; it asks no permission.
func (s *Service) ReporterOf(ctx context.Context, agent string) (string, error) {
	item, found, _, err := s.store.Get(ctx, popKey(agent), 0)
	var r PoPReport
	if err != nil || !found || json.Unmarshal(item.Value, &r) != nil || !r.Connected {
		return "", storeError(err)
	}
	return r.Controller, nil
}

// ReportPoP keeps the newest report of the caller's own PoP or VPN gateway. Equal reports are
// not written again.
func (s *Service) ReportPoP(ctx context.Context, call Call, r PoPReport) error {
	return reportPoP(ctx, s, call, r)
}

// reportPoP does not go through mutate: reports bind nothing else, and a
// thousand agents that come back at once must not queue behind one another.
// That the PoP exists is a condition, so that no report outlives it.
func reportPoP(ctx context.Context, s *Service, call Call, r PoPReport) error {
	if err := auth.Authorize(call.Caller, "ReportPoP"); err != nil {
		return err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return resource.AsError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	agent := call.Caller.PoP
	self := resource.RefOfAgent(agent)
	for attempt := range attempts {
		pop, exists, _, err := s.store.Get(ctx, resourceKey(self), 0)
		if err != nil {
			return storeError(err)
		}
		if !exists {
			return resource.Errorf(resource.CodeNotFound, "there is no %s", self).On(self).WithFix("it was deleted; stop its machine, or enrol it anew")
		}
		old, _, _, err := s.store.Get(ctx, popKey(agent), 0)
		if err != nil || bytes.Equal(old.Value, value) {
			return storeError(err)
		}
		_, err = s.store.Commit(ctx, store.Txn{
			If: []store.Condition{{Key: pop.Key, Revision: pop.Revision}, {Key: popKey(agent), Revision: old.Revision}},
			Do: []store.Write{{Key: popKey(agent), Value: value}},
		})
		if !errors.Is(err, store.ErrConflict) {
			return storeError(err)
		}
		pause(ctx, attempt)
	}
	return resource.Errorf(resource.CodeBusy, "%s reports faster than it can be noted", self).On(self)
}
